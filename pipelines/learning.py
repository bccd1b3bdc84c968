"""The loop of reinforcement learning, on one page.

One iteration: certified tasks -> K rollouts of each -> rewards -> advantages -> optimizer steps -> weights back into the
engine -> proof. Rollouts are stored before they are learnt from, so a run that is killed goes on from its checkpoint and
learns from the same rollouts again.
"""

import math
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import ray
import torch

from pipelines.learning_record import RolloutRecord, Tally
from pipelines.progress import Progress
from pipelines.rollouts import Rollouts
from pipelines.run_directory import RunDirectory
from rewards.composition import RewardConfig
from rewards.scoring import ScoringPool
from rewards.verifiers import verify
from rl.policy.source import PolicyConfig, note_format
from rl.rollout.error_budget import ErrorBudget, ErrorBudgetSpentError
from rl.training.advantages import group_advantages
from rl.training.packing import TokenRow
from rl.training.synchronise import Synchronisation, prove_engine, synchronise
from rl.training.trainer import TrainerConfig
from rl.training.trainer_batch import Rollouts as Batch
from rl.training.trainer_group import Placement, TrainerGroup
from simulators.tasks.stream import TaskStream
from trajectories.seeds import derive_seed
from trajectories.tasks import Split, Task
from trajectories.trajectory import Sampling, Trajectory

