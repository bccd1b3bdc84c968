"""What reinforcement learning is worth: the quickstart at several seeds, beside controls that cost as much.

Per seed one cold start, from which every arm goes on for about the same time: `rl` is the quickstart itself; `shuffled`
deals out the advantages anew inside each group, so that there is nothing to learn from; `adamw` optimises everything with
AdamW instead of MuonClip; `more_sft` goes on fine-tuning on the same demonstrations. All are examined on the same tasks.
On request `grpo` and `reinforce` learn by these objectives instead of K2's, everything else alike.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import UserError
from pipelines.evaluate import pass_values
from pipelines.progress import Progress
from pipelines.report import Curve, Panel, Report, draw, table
from pipelines.run_directory import RunDirectory
from pipelines.schema import Command, register
from pipelines.statistics import Estimate, bootstrap_mean, paired_difference, pass_rate
from trajectories.codec import from_row
from trajectories.shards import read
from trajectories.trajectory import Trajectory

__all__ = ["ARMS", "Controls", "Outcome", "learning_curve"]

ARMS: Mapping[str, tuple[str, ...]] = {
    "rl": (),
    "shuffled": ("learning.shuffle_advantages=true",),
    "adamw": tuple(f"learning.trainer.optimizer.{key}" for key in ("name=adamw", "adam_lr=1e-4", "qk_clip_threshold=null")),
    "more_sft": (),
    "grpo": (
        "learning.trainer.objective=grpo",
        "~learning.trainer.objective_settings.tau",
        *(f"+learning.trainer.objective_settings.{key}" for key in ("low=0.2", "high=0.2", "beta=0.0")),
        "learning.advantage_scale=std",
    ),
    "reinforce": ("learning.trainer.objective=reinforce", "~learning.trainer.objective_settings.tau"),
}
"""Ways to go on from the cold start, and what each changes in `orrery quickstart`; more_sft is `orrery sft` instead."""

_ITERATIONS_PER_POINT = 5
"""Of a learning curve: enough groups for an interval that says something."""

_START = "from pipelines.cli import main; main()"


@dataclass(frozen=True, kw_only=True)
class Controls(Command):
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the quickstarts, fixed before the first one is run; `seed` is only that of the intervals."""
    arms: tuple[str, ...] = ("rl", "shuffled", "adamw", "more_sft")
    """Which to run: any of these, grpo and reinforce; rl comes always, since the others start from its cold start."""
    overrides: tuple[str, ...] = ()
    """Further keys of `orrery quickstart`, for every arm alike: ["learning.steps=10"]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: at least one, each once, not {list(self.seeds)}")
        if unknown := [arm for arm in self.arms if arm not in ARMS]:
            raise ValueError(f"arms: there is no {unknown[0]!r}; there are {', '.join(ARMS)}")


@dataclass(frozen=True)
class Outcome:
    """One arm at one seed."""

    values: Mapping[str, float | None]
    """Verdict (1 passed, 0 not, None by fault no verdict) by task; the same tasks before and after."""
    before: Mapping[str, float | None]
    seconds: float
    """Of what the arm did after the cold start, examinations not counted."""

    def pairs(self) -> tuple[list[float], list[float]]:
        """Verdicts (after, before) of the tasks that have both."""
        both = [(self.values[task], self.before[task]) for task in self.before]
        kept = [(after, before) for after, before in both if after is not None and before is not None]
        return [after for after, _ in kept], [before for _, before in kept]

    def gain(self, seed: int = 0) -> Estimate:
        """After minus before, paired by task."""
        return paired_difference(*self.pairs(), seed=seed)


def run(config: Controls, run: RunDirectory) -> dict[str, Any]:
    """`orrery controls`."""
    arms = ["rl", *(arm for arm in ARMS if arm in config.arms and arm != "rl")]
    progress = Progress(tuple(f"{arm}, seed {seed}" for arm in arms for seed in config.seeds))
    outcomes: dict[str, dict[int, Outcome]] = {arm: {} for arm in arms}
    teacher: dict[int, Any] = {}
    for arm in arms:
        play = _more_sft if arm == "more_sft" else _quickstart
        for seed in config.seeds:
            base = run.path / f"seed-{seed}" / "rl"
            with progress.phase(f"{arm}, seed {seed}"):
                outcomes[arm][seed] = play(config, arm, seed, base, base.with_name(arm))
            teacher[seed] = json.loads((base / "summary.json").read_text())["held_out"]["teacher"]
    _write_report(run, config, outcomes, teacher)
    print((run.path / "report.md").read_text())
    return {
        "seconds": progress.elapsed,
        "phases": progress.seconds,
        "teacher": {str(seed): rate for seed, rate in teacher.items()},
        "arms": {arm: _summary(by_seed, config.seed) for arm, by_seed in outcomes.items()},
    }


def _quickstart(config: Controls, arm: str, seed: int, base: Path, directory: Path) -> Outcome:
    again = () if arm == "rl" else (f"cold_start={base}",)
    _orrery(directory, "quickstart", f"seed={seed}", *config.overrides, *again, *ARMS[arm])
    summary = json.loads((directory / "summary.json").read_text())
    return Outcome(
        values=_verdicts(directory / "examined" / "after"),
        before=_verdicts(base / "examined" / "before"),
        seconds=summary["phases"]["learn"],
    )


def _more_sft(config: Controls, arm: str, seed: int, base: Path, directory: Path) -> Outcome:
    """As many seconds of the same fine-tuning, from its result, as reinforcement learning took."""
    settings = yaml.safe_load((base / "config.yaml").read_text())
    seconds = json.loads((base / "summary.json").read_text())["phases"]["learn"]
    policy = dict(_overrides(settings["policy"], "policy"))
    tuning = dict(_overrides(settings["sft"], "sft")) | {"sft.steps": "null", "sft.seconds": f"{seconds:.0f}"}
    # Another order of the demonstrations than the cold start's; the demonstrations are the same.
    _orrery(
        directory / "sft",
        "sft",
        f"seed={seed + 1_000_000}",
        f"data={base / 'synthesize'}",
        *_typed(policy | tuning | {"policy.path": str(base / "sft" / "policy")}),
    )
    same = {
        key: value
        for section in ("rollouts", "rewards")
        for key, value in _overrides(settings[section], section)
    }
    set_of_tasks = {f"examination.{key}": value for key, value in _overrides(settings["tasks"], "tasks")}
    _orrery(
        directory / "examined",
        "evaluate",
        f"seed={seed}",
        f"workers={settings['workers']}",
        f"count={settings['held_out']}",
        *_typed(policy | same | set_of_tasks | {"policy.path": str(directory / "sft" / "policy")}),
        *("examination.unseen_count=0", "examination.harder_count=0", "examination.greedy_count=0"),
    )
    return Outcome(
        values=_verdicts(directory / "examined" / "rollouts"),
        before=_verdicts(base / "examined" / "before"),
        seconds=json.loads((directory / "sft" / "summary.json").read_text())["sft"]["seconds"],
    )


def _orrery(directory: Path, command: str, *arguments: str) -> None:
    """Run a command in a process of its own, or go on with what is left of it."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_name(f"{directory.name}.log").open("a") as log:
        line = [sys.executable, "-c", _START, command, f"out={directory}", "resume=auto", *arguments]
        status = subprocess.run(line, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        tail = "\n".join(Path(log.name).read_text(errors="replace").splitlines()[-8:])
        raise UserError(f"orrery {command} ended with status {status}; {log.name} ends with\n{tail}")


def _verdicts(directory: Path) -> dict[str, float | None]:
    episodes = [from_row(Trajectory, row) for row in read(directory, "held_out")]
    return dict(zip((episode.task_id for episode in episodes), pass_values(episodes), strict=True))


def _overrides(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """The leaves of a stored configuration."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _overrides(item, f"{key}.{name}")
    else:
        yield key, value


def _typed(leaves: Mapping[str, Any]) -> list[str]:
    """As a command line takes them; ++ because mappings that are passed through have keys of their own."""
    return [f"++{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in leaves.items()]


def _summary(by_seed: Mapping[int, Outcome], seed: int) -> dict[str, Any]:
    return {
        "seeds": {
            str(number): {
                "before": pass_rate(outcome.pairs()[1]).as_pass(),
                "after": pass_rate(outcome.pairs()[0]).as_pass(),
                "gain": outcome.gain(seed).as_mean(),
                "seconds": outcome.seconds,
            }
            for number, outcome in by_seed.items()
        },
        "gain": _over_seeds(list(by_seed.values()), seed).as_mean(),
    }


def _over_seeds(outcomes: Sequence[Outcome], seed: int) -> Estimate:
    """Mean gain over all tasks of all seeds: of these runs; how runs of other seeds would scatter, it does not say."""
    differences: list[float] = []
    for outcome in outcomes:
        after, before = outcome.pairs()
        differences += [late - early for late, early in zip(after, before, strict=True)]
    return bootstrap_mean(differences, seed=seed)


def _write_report(
    run: RunDirectory, config: Controls, outcomes: Mapping[str, Mapping[int, Outcome]], teacher: Mapping[int, Any]
) -> None:
    report = Report("Reinforcement learning beside its controls")
    rows: list[list[Any]] = []
    for seed in config.seeds:
        start = pass_rate(outcomes["rl"][seed].pairs()[1])
        rows.append([f"{seed}", "cold start", _shown(start), "", ""])
        for arm, by_seed in outcomes.items():
            outcome = by_seed[seed]
            after = pass_rate(outcome.pairs()[0])
            rows.append(["", arm, _shown(after), _shown(outcome.gain(config.seed), "+"), f"{outcome.seconds:.0f}"])
        low, high = teacher[seed]["ci95"]
        rows.append(["", "teacher", f"{teacher[seed]['pass']:.3f} ({low:.3f} to {high:.3f})", "", ""])
    report.text("Pass rates on held-out tasks at temperature 1, one episode each; gains are paired by task; 95 % intervals.")
    report.section("Seeds", table(["seed", "arm", "pass rate", "gain over the cold start", "seconds"], rows))
    means = [
        [arm, _shown(_over_seeds(list(by_seed.values()), config.seed), "+")] for arm, by_seed in outcomes.items()
    ]
    report.section("All seeds", table(["arm", "mean gain"], means))
    curves = {arm: learning_curve([run.path / f"seed-{seed}" / arm for seed in by_seed]) for arm, by_seed in outcomes.items()}
    if drawn := {arm: points for arm, points in curves.items() if points}:
        draw([_panel(drawn)], run.path / "curves.png")
        report.section("While learning")
        report.picture("curves.png", "pass rates of the rollouts by iteration, one curve for each arm, with intervals")
    report.write(run.path / "report.md")


def learning_curve(directories: Sequence[Path]) -> list[tuple[float, Estimate]]:
    """(middle of some iterations, pass rate of their rollouts) over the runs of one arm; the interval is over groups.

    Runs that rolled out nothing (more_sft) give no points.
    """
    groups: dict[int, dict[tuple[int, int, str], list[float]]] = {}
    for number, directory in enumerate(directories):
        if not (directory / "rollouts").is_dir():
            continue
        for row in read(directory / "rollouts", "train"):
            episode = from_row(Trajectory, row)
            if episode.reward is None or not episode.reward.valid:
                continue
            step = int(episode.id.split("/")[0])
            point = groups.setdefault((step - 1) // _ITERATIONS_PER_POINT, {})
            point.setdefault((number, step, episode.task_id), []).append(episode.reward.components["pass"])
    return [
        (
            _middle([step for _, step, _ in by_group]),
            bootstrap_mean([sum(values) / len(values) for values in by_group.values()], resamples=2_000),
        )
        for _, by_group in sorted(groups.items())
    ]


def _middle(steps: Sequence[int]) -> float:
    return (min(steps) + max(steps)) / 2


def _panel(curves: Mapping[str, Sequence[tuple[float, Estimate]]]) -> Panel:
    drawn = [
        Curve(
            arm,
            [(step, estimate.mean) for step, estimate in points],
            band=[(estimate.low, estimate.high) for _, estimate in points],
        )
        for arm, points in curves.items()
    ]
    return Panel(f"Rollouts, means of {_ITERATIONS_PER_POINT} iterations over all seeds", "pass rate", drawn)


def _shown(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.mean:{sign}.3f} ({estimate.low:{sign}.3f} to {estimate.high:{sign}.3f})"


register("controls", Controls, run)
