"""The loop of reinforcement learning, on one page.

One iteration: certified tasks -> K rollouts of each -> rewards -> advantages -> optimizer steps -> weights back into the
engine -> proof. Rollouts are stored before they are learnt from, so a run that is killed goes on from its checkpoint and
learns from the same rollouts again.
"""

import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.learning.batch import training_batch
from pipelines.learning.observed import curves, observed
from pipelines.learning.record import RolloutRecord, Tally
from pipelines.learning.settings import LearningSettings
from pipelines.learning.tasks import task_batches
from pipelines.progress import Progress
from pipelines.rollouts import Rollouts
from pipelines.run_directory import RunDirectory
from rewards.composition import RewardConfig
from rewards.scoring import ScoringPool
from rl.policy.source import PolicyConfig, note_format
from rl.rollout.error_budget import ErrorBudget
from rl.training.synchronise import prove_engine, synchronise
from rl.training.trainer_group import TrainerGroup
from simulators.tasks.stream import TaskStream
from trajectories.seeds import derive_seed
from trajectories.trajectory import Sampling

__all__ = ["learn"]


async def learn(
    settings: LearningSettings,
    policy: PolicyConfig,
    stream: TaskStream,
    rewards: RewardConfig,
    rollouts: Rollouts,
    run: RunDirectory,
    progress: Progress,
    *,
    seed: int,
    workers: int,
) -> dict[str, Any]:
    """Train the policy that `rollouts` serves; its successor is in the engine and in ``<run>/policy`` afterwards.

    Args:
        workers: processes that make tasks side by side, for the next iteration while this one runs.

    Raises:
        WeightSyncError, LogProbabilityError: engine and trainer are not the same policy; nothing was learnt from it.
        ErrorBudgetSpentError: too many episodes ended by a fault.
    """
    assert policy.path is not None
    reward, tally = ScoringPool(rewards, rollouts.settings.scoring), Tally.of(run)
    budget = ErrorBudget(settings.error_budget, episodes=tally.rollouts, causes=Counter(tally.faults))
    schedule = replace(settings.trainer.schedule, total=float(settings.steps))
    trainer = await TrainerGroup.start(replace(settings.trainer, schedule=schedule), policy.path, settings.placement)
    record = RolloutRecord(run.path / "rollouts", settings.prompts_per_step, settings.group_size, tally.step)
    try:
        if tally.step:
            await trainer.load_checkpoint(str(_checkpoint(run, tally.step)))
        if tally.version != rollouts.engine.version:
            tally.add_sync(await synchronise(rollouts.engine, trainer, derive_seed(seed, "probe", tally.step)))
        else:
            await prove_engine(rollouts.engine, trainer, derive_seed(seed, "probe", 0))
        run.events.rewind(tally.step + 1)
        batches = task_batches(settings, stream, rewards, seed, tally.step, workers)
        with record, progress.phase("learn", settings.steps, "steps") as phase:
            phase.start_from(tally.step)
            for step in range(tally.step + 1, settings.steps + 1):
                clock = [time.perf_counter()]
                tasks = next(batches)
                recorded = record.stored(step)
                trajectories = recorded or await rollouts.play(
                    tasks,
                    settings.group_size,
                    derive_seed(seed, "rollouts", step),
                    reward,
                    sampling=Sampling(temperature=settings.temperature),
                    prefix=f"{step}/",
                    for_training=True,
                    step=step,
                )
                # Before they are recorded: a run that an engine's death stopped must not find that death again on resume.
                budget.spend(trajectory.reward for trajectory in trajectories if trajectory.reward is not None)
                if recorded is None:
                    record.store(step, tasks, trajectories)
                clock.append(time.perf_counter())
                figures = await trainer.train_batch(training_batch(settings, trajectories, seed, step), progress=step - 1)
                clock.append(time.perf_counter())
                sync = None
                if int(figures["version"]) != rollouts.engine.version:
                    sync = await synchronise(rollouts.engine, trainer, derive_seed(seed, "probe", step))
                    tally.add_sync(sync)
                clock.append(time.perf_counter())
                seen = observed(trajectories)
                tally.add_step(step, trajectories, figures, seen["reward/pass_rate"], budget)
                run.events.scalars(step, seen | curves(figures, clock, sync))
                phase.advance(pass_rate=seen["reward/pass_rate"], entropy=figures["entropy_per_token"])
                if step % settings.checkpoint_every == 0 or step == settings.steps:
                    await trainer.save_checkpoint(str(_checkpoint(run, step)))
                    note_format(policy, _checkpoint(run, step))
                    tally.save(run)
        _publish(_checkpoint(run, settings.steps), run.path / "policy")
        return {
            "train": tally.summary(),
            "engine": {"rollout_tokens_per_second": rollouts.tokens_per_second},
            "policy": {"parameters": trainer.parameters},
        }
    finally:
        reward.close()
        await trainer.close()


def _publish(checkpoint: Path, directory: Path) -> None:
    """The model of a checkpoint, without what only the trainer needs."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(checkpoint, directory, ignore=shutil.ignore_patterns("trainer.*"))


def _checkpoint(run: RunDirectory, step: int) -> Path:
    return run.path / "checkpoints" / f"step-{step:06d}"
