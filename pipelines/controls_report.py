"""What the arms of `orrery controls` are worth, side by side: gains paired by task, and curves while learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.report import Curve, Panel, Report, draw, table
from pipelines.run_directory import RunDirectory
from pipelines.statistics import Estimate, bootstrap_mean, mean_of_tasks, paired_difference, pass_rate
from trajectories.codec import from_row
from trajectories.shards import read
from trajectories.trajectory import Trajectory

__all__ = ["Outcome", "gain_over_seeds", "lead_over_seeds", "learning_curve", "summary_of", "write_report"]

_ITERATIONS_PER_POINT = 5
"""Of a learning curve: enough groups for an interval that says something."""


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


def summary_of(by_seed: Mapping[int, Outcome], seed: int) -> dict[str, Any]:
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
        "gain": gain_over_seeds(list(by_seed.values()), seed).as_mean(),
    }


def gain_over_seeds(outcomes: Sequence[Outcome], seed: int) -> Estimate:
    """Mean gain over all tasks of all seeds: of these runs; how runs of other seeds would scatter, it does not say."""
    return _mean_difference([outcome.pairs() for outcome in outcomes], seed)


def lead_over_seeds(arm: Mapping[int, Outcome], other: Mapping[int, Outcome], seed: int) -> Estimate:
    """Mean of what one arm passes more than another after learning, paired by task, over all seeds; as `gain_over_seeds`."""
    return _mean_difference([replace(arm[number], before=other[number].values).pairs() for number in arm], seed)


def _mean_difference(pairs: Sequence[tuple[Sequence[float], Sequence[float]]], seed: int) -> Estimate:
    return bootstrap_mean([one - other for ones, others in pairs for one, other in zip(ones, others, strict=True)], seed=seed)


def write_report(
    run: RunDirectory, seed: int, outcomes: Mapping[str, Mapping[int, Outcome]], teacher: Mapping[int, Any]
) -> None:
    report = Report("Reinforcement learning beside its controls")
    rows: list[list[Any]] = []
    for number in teacher:
        start = pass_rate(outcomes["rl"][number].pairs()[1])
        rows.append([f"{number}", "cold start", _shown(start), "", ""])
        for arm, by_seed in outcomes.items():
            outcome = by_seed[number]
            after = pass_rate(outcome.pairs()[0])
            rows.append(["", arm, _shown(after), _shown(outcome.gain(seed), "+"), f"{outcome.seconds:.0f}"])
        low, high = teacher[number]["ci95"]
        rows.append(["", "teacher", f"{teacher[number]['pass']:.3f} ({low:.3f} to {high:.3f})", "", ""])
    report.text("Pass rates on held-out tasks at temperature 1, one episode each; gains are paired by task; 95 % intervals.")
    report.section("Seeds", table(["seed", "arm", "pass rate", "gain over the cold start", "seconds"], rows))
    means = []
    for arm, by_seed in outcomes.items():
        lead = "" if arm == "rl" else _shown(lead_over_seeds(by_seed, outcomes["rl"], seed), "+")
        means.append([arm, _shown(gain_over_seeds(list(by_seed.values()), seed), "+"), lead])
    report.section("All seeds", table(["arm", "mean gain", "lead over rl"], means))
    curves = {arm: learning_curve([run.path / f"seed-{number}" / arm for number in by_seed]) for arm, by_seed in outcomes.items()}
    if drawn := {arm: points for arm, points in curves.items() if points}:
        draw([_panel(drawn)], run.path / "curves.png")
        report.section("While learning")
        report.picture("curves.png", "pass rates of the rollouts by iteration, one curve for each arm, with intervals")
    report.write(run.path / "report.md")


def learning_curve(directories: Sequence[Path]) -> list[tuple[float, Estimate]]:
    """(middle of some iterations, pass rate of their rollouts) over the runs of one arm; the interval is over groups.

    Runs that rolled out nothing (more_sft) give no points.
    """
    points: dict[int, list[tuple[int, str, float]]] = {}  # of each point: (iteration, name of the group, whether it passed)
    for number, directory in enumerate(directories):
        if not (directory / "rollouts").is_dir():
            continue
        for row in read(directory / "rollouts", "train"):
            episode = from_row(Trajectory, row)
            if episode.reward is None or not episode.reward.valid:
                continue
            step = int(episode.id.split("/")[0])
            group = f"{number}/{step}/{episode.task_id}"
            points.setdefault((step - 1) // _ITERATIONS_PER_POINT, []).append((step, group, episode.reward.components["pass"]))
    curve = []
    for _, point in sorted(points.items()):
        steps, names, passes = zip(*point, strict=True)
        curve.append(((min(steps) + max(steps)) / 2, bootstrap_mean(mean_of_tasks(names, passes)[1], resamples=2_000)))
    return curve


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
