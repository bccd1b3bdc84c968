"""One episode, tokens in and tokens out: the policy's context only ever grows by appending.

What the engine sampled is kept as sampled and never tokenised again; what a tool or the user says is rendered once.
Seeds hang on (run, task, rollout, turn), so that neither order nor parallelism changes what is drawn.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from rl.rollout.engine import Completion, Engine, EngineError, WeightSyncError
from simulators.environment import Observation, StepResult
from simulators.pool import SlotFault
from simulators.provenance import provenance_of
from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Ending, Fault, Outcome
from trajectories.seeds import derive_seed
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Segment, Trajectory

if TYPE_CHECKING:
    from rl.policy.dialects import Dialect

__all__ = ["Episodes", "RolloutLimits", "check_sampling", "rollout"]


@dataclass(frozen=True)
class RolloutLimits:
    """Where an episode is cut off."""

    max_turns: int = 12
    """Policy turns; ending ``turn_limit``."""
    max_turn_tokens: int = 128
    """Tokens of one policy turn; a turn that does not stop in time ends the episode with ``token_limit``."""
    max_tokens: int = 1024
    """Tokens of the whole trajectory, context included; ending ``token_limit``."""

    def __post_init__(self) -> None:
        for key in ("max_turns", "max_turn_tokens", "max_tokens"):
            if getattr(self, key) < 1:
                raise ValueError(f"limits.{key} is at least 1, not {getattr(self, key)}")


class Episodes(Protocol):
    """Environments by slot, as `simulators.pool.EnvironmentPool` offers them; its methods raise `SlotFault`."""

    async def reset(self, slot: str, task: Task, seed: int) -> Observation: ...
    async def step(self, slot: str, message: Message) -> StepResult: ...
    async def abort(
        self, slot: str, ending: Ending, fault: Fault | None = None, message: Message | None = None
    ) -> None: ...
    async def outcome(self, slot: str) -> Outcome: ...


async def rollout(
    task: Task,
    seed: int,
    engine: Engine,
    pool: Episodes,
    dialect: "Dialect",
    sampling: Sampling,
    limits: RolloutLimits,
    *,
    rollout_index: int = 0,
    prefix: str = "",
    for_training: bool = True,
) -> Trajectory:
    """Plays one episode of `task`.

    Args:
        seed: of the run; sampling seeds and the user's seed are derived from it.
        sampling: its own seed is ignored. With ``grammar="tool_calls"`` the policy can call nothing but the task's tools,
            with arguments that their schemas take; every segment says so.
        rollout_index: tells rollouts of the same task apart.
        prefix: of slot and request names, e.g. ``step-12/``; episodes that run together differ in it or in the rest.
        for_training: refuses sampling whose log-probabilities the trainer cannot reproduce (see `check_sampling`).

    Returns:
        The trajectory with its outcome and no reward. What broke, engine or environment, is a fault in the outcome;
        whatever the policy wrote is no error.

    Raises:
        ValueError: for sampling that is refused, or that names another grammar.
        WeightSyncError: which concerns every episode.
    """
    if for_training:
        check_sampling(sampling)
    if sampling.grammar not in (None, "tool_calls"):
        raise ValueError(f"sampling.grammar is 'tool_calls' or None, not {sampling.grammar!r}")
    identity = f"{prefix}{task.id}/{rollout_index}"
    episode = _Episode(task, seed, rollout_index, identity, engine, pool, dialect, sampling, limits)
    try:
        outcome = await episode.play()
    except SlotFault as error:  # its slot is free already
        outcome = episode.faulty(error.fault)
    except WeightSyncError:
        raise
    except EngineError as error:
        outcome = await episode.give_up(Fault("engine", str(error)))
    except Exception as error:
        outcome = await episode.give_up(Fault("infrastructure", f"{type(error).__name__}: {error}"))
    return Trajectory(
        id=identity,
        task_id=task.id,
        rollout=rollout_index,
        seed=seed,
        segments=tuple(episode.segments),
        messages=tuple(episode.messages),
        tools=episode.tools,
        outcome=outcome,
        provenance=provenance_of(task, episode.tools, run_seed=seed),
        metadata={"domain": task.domain, "difficulty": task.difficulty, "split": task.split, "tags": list(task.tags)},
    )


def check_sampling(sampling: Sampling) -> None:
    """Law 1: behaviour log-probabilities must be those of the full distribution at a temperature.

    Raises:
        ValueError: for top-p, top-k or greedy sampling, and for turns that were held to a grammar.
    """
    if sampling.grammar is not None:
        raise ValueError(
            f"sampling for training keeps the whole distribution: grammar is None, not {sampling.grammar!r} (a mask "
            "renormalises the log-probabilities, and the trainer's are not; such rows are for supervised training)"
        )
    if sampling.renormalises:
        raise ValueError(
            f"sampling for training keeps the whole distribution: top_p is 1 and top_k is -1, not {sampling.top_p} and "
            f"{sampling.top_k} (a kept set renormalises the log-probabilities, and the trainer's are not)"
        )
    if sampling.temperature <= 0:
        raise ValueError(f"sampling for training has a temperature above 0, not {sampling.temperature}")


@dataclass
class _Episode:
    task: Task
    seed: int
    index: int
    slot: str
    engine: Engine
    pool: Episodes
    dialect: "Dialect"
    sampling: Sampling
    limits: RolloutLimits

    def __post_init__(self) -> None:
        self.token_ids: list[int] = []
        self.segments: list[Segment] = []
        self.messages: list[Message] = []
        self.tools: tuple[ToolSpec, ...] = ()
        self.calls = 0

    async def play(self) -> Outcome:
        user_seed = derive_seed(self.seed, "user", self.task.id, self.index)
        first = await self.pool.reset(self.slot, self.task, user_seed)
        self.messages.extend(first.messages)
        self.tools = first.tools
        self._read(self.dialect.prefix(first.messages, first.tools))
        for turn in range(self.limits.max_turns):
            room = min(self.limits.max_turn_tokens, self.limits.max_tokens - len(self.token_ids))
            if room < 1:
                return await self._end("token_limit")
            completion = await self._sample(turn, room)
            parsed = self.dialect.parse(completion.token_ids, self.calls)
            self.messages.append(parsed.message)
            if completion.finish_reason == "length":
                return await self._end("token_limit", parsed.message)
            if parsed.malformed is not None:
                return await self._end("malformed", parsed.message)
            self.calls += parsed.calls
            result = await self.pool.step(self.slot, parsed.message)
            self.messages.extend(result.messages)
            if result.terminated or result.truncated:
                return await self.pool.outcome(self.slot)
            self._read(self.dialect.append(result.messages))
        return await self._end("turn_limit")

    async def give_up(self, fault: Fault) -> Outcome:
        try:
            return await self._end("fault", fault=fault)
        except SlotFault as error:
            return self.faulty(fault, error.fault)

    def faulty(self, *faults: Fault) -> Outcome:
        dialogue = tuple(message for message in self.messages if message.role != "system")
        return Outcome(ending="fault", messages=dialogue, faults=faults)

    def _read(self, token_ids: list[int]) -> None:
        self.token_ids.extend(token_ids)
        self.segments.append(Segment("context", tuple(token_ids)))

    async def _sample(self, turn: int, room: int) -> Completion:
        sampling = replace(self.sampling, seed=derive_seed(self.seed, "sampling", self.task.id, self.index, turn))
        generate = self.engine.generate
        if sampling.grammar is not None:
            generate = partial(generate, grammar=self.dialect.tool_call_grammar(self.tools, self.calls))
        completion = await generate(
            self.token_ids,
            sampling,
            max_tokens=room,
            stop_token_ids=self.dialect.stop_token_ids,
            request_id=f"{self.slot}/{turn}",
        )
        self.token_ids.extend(completion.token_ids)
        version = completion.policy_version
        self.segments.append(Segment("policy", completion.token_ids, completion.log_probs, sampling, version))
        return completion

    async def _end(self, ending: Ending, message: Message | None = None, fault: Fault | None = None) -> Outcome:
        await self.pool.abort(self.slot, ending, fault, message)
        return await self.pool.outcome(self.slot)
