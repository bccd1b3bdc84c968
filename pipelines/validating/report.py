"""What `orrery validate` found, in figures: pass shares with exact intervals, refusals by reason, offences by name."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.report import table
from pipelines.statistics import clopper_pearson

__all__ = ["figures", "offences", "tables"]

Row = Mapping[str, Any]


def figures(candidates: Sequence[Row], probes: Sequence[Row]) -> dict[str, Any]:
    """The summary's counts and shares, from the rows of candidates and probes."""
    names = [name for name in dict.fromkeys(row["probe"] for row in probes) if name != "oracle"]
    refused = [row for row in candidates if not row["certified"]]
    kinds = Counter(kind for row in refused for kind in {reason.partition(":")[0] for reason in row["reasons"]})
    oracle = _share(probes, "oracle")
    return {
        "tasks": sum(row["certified"] for row in candidates),
        "distinct_tasks": len({row["task_id"] for row in candidates if row["certified"]}),
        "holes": len({row["number"] for row in candidates}) - sum(row["certified"] for row in candidates),
        "candidates": len(candidates),
        "refused": {"candidates": len(refused), "by_reason": dict(kinds.most_common())},
        "verdicts": len(probes),
        "oracle": oracle,
        "cheats": {name: _share(probes, name) for name in names},
        "faults": sum(not row["valid"] for row in probes),
    }


def offences(probes: Iterable[Row]) -> list[str]:
    """The oracle's failures, the cheats' passes, and what ended by a fault, each by its task."""
    wrong = (row for row in probes if row["reward"] != (1.0 if row["probe"] == "oracle" else 0.0))
    return [f"task {row['task_id']} (number {row['number']} of {row['world']}): {_verdict(row)}" for row in wrong]


def tables(summary: Mapping[str, Any]) -> str:
    """The figures for a person."""
    shares = {"oracle": summary["oracle"], **summary["cheats"]}
    probes = [
        [name, share["tasks"], share["passed"], f"{share['pass']:.2%}", "{:.3%} to {:.3%}".format(*share["ci95"])]
        for name, share in shares.items()
        if share["tasks"]
    ]
    refused = summary["refused"]
    reasons = ", ".join(f"{name} {count:,}" for name, count in refused["by_reason"].items()) or "none"
    return (
        f"{summary['tasks']:,} tasks from {summary['candidates']:,} candidates in {summary['worlds']} worlds;"
        f" {refused['candidates']:,} candidates refused ({reasons}); {summary['holes']:,} numbers without a task;"
        f" {summary['faults']:,} faults\n\n" + table(["probe", "tasks", "passed", "share", "95 % interval"], probes)
    )


def _verdict(row: Row) -> str:
    reward = "no verdict" if row["reward"] is None else f"reward {row['reward']:g}"
    return f"{row['probe']} has {reward}" + (f", {row['cause']}" if row["cause"] else "")


def _share(probes: Iterable[Row], probe: str) -> dict[str, Any]:
    values = [row["reward"] for row in probes if row["probe"] == probe and row["valid"]]
    passed = sum(value == 1.0 for value in values)
    share = {"pass": passed / len(values), "ci95": list(clopper_pearson(passed, len(values)))} if values else {"pass": None}
    return {"tasks": len(values), "passed": passed} | share
