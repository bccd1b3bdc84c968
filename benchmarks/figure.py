"""A measured quantity with all its repeats, beside the limit that it is compared with.

Medians are over repeats. A ratio is between medians of repeats that took turns where that is possible, so that a busy
machine slows both sides alike.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

__all__ = ["Figure", "Limit", "seconds_of", "take_turns"]

Unit = Literal["s", "tokens/s", "calls/s", "steps/s", "rows/s", "tasks/s", "MB/s", "MiB", "share"]


@dataclass(frozen=True)
class Limit:
    """The same work, bare."""

    name: str
    repeats: tuple[float, ...]
    """In the unit of the figure."""
    aim: str = ""
    """What the ratio is hoped to be, e.g. ``>= 0.90``; nothing checks it."""


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    unit: Unit
    repeats: tuple[float, ...]
    limit: Limit | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    """What the figure is about: sizes, shares, other medians."""

    def __post_init__(self) -> None:
        if not self.repeats or (self.limit is not None and not self.limit.repeats):
            raise ValueError(f"{self.name}: a figure has at least one repeat, and so has its limit")

    @property
    def median(self) -> float:
        return median(self.repeats)

    @property
    def ratio(self) -> float | None:
        """Median over the limit's median; None without a limit."""
        return self.median / median(self.limit.repeats) if self.limit is not None else None

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        limit = self.limit
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "repeats": list(self.repeats),
            "limit": None
            if limit is None
            else {
                "name": limit.name,
                "median": median(limit.repeats),
                "repeats": list(limit.repeats),
                "aim": limit.aim,
            },
            "ratio": self.ratio,
            "details": dict(self.details),
        }


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def take_turns(repeats: int, *measures: Callable[[], float]) -> list[tuple[float, ...]]:
    """The results of each measure, called in turn; the first, unmeasured round warms everything up.

    Args:
        repeats: at least 1.
    """
    rounds: Sequence[list[float]] = [[measure() for measure in measures] for _ in range(repeats + 1)][1:]
    return [tuple(results) for results in zip(*rounds, strict=True)]
