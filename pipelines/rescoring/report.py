"""``report.md`` of a rescoring, with a picture: what the other settings change, and where to look."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipelines.report import Curve, Panel, Report, draw, table
from pipelines.rescoring.comparison import Comparison
from rewards.config import CRITERION

__all__ = ["write_report"]

_PICTURE: Final = "rescored.png"
_MOST_STEPS: Final = 200
"""Points of a curve over iterations; more are averaged."""


def write_report(directory: Path, comparison: Comparison, summary: dict[str, Any]) -> None:
    """Write ``report.md`` and its picture."""
    report = Report("Rollouts under other reward settings")
    report.text(
        f"{summary['rows']:,} rollouts in {summary['groups']:,} groups of `{summary['run']}`; the settings are in `config.yaml`. "
        "Intervals are of 95 %, over groups."
    )
    report.text(told_check(summary))
    report.section("Rewards and their components", _components(summary["components"]))
    if len(summary["domains"]) > 1:
        report.section("Rewards by domain", _sides(summary["domains"], "domain"))
    report.section("Groups", _groups(summary))
    draw(_panels(comparison), directory / _PICTURE)
    report.picture(_PICTURE, "rewards and advantages before and after, by quantile and, where the run learnt, by iteration")
    if summary["most_changed"]:
        report.section("Groups that change most", _most_changed(summary["most_changed"]))
        report.text("By the mean absolute change of the advantages of a group. `summary.json` has the ids of the new rows too.")
    report.write(directory / "report.md")


def told_check(summary: dict[str, Any]) -> str:
    """Whether the run's own settings give the recorded rewards, in a sentence or two."""
    check, verdicts = summary["check"], summary["verdicts"]
    judged = f"{verdicts.get('anew', 0):,} verdicts were judged anew, {verdicts.get('stored', 0):,} are the record's"
    faults = f"{summary['faults']['recorded']:,} recorded faults stay faults, {summary['faults']['new']:,} are new."
    if not check["differ"]:
        found = f"Under the run's own settings all {check['rows']:,} recorded rewards come out again, to the last bit"
    else:
        first = check["first"]
        found = (
            f"**{check['differ']:,} of {check['rows']:,} recorded rewards do not come out again under the run's own settings**,"
            f" so not every change is the new settings'. The first is `{first['row']}`: {first['difference']}"
        )
    return f"{found}. {judged}; {faults}"


def _components(components: dict[str, Any]) -> str:
    """Criteria only where they differ: settings do not change what a verifier looks at."""
    kept = {
        name: sides for name, sides in components.items() if not name.startswith(CRITERION) or sides["before"] != sides["after"]
    }
    return _sides(kept, "component")


def _sides(found: dict[str, Any], header: str) -> str:
    rows = [[f"`{name}`", _shown(sides["before"]), _shown(sides["after"]), _shown(sides.get("difference"), "+")]
            for name, sides in found.items()]  # fmt: skip
    if not any(row[3] for row in rows):
        return table([header, "before", "after"], [row[:3] for row in rows])
    return table([header, "before", "after", "difference"], rows)


def _groups(summary: dict[str, Any]) -> str:
    ranking, advantages = summary["ranking"], summary["advantages"]
    correlation = advantages["correlation"]
    rows = [
        ["ranking changes (share of groups)", _shown(ranking["changed"])],
        ["Kendall's tau-b, where both sides rank", _shown(ranking["tau_b"])],
        ["best responses are others (share of groups)", _shown(ranking["best_changed"])],
        ["no best response stays one (share of groups)", _shown(ranking["best_overturned"])],
        ["no signal before (share of groups)", _shown(advantages["no_signal_before"])],
        ["no signal after (share of groups)", _shown(advantages["no_signal_after"])],
        ["advantages, correlation over rollouts", "" if correlation is None else f"{correlation:.3f}"],
        ["advantages that change their sign (share of a group)", _shown(advantages["sign_flips"])],
        ["advantages that were 0 (share of a group)", _shown(advantages["gained"])],
        ["advantages that become 0 (share of a group)", _shown(advantages["lost"])],
    ]
    return table([f"advantages: scale {advantages['scale']}", "value"], rows)


def _most_changed(groups: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            f"`{group['group']}`",
            group["domain"],
            group["advantage_change"],
            _values([row["before"] for row in group["rows"]]),
            _values([row["after"] for row in group["rows"]]),
            "" if group["tau_b"] is None else f"{group['tau_b']:.2f}",
        ]
        for group in groups
    ]
    return table(["group", "domain", "change", "rewards before", "rewards after", "tau-b"], rows)


def _values(values: Sequence[float | None]) -> str:
    return " ".join("fault" if value is None else f"{value:.3g}" for value in values)


def _shown(estimate: dict[str, Any] | None, sign: str = "") -> str:
    if estimate is None or estimate["mean"] is None:
        return ""
    low, high = estimate["ci95"]
    return f"{estimate['mean']:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _panels(comparison: Comparison) -> list[Panel]:
    panels = [_quantiles(comparison, "reward"), _quantiles(comparison, "advantage")]
    if len(comparison.by_step) < 2:
        return panels
    steps = sorted(comparison.by_step)
    parts = [part.tolist() for part in np.array_split(np.array(steps), min(len(steps), _MOST_STEPS))]
    for title, unit, part, whole, y_range in (
        ("Mean reward by iteration", "reward", "sum", "rewards {side}", None),
        ("Groups without signal by iteration", "share of groups", "no signal", "groups", (-0.03, 1.03)),
    ):
        curves = []
        for side in ("before", "after"):
            points = []
            for some in parts:
                amount = sum(comparison.by_step[step][f"{part} {side}"] for step in some)
                count = sum(comparison.by_step[step][whole.format(side=side)] for step in some)
                if count:
                    points.append(((some[0] + some[-1]) / 2, amount / count))
            curves.append(Curve(side, points, smooth=5))
        panels.append(Panel(title, unit, curves, x_label="iteration", y_range=y_range))
    return panels


def _quantiles(comparison: Comparison, what: str) -> Panel:
    percents = np.arange(101)
    curves = []
    for side in ("before", "after"):
        values = comparison.values[f"{what} {side}"]
        points = list(zip(percents.tolist(), np.percentile(values, percents).tolist(), strict=True)) if values else []
        curves.append(Curve(side, points))
    return Panel(f"{what.capitalize()}s, sorted", what, curves, x_label="rollouts (percent)")
