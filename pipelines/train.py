"""Reinforcement learning: rollouts by the engine, verdicts by the worlds, steps by the trainer, every update proven."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from pipelines.cluster import ray_session
from pipelines.learning.checks import check_learning
from pipelines.learning.loop import learn
from pipelines.learning.settings import LearningSettings
from pipelines.progress import Progress
from pipelines.rollouts import RolloutSettings, open_rollouts
from pipelines.run_directory import RunDirectory
from pipelines.schema import Command, register
from rewards.composition import RewardConfig
from rl.policy.presets import ModelDirectoryError
from rl.policy.source import PolicyConfig, read_dialect
from rl.rollout.engine import EngineError, WeightSyncError
from rl.rollout.error_budget import ErrorBudgetSpentError
from rl.training.checkpoints import CheckpointError
from rl.training.forward import LogProbabilityError
from rl.training.ptx_data import PTXData
from simulators.tasks.stream import TaskStream, UncertifiableError
from simulators.worlds import WorldSpecError
from trajectories.shards import ShardError

__all__ = ["RL_ERRORS", "Train"]

RL_ERRORS: tuple[type[Exception], ...] = (
    CheckpointError,
    EngineError,
    ErrorBudgetSpentError,
    FloatingPointError,
    LogProbabilityError,
    ModelDirectoryError,
    ShardError,
    UncertifiableError,
    WeightSyncError,
    WorldSpecError,
)
"""What says by itself what went wrong; shown without a traceback."""


@dataclass(frozen=True, kw_only=True)
class Train(Command):
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """What is trained: policy.path names a model directory, e.g. that of `orrery sft`."""
    tasks: TaskStream = field(default_factory=TaskStream)
    """What it is trained on."""
    rewards: RewardConfig = field(default_factory=RewardConfig)
    """Who judges, and what the verdict is worth."""
    rollouts: RolloutSettings = field(default_factory=RolloutSettings)
    """Engine, environments, limits."""
    learning: LearningSettings = field(default_factory=LearningSettings)
    """Iterations, groups, trainer."""


def run(config: Train, run: RunDirectory) -> dict[str, Any]:
    """`orrery train`."""
    progress = Progress(("start engine", "learn"))
    with ray_session(config.workers):
        summary = asyncio.run(_train(config, run, progress))
    summary["phases"] = progress.seconds
    summary["seconds"] = progress.elapsed
    train = summary["train"]
    print(
        f"\n{train['steps']} steps, {train['rollouts']:,} rollouts, {train['tokens']:,} sampled tokens"
        f" ({summary['engine']['rollout_tokens_per_second']:,.0f}/s)\n"
        f"pass rate over the first and over the last tenth of the steps:"
        f" {train['first_pass_rate']:.3f}, {train['last_pass_rate']:.3f}\n"
        f"engine against trainer, over every token of the same weights: at most {train['max_logprob_difference']:.1e} nats\n"
        f"policy: {run.shown_path}/policy"
    )
    return summary


async def _train(config: Train, run: RunDirectory, progress: Progress) -> dict[str, Any]:
    async with open_rollouts(config.rollouts, config.policy, progress) as rollouts:
        return await learn(
            config.learning,
            config.policy,
            config.tasks,
            config.rewards,
            rollouts,
            run,
            progress,
            seed=config.seed,
            workers=config.workers,
        )


def check(config: Train) -> None:
    """Policy, worlds and data are there."""
    dialect, recipe = read_dialect(config.policy), config.learning.recipe
    check_learning(config.learning, config.tasks, config.rollouts)
    if recipe.ptx.path is not None:
        PTXData(recipe.ptx.path, dialect, config.seed, recipe.ptx.tokens)


register("train", Train, run, check=check, user_errors=RL_ERRORS)
