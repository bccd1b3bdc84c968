"""The whole loop at laptop size: worlds -> demonstrations -> cold start -> reinforcement learning -> proof on held-out tasks.

Every step is the real one (Ray, vLLM, DeepSpeed, TRL); only the policy and its tasks are small. What it can learn in minutes is
one sub-goal per task, its record named by id: look it up, decide by the policy in the system prompt, act or decline.
"""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pipelines.cluster import ray_session
from pipelines.errors import UserError
from pipelines.evaluate import Examination, by_world, examine_all, held_out_tasks, measure_rulers, pass_values, passes
from pipelines.learning.checks import check_learning
from pipelines.learning.loop import learn
from pipelines.learning.settings import LearningSettings
from pipelines.progress import Progress
from pipelines.quickstart_report import write_report
from pipelines.rollouts import RolloutSettings, open_rollouts
from pipelines.run_directory import RunDirectory, require_same_settings
from pipelines.schema import Command, register
from pipelines.sft import cold_start
from pipelines.statistics import paired_difference
from pipelines.structured import plain
from pipelines.synthesis.crew import Player
from pipelines.synthesize import Synthesize, make_dataset
from pipelines.train import RL_ERRORS
from rewards.composition import RewardConfig
from rl.policy.source import PolicyConfig, read_dialect
from rl.training.sft import SFTSettings
from simulators.synthesis import ScriptedPolicy
from simulators.tasks.stream import TaskStream
from simulators.worlds import load
from trajectories.deduplication import DedupConfig
from trajectories.trajectory import Trajectory

__all__ = ["Quickstart"]

_BEFORE_LEARNING = ("synthesize", "sft", "examined/before")
_PHASES = ("synthesize", "cold start", "tasks", "rulers", "start engine", "examine before", "learn", "examine after", "report")


@dataclass(frozen=True, kw_only=True)
class Quickstart(Command):
    demonstrations: int = 6000
    """Tasks that the teacher plays for the cold start."""
    teacher: ScriptedPolicy = field(default_factory=ScriptedPolicy)
    """Who demonstrates."""
    keep: Literal["passes", "all"] = "all"
    """Which demonstrations the cold start sees: those that pass, or all of them, failures included."""
    held_out: int = 1000
    """Held-out tasks that the policy is measured on before and after reinforcement learning."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """What is trained; starts from random weights unless policy.path says otherwise."""
    tasks: TaskStream = field(default_factory=TaskStream)
    """What it is trained on."""
    rewards: RewardConfig = field(default_factory=RewardConfig)
    sft: SFTSettings = field(default_factory=SFTSettings)
    """The cold start."""
    cold_start: str | None = None
    """Directory of a quickstart of the same settings, `learning` aside, whose demonstrations, cold start and examination
    before learning are taken over instead of made again; null makes them. For comparing ways of learning."""
    rollouts: RolloutSettings = field(default_factory=RolloutSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    """Reinforcement learning."""
    examination: Examination = field(default_factory=Examination)
    """What is measured on held-out tasks; examination.tasks follows `tasks`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("demonstrations", "held_out"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")
        if self.examination.tasks not in (TaskStream(), self.tasks):
            raise ValueError("examination.tasks: the quickstart examines on `tasks`; set that one")
        replace(self.examination, tasks=self.tasks)


def run(config: Quickstart, run: RunDirectory) -> dict[str, Any]:
    """`orrery quickstart`."""
    progress = Progress(_PHASES)
    if config.cold_start is not None:
        _take_over(Path(config.cold_start), run)
    with ray_session(config.workers):
        dataset = _demonstrations(config, run, progress)
        learnt = _cold_start(config, run, progress)
        summary = asyncio.run(_learn_and_measure(config, run, progress, learnt))
    summary = {
        "seconds": progress.elapsed,
        "phases": progress.seconds,
        "policy": learnt["policy"],
        "dataset": {"rows": dataset["rows"], "shards": dataset["shards"], "passes": dataset["passes"]},
        "sft": learnt["sft"],
    } | summary
    held = summary["held_out"]
    print(
        f"\nOn {held['tasks']:,} held-out tasks, sampled at temperature 1, the policy passes\n"
        f"  {_shown(held['sft'])} after the cold start and\n"
        f"  {_shown(held['rl'])} after {summary['train']['steps']} steps of reinforcement learning:"
        f" a difference of {_shown(held['difference'], '+')}.\n"
        f"Rulers: oracle {held['oracle']['pass']:.2f}, null {held['null']['pass']:.2f}, always refuse"
        f" {held['always_refuse']['pass']:.2f}, always act {held['always_act']['pass']:.2f}.\n"
        f"Every one of the {summary['train']['tokens']:,} sampled tokens has the trainer's log-probability within"
        f" {summary['train']['max_logprob_difference']:.1e} nats.\n"
        f"Done in {summary['seconds'] / 60:.1f} minutes; read {run.shown_path}/report.md"
    )
    return summary


def _take_over(source: Path, run: RunDirectory) -> None:
    """Copy what another run did before learning; `check` has looked at it."""
    for name in _BEFORE_LEARNING:
        if not (run.path / name).exists():
            copy = run.file(f"{name}.copy")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source / name, copy)
            copy.rename(run.path / name)