__all__ = ["LearningSettings", "ask_for_tasks", "learn"]


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """What reinforcement learning does; the same keys in `orrery train` and `orrery quickstart`."""

    steps: int = 30
    """Iterations: rollouts, then `trainer.gradient_steps` optimizer steps."""
    prompts_per_step: int = 32
    """Tasks of one iteration; every task is used once."""
    group_size: int = 8
    """K, rollouts of each task."""
    temperature: float = 1.0
    """Of sampling; the trainer divides logits by it too."""
    advantage_scale: Literal["none", "std"] = "none"
    """none: r - r_bar; std: divided by the group's standard deviation."""
    shuffle_advantages: bool = False
    """A control: advantages are dealt out anew inside each group, so that nothing is left to learn from."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Objective, optimizer, batches; trainer.schedule runs over `steps`."""
    placement: Placement = field(default_factory=Placement)
    """Trainer processes."""
    checkpoint_every: int = 10
    """Iterations between checkpoints; the last iteration always writes one."""
    error_budget: float = 0.02
    """Share of episodes that may end by a fault before the run stops."""

    def __post_init__(self) -> None:
        for key in ("steps", "prompts_per_step", "checkpoint_every"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")
        if self.group_size < 2:
            raise ValueError(f"group_size: an advantage needs at least 2 rollouts of a task, not {self.group_size}")
        if self.temperature <= 0:
            raise ValueError(f"temperature: must be above 0, not {self.temperature}")
        if self.trainer.schedule.total is not None:
            raise ValueError("trainer.schedule.total: the schedule runs over `steps`; leave this null")
        ErrorBudget(self.error_budget)


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
        batches = _task_batches(settings, stream, rewards, seed, tally.step, workers)
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
                figures = await trainer.train_batch(_batch(settings, trajectories, seed, step), progress=step - 1)
                clock.append(time.perf_counter())
                sync = None
                if int(figures["version"]) != rollouts.engine.version:
                    sync = await synchronise(rollouts.engine, trainer, derive_seed(seed, "probe", step))
                    tally.add_sync(sync)
                clock.append(time.perf_counter())
                observed = _observed(trajectories)
                tally.add_step(step, trajectories, figures, observed["reward/pass_rate"], budget)
                run.events.scalars(step, observed | _curves(figures, clock, sync))
                phase.advance(pass_rate=observed["reward/pass_rate"], entropy=figures["entropy_per_token"])
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


def ask_for_tasks(
    stream: TaskStream, numbers: Sequence[int], seed: int, split: Split, rewards: RewardConfig, *, parts: int
) -> list[ray.ObjectRef]:
    """Promises of the certified tasks of these numbers: lists that follow one another, made side by side on a running
    Ray."""
    size = math.ceil(len(numbers) / parts)
    chunks = [list(numbers[start : start + size]) for start in range(0, len(numbers), size)]
    return [_make_tasks.remote(stream, chunk, seed, split, rewards) for chunk in chunks]


@ray.remote(num_cpus=1)
def _make_tasks(stream: TaskStream, numbers: list[int], seed: int, split: Split, rewards: RewardConfig) -> list[Task]:
    return stream.tasks(numbers, run_seed=seed, split=split, verify=verify)


def _task_batches(
    settings: LearningSettings, stream: TaskStream, rewards: RewardConfig, seed: int, done: int, workers: int
) -> Iterator[list[Task]]:
    """The tasks of each iteration after `done`; those of the next one are made while this one runs."""
    size = settings.prompts_per_step

    def ask(step: int) -> list[ray.ObjectRef]:
        # A seed of its own: the tasks of reinforcement learning are not those of the demonstrations.
        numbers = range((step - 1) * size, step * size)
        return ask_for_tasks(stream, numbers, derive_seed(seed, "learning"), "train", rewards, parts=workers)

    coming = ask(done + 1) if done < settings.steps else []
    for step in range(done + 1, settings.steps + 1):
        tasks = [task for part in ray.get(coming) for task in part]
        if step < settings.steps:
            coming = ask(step + 1)
        yield tasks


def _batch(settings: LearningSettings, trajectories: Sequence[Trajectory], seed: int, step: int) -> Batch:
    """What the trainer learns from: advantages over whole groups; faults have none and count nowhere."""
    groups = torch.arange(len(trajectories)) // settings.group_size
    verdicts = [trajectory.reward for trajectory in trajectories]
    rewards = torch.tensor([v.value if v is not None and v.value is not None else 0.0 for v in verdicts]).double()
    valid = torch.tensor([verdict is not None and verdict.valid for verdict in verdicts])
    advantages = group_advantages(rewards, valid, groups, settings.advantage_scale)
    if settings.shuffle_advantages:
        advantages = _shuffled(advantages, valid, groups, derive_seed(seed, "shuffle", step))
    used = [number for number, trajectory in enumerate(trajectories) if trajectory.num_policy_tokens]
    if not used:
        raise ErrorBudgetSpentError(f"step {step}: no episode has a single sampled token; see the faults in rollouts/")
    return Batch(
        rows=[TokenRow.of(trajectories[number]) for number in used],
        advantages=advantages[used],
        valid=valid[used],
        group_ids=groups[used],
    )


def _shuffled(advantages: torch.Tensor, valid: torch.Tensor, groups: torch.Tensor, seed: int) -> torch.Tensor:
    """The same advantages in random order inside each group: the control from which nothing can be learnt."""
    generator = np.random.default_rng(seed)
    shuffled = advantages.clone()
    for group in groups.unique():
        members = ((groups == group) & valid).nonzero().flatten()
        shuffled[members] = advantages[members[torch.from_numpy(generator.permutation(len(members)))]]
    return shuffled


def _observed(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """What the rollouts of one iteration look like; means are over valid ones."""
    valid = [trajectory for trajectory in trajectories if trajectory.reward is not None and trajectory.reward.valid]
    counted = len(valid) or math.nan  # where there is no verdict there is no rate either
    endings = [trajectory.outcome.ending for trajectory in valid if trajectory.outcome is not None]
    return {
        "reward/mean": sum(t.reward.value or 0.0 for t in valid if t.reward is not None) / counted,
        "reward/pass_rate": sum(t.reward.components["pass"] for t in valid if t.reward is not None) / counted,
        "reward/invalid_share": 1 - len(valid) / len(trajectories),
        "rollout/policy_tokens_per_trajectory": sum(t.num_policy_tokens for t in valid) / counted,
        "rollout/turns_per_trajectory": sum(sum(s.origin == "policy" for s in t.segments) for t in valid) / counted,
        "rollout/malformed_share": endings.count("malformed") / counted,
        "rollout/cut_off_share": (endings.count("token_limit") + endings.count("turn_limit")) / counted,
    }


def _curves(figures: Mapping[str, float], clock: Sequence[float], sync: Synchronisation | None) -> dict[str, float]:
    """The trainer's figures and the seconds of each part of the iteration."""
    seconds = {
        "time/rollout_seconds": clock[1] - clock[0],
        "time/train_seconds": clock[2] - clock[1],
        "time/sync_seconds": clock[3] - clock[2],
        "time/step_seconds": clock[3] - clock[0],
    }
    if sync is not None:
        seconds |= {"time/sync_transfer_seconds": sync.seconds, "sync/probe_difference_max": sync.proof.max_difference}
        seconds["sync/probe_coverage"] = sync.coverage
    return {f"train/{name}": value for name, value in figures.items()} | seconds


def _publish(checkpoint: Path, directory: Path) -> None:
    """The model of a checkpoint, without what only the trainer needs."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(checkpoint, directory, ignore=shutil.ignore_patterns("trainer.*"))


def _checkpoint(run: RunDirectory, step: int) -> Path:
    return run.path / "checkpoints" / f"step-{step:06d}"
