"""Held-out tasks: how a policy does, greedy and sampled, by world and difficulty, between trivial agents and the oracle.

Held-out tasks are disjoint from training tasks by construction; one world is never trained on and reported apart. Every
pass rate comes with a 95 % interval over tasks.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from pipelines.cluster import ray_session
from pipelines.learning.tasks import ask_for_tasks
from pipelines.progress import Phase, Progress
from pipelines.report import estimates_table
from pipelines.rollouts import Rollouts, RolloutSettings, open_rollouts
from pipelines.run_directory import RunDirectory
from pipelines.schema import Counted, register
from pipelines.statistics import pass_rate
from pipelines.streams import check_stream
from pipelines.structured import plain
from pipelines.train import RL_ERRORS
from rewards.composition import CompositeReward, RewardConfig
from rewards.scoring import ScoringPool
from rl.policy.source import PolicyConfig, read_dialect
from rl.rollout.error_budget import ErrorBudget
from simulators.pool import EnvironmentPool
from simulators.synthesis import ScriptedPolicy
from simulators.tasks.stream import TaskStream
from simulators.worlds import load
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA, from_row, to_row
from trajectories.seeds import derive_seed
from trajectories.shards import ShardWriter, read
from trajectories.tasks import Task
from trajectories.trajectory import Provenance, Sampling, Trajectory

__all__ = ["RULERS", "Evaluate", "Examination", "examine", "examine_all", "held_out_tasks", "measure_rulers"]

RULERS = ("oracle", "null", "always_refuse", "always_act")
"""Scripted agents that every set is played by."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Which held-out tasks are set; the same keys in `orrery evaluate` and `orrery quickstart`."""

    tasks: TaskStream = field(default_factory=TaskStream)
    """The tasks that the headline figure is about."""
    unseen_world: str | None = "library_loans"
    """A world that was never trained on, reported apart; null for none."""
    unseen_count: int = 100
    """Tasks of the unseen world; 0 for none."""
    harder: tuple[int, ...] = (2, 3)
    """Difficulties reported apart, with every family of sub-goals."""
    harder_count: int = 50
    """Tasks of each of them; 0 for none."""
    greedy_count: int = 250
    """Headline tasks that are tried at temperature 0 as well."""

    def __post_init__(self) -> None:
        for key in ("unseen_count", "harder_count", "greedy_count"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key}: must be at least 0 (for none), not {getattr(self, key)}")
        for difficulty in self.harder:
            replace(self.tasks, difficulty=difficulty)
        if self.unseen_world in self.tasks.worlds:
            raise ValueError(f"unseen_world: {self.unseen_world} is one of tasks.worlds; name another, or null for none")


