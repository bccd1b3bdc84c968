"""A policy of ours that plays tasks to demonstrate, not to learn: through the rollout engine, token for token.

Every completion is written down in the run directory before anything is made of it, so a run that was killed goes on with
the same tokens, and ``file`` replays a run without an engine, byte for byte.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.progress import Phase, Progress
from pipelines.rollouts import RolloutSettings, open_rollouts
from rl.policy.dialects import Dialect
from rl.policy.source import PolicyConfig, read_dialect
from rl.policy.weights import read_weights, tensor_digest
from rl.rollout.agent_loop import Episodes, RolloutLimits
from rl.rollout.batch import rollout_batch
from rl.rollout.engine import Engine
from rl.rollout.engine_config import EngineConfig
from rl.rollout.recorded_engine import RecordedEngine
from simulators.pool import EnvironmentPool
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Trajectory

__all__ = ["EnginePolicy", "EnginePolicySettings", "open_engine_policy"]


@dataclass(frozen=True, kw_only=True)
class EnginePolicySettings:
    """A model directory, and how it is sampled."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """Which; policy.path is needed."""
    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Share of the probability that is kept."""
    top_k: int = -1
    """Tokens that are kept; -1 for all."""
    tool_grammar: bool = True
    """Whether calls can only name declared tools, with arguments that their schemas take; such turns are no data for RL."""
    file: str | None = None
    """The ``completions.sqlite`` of an earlier run, replayed without an engine (the model directory is needed all the same);
    null for none."""
    rollouts: RolloutSettings = field(
        default_factory=lambda: RolloutSettings(
            engine=EngineConfig(model="", max_model_len=4096),
            limits=RolloutLimits(max_turns=20, max_turn_tokens=512, max_tokens=4096),
        )
    )
    """Engine, environments and limits. rollouts.engine.grammars follows tool_grammar."""

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"temperature: is at least 0, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: is above 0 and at most 1, not {self.top_p}")
        if self.top_k != -1 and self.top_k < 1:
            raise ValueError(f"top_k: is at least 1, or -1 for all, not {self.top_k}")

    @property
    def sampling(self) -> Sampling:
        grammar = "tool_calls" if self.tool_grammar else None
        return Sampling(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, grammar=grammar)


class EnginePolicy:
    """Engine, environments and dialect together; made by `open_engine_policy`."""

    def __init__(self, settings: EnginePolicySettings, name: str, engine: Engine, pool: Episodes, dialect: Dialect) -> None:
        self.settings, self.name = settings, name
        self._engine, self._pool, self._dialect = engine, pool, dialect

    async def play(
        self, tasks: Sequence[Task], k: int, run_seed: int, *, first_rollout: int = 0, phase: Phase | None = None
    ) -> list[Trajectory]:
        """`k` episodes of each task, not judged: those of the first task, then those of the second, and so on.

        Args:
            run_seed: with task, rollout and turn it decides every seed, so that calls may be cut up in any way.
            first_rollout: index of each task's first episode.

        Returns:
            Trajectories with tokens and outcomes; what broke is a fault in the outcome.
        """
        played = await rollout_batch(
            tasks,
            k,
            run_seed,
            self._engine,
            self._pool,
            self._dialect,
            self.settings.sampling,
            self.settings.rollouts.limits,
            in_flight=self.settings.rollouts.in_flight,
            first_rollout=first_rollout,
            for_training=False,
            progress=(lambda done, total, _: phase.advance()) if phase is not None else None,
        )
        return [
            replace(each, provenance=replace(each.provenance, models={**each.provenance.models, "policy": self.name}))
            for each in played
        ]


@contextlib.asynccontextmanager
async def open_engine_policy(
    settings: EnginePolicySettings, directory: Path, progress: Progress
) -> AsyncIterator[EnginePolicy]:
    """Start the policy on a running Ray; everything that was started ends with the block.

    Args:
        directory: of the run; completions are kept in its ``completions.sqlite``.
        progress: knows a phase ``start engine``, unless settings.file is set.

    Raises:
        ModelDirectoryError, WeightsFileError: `settings.policy.path` cannot be used; before anything has started.
        FileNotFoundError, ValueError: the recording cannot be used.
    """
    dialect = read_dialect(settings.policy)
    assert settings.policy.path is not None
    weights = tensor_digest(read_weights(settings.policy.path))
    name = f"{Path(settings.policy.path).absolute().name} ({weights[:12]})"
    rollouts = settings.rollouts
    if settings.file is not None:
        replayed = RecordedEngine(settings.file, None, weights)
        pool = EnvironmentPool(replace(rollouts.pool, max_turns=rollouts.limits.max_turns))
        try:
            yield EnginePolicy(settings, name, replayed, pool, dialect)
        finally:
            pool.close()
            await replayed.close()
        return
    rollouts = replace(rollouts, engine=replace(rollouts.engine, grammars=settings.tool_grammar))
    async with open_rollouts(rollouts, settings.policy, progress) as live:
        recorded = RecordedEngine(directory / "completions.sqlite", live.engine, weights)
        try:
            yield EnginePolicy(settings, name, recorded, live.pool, dialect)
        finally:
            await recorded.close()
