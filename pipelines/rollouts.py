"""The policy at work: an engine that samples, a pool of environments, and the chat format between them."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pipelines.errors import UserError
from pipelines.progress import Phase, Progress
from rewards.composition import CompositeReward
from rewards.scoring import ScoringConfig, ScoringPool
from rewards.verdicts import rubric_verdicts
from rl.policy.dialects import Dialect
from rl.policy.source import PolicyConfig, read_dialect
from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.batch import rollout_batch
from rl.rollout.engine import Engine
from rl.rollout.engine_config import EngineConfig
from rl.rollout.remote_engine import RemoteVLLMEngine
from rl.rollout.replicated_engine import ReplicatedEngine
from rl.rollout.supervised_engine import SupervisedEngine
from rl.rollout.unfinished import WaitingSlots
from simulators.pool import EnvironmentPool, PoolConfig
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Trajectory

__all__ = ["RolloutSettings", "Rollouts", "open_rollouts"]


@dataclass(frozen=True, kw_only=True)
class RolloutSettings:
    engine: EngineConfig = field(default_factory=lambda: EngineConfig(model=""))
    """vLLM; an empty engine.model stands for policy.path."""
    replicas: int = 1
    """Engines side by side, each with these settings and a copy of the weights; requests go to the one with the fewest. On
    CPUs, where engine.threads is null, they share the cores: small models gain from several engines of one thread."""
    engine_restarts: int = 3
    """Times that each engine whose processes died is started anew in one run of the command; then the run stops."""
    pool: PoolConfig = field(default_factory=PoolConfig)
    """Environments."""
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    """Verdicts that take their time are computed in processes of their own."""
    limits: RolloutLimits = field(default_factory=RolloutLimits)
    """Where an episode is cut off; limits.max_turns goes for the environments too."""
    in_flight: int = 96
    """Episodes that run together; somewhat more than engine.max_num_seqs of all replicas keeps them full."""
    waiting_environments: int = 512
    """Environments of unfinished episodes that stay in the pool until the episode goes on; those of further ones are given
    back, and brought back by playing what the agent said again. It decides memory and time, never results."""

    def __post_init__(self) -> None:
        if self.in_flight < 1:
            raise ValueError(f"in_flight: must be at least 1, not {self.in_flight}")
        if self.replicas < 1:
            raise ValueError(f"replicas: must be at least 1, not {self.replicas}")
        if self.engine_restarts < 0:
            raise ValueError(f"engine_restarts: must be at least 0, not {self.engine_restarts}")
        if self.waiting_environments < 0:
            raise ValueError(f"waiting_environments: must be at least 0, not {self.waiting_environments}")
        if self.pool.max_turns not in (PoolConfig().max_turns, self.limits.max_turns):
            raise ValueError("pool.max_turns: limits.max_turns goes for the environments too; set that one")
        if self.limits.iteration_tokens is not None:
            raise ValueError(
                "limits.iteration_tokens: whoever plays must go on with unfinished episodes, as training does; set "
                "learning.schedule.iteration_tokens there"
            )
        if self.limits.max_tokens > self.engine.max_model_len:
            raise ValueError(
                f"limits.max_tokens: {self.limits.max_tokens} tokens do not fit engine.max_model_len={self.engine.max_model_len}"
            )


class Rollouts:
    """Engine, pool and dialect together; made by `open_rollouts`."""

    def __init__(self, settings: RolloutSettings, engine: Engine, pool: EnvironmentPool, dialect: Dialect) -> None:
        self.settings, self.engine, self.pool, self.dialect = settings, engine, pool, dialect
        self.sampled_tokens = 0
        """Policy tokens so far."""
        self.seconds = 0.0
        """Wall-clock seconds in which they were sampled, environments included."""
        self._in_flight = asyncio.Semaphore(settings.in_flight)
        self._waiting = WaitingSlots(settings.waiting_environments)
        self._playing = 0

    async def play(
        self,
        tasks: Sequence[Task],
        k: int,
        seed: int,
        reward: CompositeReward | ScoringPool,
        *,
        sampling: Sampling | None = None,
        prefix: str = "",
        for_training: bool = False,
        phase: Phase | None = None,
        step: int | None = None,
        limits: RolloutLimits | None = None,
        earlier: Sequence[Trajectory] = (),
    ) -> list[Trajectory]:
        """`k` judged episodes of each task: those of the first task, then those of the second, and so on.

        Any number of calls may run at once, one for each group of a scheduler, say: they have `RolloutSettings.in_flight`
        episodes between them, first come, first served. With ``limits.iteration_tokens`` a call gives unfinished episodes back
        too (no outcome); the next call takes what this one gave as `earlier`, with the same seed and prefix. A group is judged
        when it is whole, because the length reward compares its members: until then none of it has a reward.

        Args:
            step: of learning, for rewards that begin later.
            limits: in place of those of the settings.
            earlier: see `rollout_batch`.
        """
        with self._meter():
            trajectories = await rollout_batch(
                tasks,
                k,
                seed,
                self.engine,
                self.pool,
                self.dialect,
                sampling or Sampling(),
                limits or self.settings.limits,
                in_flight=self._in_flight,
                prefix=prefix,
                for_training=for_training,
                progress=(lambda done, total, _: phase.advance()) if phase is not None else None,
                earlier=earlier,
                waiting=self._waiting,
            )
        tokens = [sum(each.num_policy_tokens for each in some) for some in (trajectories, earlier)]
        self.sampled_tokens += tokens[0] - tokens[1]
        unfinished = {each.task_id for each in trajectories if each.outcome is None}
        whole = [each for each in trajectories if each.task_id not in unfinished]
        # In a thread: while the verdicts of one group take their time, the episodes of others go on.
        rewards = await asyncio.to_thread(
            reward.score_groups, [task for task in tasks if task.id not in unfinished], whole, step=step
        )
        judged = {
            each.id: replace(each, reward=score, verdicts=rubric_verdicts(score))
            for each, score in zip(whole, rewards, strict=True)
        }
        return [judged.get(each.id, each) for each in trajectories]

    def reset_meter(self) -> None:
        """Begin to count tokens and seconds anew."""
        self.sampled_tokens, self.seconds = 0, 0.0

    @property
    def tokens_per_second(self) -> float:
        """Policy tokens per second of rollouts so far."""
        return self.sampled_tokens / self.seconds if self.seconds else 0.0

    @contextlib.contextmanager
    def _meter(self) -> Iterator[None]:
        """Counts the seconds in which anybody plays, once."""
        if self._playing == 0:
            self._started = time.perf_counter()
        self._playing += 1
        try:
            yield
        finally:
            self._playing -= 1
            if self._playing == 0:
                self.seconds += time.perf_counter() - self._started


@contextlib.asynccontextmanager
async def open_rollouts(settings: RolloutSettings, policy: PolicyConfig, progress: Progress) -> AsyncIterator[Rollouts]:
    """Start engine and environments on a running Ray; both end with the block.

    Raises:
        ModelDirectoryError: `policy.path` cannot be used; before anything has started.
    """
    dialect = read_dialect(policy)
    if settings.limits.max_reasoning_tokens is not None and dialect.reasoning is None:
        raise UserError(
            f"rollouts.limits.max_reasoning_tokens: the chat format {dialect.name} has no place for reasoning; set it to null"
        )
    assert policy.path is not None
    engine, replicas = _engines(settings, policy.path)
    try:
        pool = EnvironmentPool(replace(settings.pool, max_turns=settings.limits.max_turns))
        try:
            with progress.phase("start engine"):
                await asyncio.gather(*(replica.start() for replica in replicas))
            yield Rollouts(settings, engine, pool, dialect)
        finally:
            pool.close()
    finally:
        await engine.close()


def _engines(settings: RolloutSettings, path: str) -> tuple[Engine, list[SupervisedEngine]]:
    """The engine that requests go to, and those that do the work."""
    threads = settings.engine.threads
    if threads is None and settings.replicas > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // settings.replicas)
    config = replace(settings.engine, model=settings.engine.model or path, threads=threads)
    start = partial(_started, config)
    replicas = [SupervisedEngine(start, settings.engine_restarts) for _ in range(settings.replicas)]
    if len(replicas) == 1:
        return replicas[0], replicas
    return ReplicatedEngine(replicas, keep_dialogues=config.enable_prefix_caching), replicas


async def _started(config: EngineConfig) -> Engine:
    engine = RemoteVLLMEngine(config)
    try:
        await engine.start()
    except BaseException:
        await engine.close()
        raise
    return engine