@dataclass(frozen=True, kw_only=True)
class Evaluate(Counted):
    """`count` is the number of headline tasks."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """policy.path names the model directory."""
    examination: Examination = field(default_factory=Examination)
    rewards: RewardConfig = field(default_factory=RewardConfig)
    """Who judges."""
    rollouts: RolloutSettings = field(default_factory=RolloutSettings)
    """Engine, environments, limits."""


def run(config: Evaluate, run: RunDirectory) -> dict[str, Any]:
    """`orrery evaluate`."""
    progress = Progress(("tasks", "rulers", "start engine", "policy"))
    with ray_session(config.workers):
        summary = asyncio.run(_evaluate(config, run, progress))
    summary["phases"] = progress.seconds
    summary["seconds"] = progress.elapsed
    print("\n" + estimates_table(summary["held_out"]["agents"], "held-out tasks"))
    apart = {f"{name}, {who}": rate for name, rates in summary["apart"].items() for who, rate in rates.items()}
    print("\n" + estimates_table(apart, "apart"))
    return summary


async def _evaluate(config: Evaluate, run: RunDirectory, progress: Progress) -> dict[str, Any]:
    sets = held_out_tasks(config.examination, config.count, config, progress)
    rulers = await measure_rulers(sets, config, progress)
    async with open_rollouts(config.rollouts, config.policy, progress) as rollouts:
        found = await examine_all(rollouts, sets, config, progress, "policy", run.path / "rollouts")
    return {
        "held_out": {
            "tasks": config.count,
            "agents": {"sampled": passes(found["held_out"])} | rulers["held_out"],
            "by_world": by_world(found["held_out"]),
        },
        "apart": {
            name: {"policy": passes(episodes)} | rulers.get(name, {}) for name, episodes in found.items() if name != "held_out"
        },
        "engine": {"rollout_tokens_per_second": rollouts.tokens_per_second},
    }


def held_out_tasks(examination: Examination, count: int, config: Any, progress: Progress) -> dict[str, list[Task]]:
    """The sets of tasks by name: ``held_out``, then those reported apart.

    Args:
        config: a command's configuration with `seed`, `rewards` and `workers`.
    """
    streams = {"held_out": (examination.tasks, count)}
    if examination.unseen_world is not None and examination.unseen_count and "tool_use" in examination.tasks.domains:
        unseen = replace(examination.tasks, domains=("tool_use",), worlds=(examination.unseen_world,))
        streams["unseen_world"] = (unseen, examination.unseen_count)
    for difficulty in examination.harder if examination.harder_count else ():
        levels = replace(examination.tasks.gym, levels=(difficulty,))
        families = ("act", "refuse", "search", "ask", "lookup")
        harder = replace(examination.tasks, difficulty=difficulty, families=families, gym=levels)
        streams[f"difficulty_{difficulty}"] = (harder, examination.harder_count)
    sets: dict[str, list[Task]] = {}
    with progress.phase("tasks", sum(number for _, number in streams.values()), "tasks") as phase:
        for name, (stream, number) in streams.items():
            sets[name] = []
            for part in ask_for_tasks(
                stream, range(number), config.seed, "held_out", config.rewards, parts=config.workers
            ):
                sets[name] += ray.get(part)
                phase.update(sum(map(len, sets.values())))
    return sets


async def examine_all(
    rollouts: Rollouts,
    sets: Mapping[str, Sequence[Task]],
    config: Any,
    progress: Progress,
    name: str,
    directory: Path,
) -> dict[str, list[Trajectory]]:
    """The policy's episodes on every set, and ``greedy``: the first headline tasks at temperature 0.

    They are recorded in `directory`, one split each, with the tasks under ``tasks``; what is there already is not played
    again.

    Raises:
        ErrorBudgetSpentError: more than a fiftieth of the episodes ended by a fault.
    """
    asked = {key: (tasks, 1.0) for key, tasks in sets.items()}
    if again := sets["held_out"][: config.examination.greedy_count]:
        asked["greedy"] = (again, 0.0)
    found: dict[str, list[Trajectory]] = {}
    with progress.phase(name, sum(len(tasks) for tasks, _ in asked.values()), "tasks") as phase:
        for key, (tasks, temperature) in asked.items():
            if (directory / f"{key}.manifest.json").is_file():
                found[key] = [from_row(Trajectory, row) for row in read(directory, key)]
                phase.advance(len(tasks))
                continue
            prefix = f"{name}/{key}/"
            found[key] = await examine(rollouts, tasks, config, temperature=temperature, prefix=prefix, phase=phase)
            _record(directory / "tasks", key, tasks, TASK_SCHEMA)
            _record(directory, key, found[key], TRAJECTORY_SCHEMA)
    ErrorBudget(0.02).spend(t.reward for episodes in found.values() for t in episodes if t.reward is not None)
    return found


async def examine(
    rollouts: Rollouts,
    tasks: Sequence[Task],
    config: Any,
    *,
    temperature: float = 1.0,
    prefix: str = "",
    phase: Phase | None = None,
) -> list[Trajectory]:
    """One episode of the policy on each task, its seeds a function of run and task alone.

    Args:
        config: a command's configuration with `seed` and `rewards`.
        prefix: of the episodes' names.
    """
    with ScoringPool(config.rewards, rollouts.settings.scoring) as reward:
        return await rollouts.play(
            tasks,
            1,
            derive_seed(config.seed, "examination"),
            reward,
            sampling=Sampling(temperature=temperature),
            prefix=prefix,
            phase=phase,
        )


async def measure_rulers(
    sets: Mapping[str, Sequence[Task]], config: Any, progress: Progress, teacher: ScriptedPolicy | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Pass rates of the oracle and of agents that understand nothing, by set and ruler, under the policy's own turn limit.

    Args:
        config: a command's configuration with `seed`, `rewards` and `rollouts`.
        teacher: who demonstrated, to be measured as well, on the headline tasks.
    """
    reward = CompositeReward(config.rewards)
    limits = replace(config.rollouts.pool, max_turns=config.rollouts.limits.max_turns)
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in sets}
    due: list[tuple[str, str, dict[str, Any]]] = [
        (name, kind, {"kind": kind}) for name, kind in itertools.product(sets, RULERS)
    ]
    if teacher is not None:
        due.append(("held_out", "teacher", plain(teacher) | {"run_seed": config.seed}))
    with (
        progress.phase("rulers", sum(len(sets[name]) for name, _, _ in due), "episodes") as phase,
        EnvironmentPool(limits) as pool,
    ):
        for name, kind, agent in due:
            tasks = sets[name]
            items = [(task, derive_seed(config.seed, "ruler", task.id), agent) for task in tasks]
            judged = []
            for task, (messages, _, outcome) in zip(tasks, await pool.play_many(items), strict=True):
                about, said = Provenance(world=task.world), {"domain": task.domain}
                episode = Trajectory(
                    f"{kind}/{task.id}", task.id, messages=messages, outcome=outcome, provenance=about, metadata=said
                )
                judged.append(replace(episode, reward=reward.score(task, outcome, episode)))
            found[name][kind] = passes(judged) | {"by_world": by_world(judged)}
            phase.advance(len(tasks))
    return found


def _record(directory: Path, split: str, records: Sequence[Task] | Sequence[Trajectory], schema: pa.Schema) -> None:
    """Write a split, over what a run that was killed left of it."""
    with ShardWriter(directory, schema=schema, split=split, resume=True, keep_rows=0) as writer:
        for record in records:
            writer.append(to_row(record))


def passes(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """``{"pass", "ci95"}`` over valid episodes (null where there is none), with the number of invalid ones if any."""
    values = pass_values(trajectories)
    valid = [value for value in values if value is not None]
    invalid = len(values) - len(valid)
    rate = pass_rate(valid).as_pass() if valid else {"pass": None, "ci95": [None, None]}
    return rate | ({"invalid": invalid} if invalid else {})


def by_world(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """`passes` of each world, and of each domain other than tool_use."""
    found: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        domain = trajectory.metadata.get("domain", "tool_use")
        found.setdefault(trajectory.provenance.world if domain == "tool_use" else domain, []).append(trajectory)
    return {name: passes(group) for name, group in found.items()}


def pass_values(trajectories: Sequence[Trajectory]) -> list[float | None]:
    """1 or 0 per episode; None for one that ended by a fault."""
    rewards = [trajectory.reward for trajectory in trajectories]
    return [r.components["pass"] if r is not None and r.valid else None for r in rewards]


def check(config: Evaluate) -> None:
    """Policy and worlds are there."""
    read_dialect(config.policy)
    check_stream(config.examination.tasks, "examination.tasks")
    if config.examination.unseen_world is not None:
        load(config.examination.unseen_world)


register("evaluate", Evaluate, run, check=check, user_errors=RL_ERRORS)
