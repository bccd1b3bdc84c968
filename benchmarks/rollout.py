"""Rollouts through engine actor, environments and chat format, over raw vLLM on the same prompts and lengths.

The two engines never live at the same time. In whole episodes the engine samples as many tokens as the oracle would
write, and then the oracle's go into the dialogue: real turns of real lengths, whatever the policy is able to say.
"""

import asyncio
import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.figure import Figure, Limit
from benchmarks.raw_vllm import measure_raw
from benchmarks.workload import Turn, Workload
from rl.policy.dialects import Dialect
from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.batch import rollout_batch
from rl.rollout.engine import Completion, Engine, UpdateMode, UpdateReceipt, WeightUpdate
from rl.rollout.engine_config import EngineConfig
from rl.rollout.remote_engine import RemoteVLLMEngine
from simulators.pool import EnvironmentPool, PoolConfig
from trajectories.trajectory import Sampling, Trajectory

__all__ = ["RolloutBenchmark", "measure"]


@dataclass(frozen=True, kw_only=True)
class RolloutBenchmark:
    prompts: int = 256
    """Single-turn requests of one repeat."""
    new_tokens: int = 64
    """Tokens sampled for each of them."""
    episodes: int = 256
    """Whole episodes of one repeat."""
    in_flight: int = 128
    """Episodes that run together."""
    engine: EngineConfig = field(
        default_factory=lambda: EngineConfig(model="", max_model_len=512, max_num_seqs=96, kv_cache_gb=0.5, threads=1)
    )
    """Of both engines; an empty engine.model stands for the policy of the whole benchmark."""

    def __post_init__(self) -> None:
        for key in ("prompts", "new_tokens", "episodes", "in_flight"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")

    @property
    def tasks(self) -> int:
        """Different tasks that are needed."""
        return max(self.prompts, self.episodes)

    def quick(self) -> "RolloutBenchmark":
        engine = replace(self.engine, max_num_seqs=8, kv_cache_gb=0.25)
        return replace(self, prompts=8, new_tokens=8, episodes=4, in_flight=8, engine=engine)


def measure(
    settings: RolloutBenchmark, workload: Workload, repeats: int, note: Callable[[str], None] = lambda text: None
) -> list[Figure]:
    """Tokens per second of single turns and of whole episodes; needs a running Ray."""
    config = replace(settings.engine, model=settings.engine.model or workload.model)
    dialogues = workload.turns(settings.tasks)
    single = [(dialogue[0].prompt, settings.new_tokens) for dialogue in dialogues[: settings.prompts]]
    episodes = [turn for dialogue in dialogues[: settings.episodes] for turn in dialogue]
    every_turn = [(turn.prompt, len(turn.answer)) for turn in episodes]
    note("raw vLLM")
    raw = measure_raw(config, {"single": single, "episodes": every_turn}, repeats)
    note("rollouts")
    ours = asyncio.run(_measure_ours(settings, config, workload, episodes, repeats))
    tokens = settings.prompts * settings.new_tokens

    def rate(seconds: Sequence[float], tokens: int) -> tuple[float, ...]:
        return tuple(tokens / second for second in seconds)

    turn_tokens = sum(length for _, length in every_turn)
    sizes = {"requests": float(len(single)), "tokens": float(tokens)}
    episode_sizes = {
        "episodes": float(settings.episodes),
        "turns": float(len(every_turn)),
        "tokens": float(turn_tokens),
        "prompt_tokens": float(sum(len(prompt) for prompt, _ in every_turn)),
    }
    same = Limit(
        "raw vLLM, same prompts, lengths, seeds, log-probabilities", rate(raw["single"]["recorded"], tokens), ">= 0.90"
    )
    plain = Limit("raw vLLM without seeds and log-probabilities", rate(raw["single"]["plain"], tokens))
    known = Limit("raw vLLM, every turn known beforehand", rate(raw["episodes"]["recorded"], turn_tokens), ">= 0.75")
    single_rate = rate(ours["single"], tokens)
    return [
        Figure("rollouts, single turn", "tokens/s", single_rate, same, sizes),
        Figure("rollouts, single turn (plain limit)", "tokens/s", single_rate, plain, sizes),
        Figure("rollouts, whole episodes", "tokens/s", rate(ours["episodes"], turn_tokens), known, episode_sizes),
    ]


async def _measure_ours(
    settings: RolloutBenchmark, config: EngineConfig, workload: Workload, turns: Sequence[Turn], repeats: int
) -> dict[str, list[float]]:
    """Seconds of each repeat; the first, unmeasured one warms everything up."""
    seconds: dict[str, list[float]] = {"single": [], "episodes": []}
    engine = RemoteVLLMEngine(config)
    pool = EnvironmentPool(PoolConfig())
    try:
        await engine.start()
        endless = _without_stops(workload.dialect)
        puppet = _Puppet(engine, {turn.prompt: turn.answer for turn in turns})
        for repeat in range(repeats + 1):
            started = time.perf_counter()
            limits = RolloutLimits(max_turns=1, max_turn_tokens=settings.new_tokens, max_tokens=config.max_model_len)
            played = await _play(
                settings, workload, settings.prompts, engine, pool, endless, limits, f"single-{repeat}/"
            )
            _check(played, "token_limit", settings.prompts * settings.new_tokens)
            between = time.perf_counter()
            limits = RolloutLimits(max_turn_tokens=config.max_model_len, max_tokens=config.max_model_len)
            played = await _play(
                settings, workload, settings.episodes, puppet, pool, workload.dialect, limits, f"episodes-{repeat}/"
            )
            _check(played, "completed", sum(len(turn.answer) for turn in turns))
            if repeat:
                seconds["single"].append(between - started)
                seconds["episodes"].append(time.perf_counter() - between)
    finally:
        await engine.close()
        pool.close()
    return seconds


async def _play(
    settings: RolloutBenchmark,
    workload: Workload,
    count: int,
    engine: Engine,
    pool: EnvironmentPool,
    dialect: Dialect,
    limits: RolloutLimits,
    prefix: str,
) -> list[Trajectory]:
    return await rollout_batch(
        workload.tasks[:count],
        1,
        workload.seed,
        engine,
        pool,
        dialect,
        Sampling(),
        limits,
        in_flight=settings.in_flight,
        prefix=prefix,
    )


def _without_stops(dialect: Dialect) -> Dialect:
    """The same format in which no token ends a turn: every completion is as long as it may be."""
    endless = copy.copy(dialect)
    endless.stop_token_ids = ()
    return endless


def _check(played: Sequence[Trajectory], ending: str, tokens: int) -> None:
    """A figure over other work than was meant would be worthless."""
    other = [trajectory for trajectory in played if trajectory.outcome is None or trajectory.outcome.ending != ending]
    if other:
        raise RuntimeError(f"{len(other)} of {len(played)} episodes did not end with {ending!r}: {other[0].outcome}")
    sampled = sum(trajectory.num_policy_tokens for trajectory in played)
    if sampled != tokens:
        raise RuntimeError(f"{sampled} tokens were sampled where {tokens} were due")


class _Puppet:
    """The real engine works for every turn; what the oracle says to that prompt is what the dialogue gets."""

    def __init__(self, engine: Engine, answers: dict[tuple[int, ...], tuple[int, ...]]) -> None:
        self._engine, self._answers = engine, answers

    @property
    def version(self) -> int:
        return self._engine.version

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        sampling: Sampling,
        *,
        max_tokens: int,
        stop_token_ids: Sequence[int],
        request_id: str,
        grammar: str | None = None,
    ) -> Completion:
        answer = self._answers[tuple(prompt_token_ids)]
        sampled = await self._engine.generate(
            prompt_token_ids, sampling, max_tokens=len(answer), stop_token_ids=(), request_id=request_id, grammar=grammar
        )
        return Completion(answer, sampled.log_probs, "stop", sampled.policy_version)

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode = "wait") -> UpdateReceipt:
        return await self._engine.update_weights(update, mode)

    async def interrupt(self) -> None:
        await self._engine.interrupt()

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        return await self._engine.prompt_log_probs(token_ids)

    async def close(self) -> None:
        await self._engine.close()
