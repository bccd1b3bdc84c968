"""What `orrery validate` found, in figures: pass shares with exact intervals, refusals by reason, offences by name."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipelines.report import table

__all__ = ["clopper_pearson", "figures", "offences", "tables"]

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


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper & Pearson 1934, Biometrika 26:404): never narrower than it says.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials is not a proportion")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else _root(lambda rate: _at_least(successes, trials, rate) - tail)
    high = 1.0 if successes == trials else _root(lambda rate: tail - 1 + _at_least(successes + 1, trials, rate))
    return low, high


def _verdict(row: Row) -> str:
    reward = "no verdict" if row["reward"] is None else f"reward {row['reward']:g}"
    return f"{row['probe']} has {reward}" + (f", {row['cause']}" if row["cause"] else "")


def _share(probes: Iterable[Row], probe: str) -> dict[str, Any]:
    values = [row["reward"] for row in probes if row["probe"] == probe and row["valid"]]
    passed = sum(value == 1.0 for value in values)
    share = {"pass": passed / len(values), "ci95": list(clopper_pearson(passed, len(values)))} if values else {"pass": None}
    return {"tasks": len(values), "passed": passed} | share


def _at_least(successes: int, trials: int, rate: float) -> float:
    """The chance of so many successes or more, by terms in logarithms: thousands of trials do not underflow."""
    choose = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(
            choose - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(rate) + (trials - k) * math.log1p(-rate)
        )
        for k in range(successes, trials + 1)
    )


def _root(rising: Callable[[float], float]) -> float:
    """Where a function that rises from below 0 to above it crosses, by halving (0, 1) to the last bit."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return middle