def _demonstrations(config: Quickstart, run: RunDirectory, progress: Progress) -> dict[str, Any]:
    synthesize = Synthesize(
        seed=config.seed,
        workers=config.workers,
        count=config.demonstrations,
        tasks=config.tasks,
        policy=Player(kind=config.teacher.kind, competence=config.teacher.competence, errors=config.teacher.errors),
        dedup=DedupConfig(exact=False, threshold=0.0),  # a cold start may well see a dialogue twice
        rewards=config.rewards,
        keep=config.keep,
    )
    with run.child("synthesize", {"demonstrations": config.demonstrations}) as child:
        if not child.finished:
            child.write_summary(make_dataset(synthesize, child.path, progress, resume=child.resumed))
        return child.read_summary()


def _cold_start(config: Quickstart, run: RunDirectory, progress: Progress) -> dict[str, Any]:
    with run.child("sft", {"sft": config.sft}) as child:
        if not child.finished:
            data = str(run.path / "synthesize")
            child.write_summary(cold_start(config.policy, config.sft, data, child, progress, seed=config.seed))
        return child.read_summary()


async def _learn_and_measure(
    config: Quickstart, run: RunDirectory, progress: Progress, learnt: dict[str, Any]
) -> dict[str, Any]:
    policy = replace(config.policy, path=str(run.path / "sft" / "policy"))
    examination = replace(config.examination, tasks=config.tasks)
    sets = held_out_tasks(examination, config.held_out, config, progress)
    rulers = await measure_rulers(sets, config, progress, config.teacher)
    async with open_rollouts(config.rollouts, policy, progress) as rollouts:
        before = await examine_all(rollouts, sets, config, progress, "examine before", run.path / "examined" / "before")
        rollouts.reset_meter()
        summary = await learn(
            config.learning,
            policy,
            config.tasks,
            config.rewards,
            rollouts,
            run,
            progress,
            seed=config.seed,
            workers=config.workers,
        )
        after = await examine_all(rollouts, sets, config, progress, "examine after", run.path / "examined" / "after")
    summary["policy"] = learnt["policy"]
    summary["held_out"] = _held_out(before["held_out"], after["held_out"], config.seed) | rulers["held_out"]
    summary["apart"] = {
        name: {"sft": passes(before[name]), "rl": passes(after[name])} | rulers.get(name, {})
        for name in before
        if name != "held_out"
    }
    summary["by_world"] = {"sft": by_world(before["held_out"]), "rl": by_world(after["held_out"])}
    with progress.phase("report"):
        write_report(run, summary, sets["held_out"], before["held_out"], after["held_out"])
    return summary


def _held_out(before: Sequence[Trajectory], after: Sequence[Trajectory], seed: int) -> dict[str, Any]:
    """Pass rates and their paired difference, over the tasks that are valid in both."""
    values = list(zip(pass_values(before), pass_values(after), strict=True))
    both = [(first, second) for first, second in values if first is not None and second is not None]
    difference = paired_difference([second for _, second in both], [first for first, _ in both], seed=seed)
    return {
        "tasks": len(values),
        "sft": passes(before),
        "rl": passes(after),
        "difference": difference.as_mean(),
    }


def _shown(estimate: dict[str, Any], sign: str = "") -> str:
    value = estimate["pass"] if "pass" in estimate else estimate["mean"]
    low, high = estimate["ci95"]
    return f"{value:{sign}.3f} (95 % interval {low:{sign}.3f} to {high:{sign}.3f})"


def check(config: Quickstart) -> None:
    """The worlds are there, and the policy and the cold start if they are named."""
    check_learning(config.learning, config.tasks, config.rollouts)
    if config.tasks.domains != ("tool_use",):
        raise UserError("tasks.domains: the quickstart's teacher plays tasks of tool_use alone; orrery train takes the others")
    if config.examination.unseen_world is not None:
        load(config.examination.unseen_world)
    if config.policy.path is not None:
        read_dialect(config.policy)
    if config.cold_start is not None:
        _check_cold_start(config, Path(config.cold_start))


def _check_cold_start(config: Quickstart, source: Path) -> None:
    """A cold start that may be taken over was made with the same settings, and came as far as the first examination."""
    if not (source / "config.yaml").is_file():
        raise UserError(f"cold_start: {source} holds no run")
    settings = plain(config)
    require_same_settings(source, "quickstart", settings, free=("learning", "cold_start"), advice="leave cold_start out")
    if not (source / "examined" / "before" / "greedy.manifest.json").is_file():
        raise UserError(f"cold_start: {source} did not come as far as its first examination")


register("quickstart", Quickstart, run, check=check, user_errors=RL_ERRORS)
