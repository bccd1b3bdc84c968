"""The policy at work: an engine that samples, a pool of environments, and the chat format between them."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from pipelines.progress import Phase, Progress
from rewards.composition import CompositeReward
from rewards.scoring import ScoringConfig, ScoringPool
from rewards.verdicts import rubric_verdicts
from rl.policy.dialects import Dialect
from rl.policy.source import PolicyConfig, read_dialect
from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.batch import rollout_batch
from rl.rollout.engine_config import EngineConfig
from rl.rollout.remote_engine import RemoteVLLMEngine
from simulators.pool import EnvironmentPool, PoolConfig
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Trajectory

__all__ = ["RolloutSettings", "Rollouts", "open_rollouts"]


@dataclass(frozen=True, kw_only=True)
class RolloutSettings:
    engine: EngineConfig = field(default_factory=lambda: EngineConfig(model=""))
    """vLLM; an empty engine.model stands for policy.path."""
    pool: PoolConfig = field(default_factory=PoolConfig)
    """Environments."""
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    """Verdicts that take their time are computed in processes of their own."""
    limits: RolloutLimits = field(default_factory=RolloutLimits)
    """Where an episode is cut off; limits.max_turns goes for the environments too."""
    in_flight: int = 96
    """Episodes that run together; somewhat more than engine.max_num_seqs keeps the engine full."""

    def __post_init__(self) -> None:
        if self.in_flight < 1:
            raise ValueError(f"in_flight: must be at least 1, not {self.in_flight}")
        if self.pool.max_turns not in (PoolConfig().max_turns, self.limits.max_turns):
            raise ValueError("pool.max_turns: limits.max_turns goes for the environments too; set that one")
        if self.limits.max_tokens > self.engine.max_model_len:
            raise ValueError(
                f"limits.max_tokens: {self.limits.max_tokens} tokens do not fit engine.max_model_len="
                f"{self.engine.max_model_len}"
            )


class Rollouts:
    """Engine, pool and dialect together; made by `open_rollouts`."""

    def __init__(
        self, settings: RolloutSettings, engine: RemoteVLLMEngine, pool: EnvironmentPool, dialect: Dialect
    ) -> None:
        self.settings, self.engine, self.pool, self.dialect = settings, engine, pool, dialect
        self.sampled_tokens = 0
        """Policy tokens so far."""
        self.seconds = 0.0
        """Wall-clock seconds in which they were sampled, environments included."""

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
    ) -> list[Trajectory]:
        """`k` judged episodes of each task: those of the first task, then those of the second, and so on.

        Args:
            step: of learning, for rewards that begin later.
        """
        started = time.perf_counter()
        trajectories = await rollout_batch(
            tasks,
            k,
            seed,
            self.engine,
            self.pool,
            self.dialect,
            sampling or Sampling(),
            self.settings.limits,
            in_flight=self.settings.in_flight,
            prefix=prefix,
            for_training=for_training,
            progress=(lambda done, total, _: phase.advance()) if phase is not None else None,
        )
        self.seconds += time.perf_counter() - started
        self.sampled_tokens += sum(trajectory.num_policy_tokens for trajectory in trajectories)
        rewards = reward.score_groups(tasks, trajectories, step=step)
        return [
            replace(trajectory, reward=score, verdicts=rubric_verdicts(score))
            for trajectory, score in zip(trajectories, rewards, strict=True)
        ]

    def reset_meter(self) -> None:
        """Begin to count tokens and seconds anew."""
        self.sampled_tokens, self.seconds = 0, 0.0

    @property
    def tokens_per_second(self) -> float:
        """Policy tokens per second of rollouts so far."""
        return self.sampled_tokens / self.seconds if self.seconds else 0.0


@contextlib.asynccontextmanager
async def open_rollouts(
    settings: RolloutSettings, policy: PolicyConfig, progress: Progress
) -> AsyncIterator[Rollouts]:
    """Start engine and environments on a running Ray; both end with the block.

    Raises:
        ModelDirectoryError: `policy.path` cannot be used; before anything has started.
    """
    dialect = read_dialect(policy)
    assert policy.path is not None
    engine = RemoteVLLMEngine(replace(settings.engine, model=settings.engine.model or policy.path))
    pool = EnvironmentPool(replace(settings.pool, max_turns=settings.limits.max_turns))
    try:
        with progress.phase("start engine"):
            await engine.start()
        yield Rollouts(settings, engine, pool, dialect)
    finally:
        await engine.close()
        pool.close()
