"""The loop of reinforcement learning, on one page.

One iteration: certified tasks -> K rollouts of each -> rewards -> advantages -> optimizer steps -> weights back into the
engine -> proof. Rollouts are stored before they are learnt from, so a run that is killed goes on from its checkpoint and
learns from the same rollouts again. A scheduler plays the rollouts: in turns with the training or beside it, as the schedule
says; the loop is the same.
"""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.learning.batch import group_curves, training_batch
from pipelines.learning.deaths import naming_dead_ranks
from pipelines.learning.observed import curves, observed
from pipelines.learning.record import RolloutRecord
from pipelines.learning.schedule import staleness
from pipelines.learning.settings import LearningSettings
from pipelines.learning.tally import Tally
from pipelines.learning.tasks import TaskFeed
from pipelines.progress import Progress
from pipelines.rollouts import Rollouts
from pipelines.run_directory import RunDirectory
from rewards.composition import RewardConfig
from rewards.scoring import ScoringPool
from rewards.verifiers import VERIFIERS
from rl.policy.source import PolicyConfig, note_format
from rl.rollout.error_budget import ErrorBudget
from rl.rollout.scheduling import Group, Scheduler
from rl.training.engine_weights import EngineWeights
from rl.training.ptx_data import PTXData
from rl.training.trainer_group import TrainerGroup
from simulators.tasks.stream import TaskStream
from trajectories.seeds import derive_seed
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Trajectory

__all__ = ["iterate", "learn"]


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
        EngineLostError, TrainerDiedError: processes died that the run cannot go on without; it can be resumed.
    """
    assert policy.path is not None
    reward = ScoringPool(rewards, rollouts.settings.scoring)
    schedule = replace(settings.trainer.schedule, total=float(settings.steps))
    prepared = replace(settings.trainer, schedule=schedule)
    trainer = await TrainerGroup.start(prepared, policy.path, settings.placement, settings.weight_sync)
    try:
        feed = TaskFeed(settings, stream, rewards, seed, workers, delay=settings.schedule.begun_ahead)
        async with naming_dead_ranks(trainer):
            return await iterate(settings, policy, trainer, feed, reward, rollouts, run, progress, seed=seed)
    finally:
        reward.close()
        await trainer.close()


async def iterate(
    settings: LearningSettings,
    policy: PolicyConfig,
    trainer: TrainerGroup,
    feed: TaskFeed,
    reward: ScoringPool,
    rollouts: Rollouts,
    run: RunDirectory,
    progress: Progress,
    *,
    seed: int,
) -> dict[str, Any]:
    """`learn`, with everything that it needs running."""
    tally = Tally.of(run)
    budget = ErrorBudget(
        settings.error_budget, episodes=tally.rollouts, causes=Counter(tally.faults), examples=dict(tally.fault_examples)
    )
    record = RolloutRecord(run.path / "rollouts", settings.prompts_per_step, settings.group_size, tally.step)
    resumed, told = tally.step, settings.recipe.ptx
    ptx = PTXData(told.path, rollouts.dialect, seed, told.tokens) if told.path is not None else None
    if resumed:
        await trainer.load_checkpoint(str(_checkpoint(run, resumed)))
        feed.load_state_dict(tally.feed)
    weights = EngineWeights(rollouts.engine, trainer, tally.version, tally.add_sync)
    await weights.begin(derive_seed(seed, "probe", resumed))
    run.events.rewind(resumed + 1)

    limits = replace(rollouts.settings.limits, iteration_tokens=settings.schedule.iteration_tokens)
    if reward.config.budget_penalty:
        limits = replace(limits, budgets={domain: reward.config.budget_of(domain) for domain in VERIFIERS} | dict(limits.budgets))

    async def tasks(iteration: int) -> Sequence[Task]:
        if iteration <= record.begun:
            return record.tasks(iteration)
        made = await asyncio.to_thread(feed.batch, iteration)
        await asyncio.to_thread(record.begin, iteration, made)
        return made

    async def play(groups: Sequence[Group]) -> list[list[Trajectory]]:
        iteration = groups[0].iteration
        played = await rollouts.play(
            [group.task for group in groups],
            settings.group_size,
            derive_seed(seed, "rollouts", iteration),
            reward,
            sampling=Sampling(temperature=settings.recipe.temperature(iteration, settings.temperature, settings.steps)),
            prefix=f"{iteration}/",
            for_training=True,
            step=iteration,
            limits=limits,
            earlier=[trajectory for group in groups for trajectory in group.trajectories],
        )
        return [played[start : start + settings.group_size] for start in range(0, len(played), settings.group_size)]

    scheduler = Scheduler(
        settings.schedule.rule(settings.prompts_per_step, settings.steps),
        tasks,
        play,
        together=settings.schedule.mode != "async",
        learnt=resumed,
        committed=[[place.number for place in commit.groups] for commit in record.commits],
        waiting=record.waiting,
    )
    with record, progress.phase("learn", settings.steps, "steps") as phase:
        async with scheduler:
            phase.start_from(resumed)
            for step in range(resumed + 1, settings.steps + 1):
                clock = [time.perf_counter()]
                recorded = record.stored(step)
                groups = recorded or await scheduler.batch(step)
                trajectories = [trajectory for group in groups for trajectory in group.trajectories]
                version = weights.version if recorded is None else record.commits[step - 1].version
                # Before they are recorded: a run that an engine's death stopped must not find that death again on resume.
                budget.spend(trajectory.reward for trajectory in trajectories if trajectory.reward is not None)
                batch = training_batch(settings, trajectories, seed, step, version)
                if recorded is None:
                    await asyncio.to_thread(record.store, step, version, groups, scheduler.waiting)
                clock.append(time.perf_counter())
                if settings.recipe.resets_optimizer(step):
                    await trainer.reset_optimizer()
                mixed = ptx.batch(step) if ptx else ()
                figures = await weights.train(batch, progress=step - 1, demonstrations=mixed)
                clock.append(time.perf_counter())
                if settings.schedule.mode != "async":
                    await scheduler.settle()  # what runs ends on the weights that it began with
                sync = await weights.update(derive_seed(seed, "probe", step), settings.schedule.update)
                clock.append(time.perf_counter())
                seen = observed(trajectories)
                feed.observe(step, [group.number for group in groups], trajectories)
                tally.add_step(step, trajectories, figures, seen["reward/pass_rate"], budget)
                shares = staleness(groups, step) | group_curves(settings, trajectories)
                shares["engine/restarts"] = float(weights.restarts)
                run.events.scalars(step, seen | shares | curves(figures, clock, sync))
                phase.advance(pass_rate=seen["reward/pass_rate"], entropy=figures["entropy_per_token"])
                if step % settings.checkpoint_every == 0 or step == settings.steps:
                    await trainer.save_checkpoint(str(_checkpoint(run, step)))
                    note_format(policy, _checkpoint(run, step))
                    tally.feed = feed.state_dict()
                    tally.save(run)
                scheduler.learnt(step)
    weights.close()
    _publish(_checkpoint(run, settings.steps), run.path / "policy")
    return {
        "train": tally.summary(),
        "engine": {"rollout_tokens_per_second": rollouts.tokens_per_second, "restarts": weights.restarts},
        "policy": {"parameters": trainer.parameters},
    }


def _publish(checkpoint: Path, directory: Path) -> None:
    """The model of a checkpoint, without what only the trainer needs."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(checkpoint, directory, ignore=shutil.ignore_patterns("trainer.*"))


def _checkpoint(run: RunDirectory, step: int) -> Path:
    return run.path / "checkpoints" / f"step-{step:06d}"
