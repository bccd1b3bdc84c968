"""Schedules, pure functions of how far the run is: a factor on learning rates, and the decay of a single figure.

Progress may be counted in steps or in seconds: whatever `total` counts, `factor` is given.
"""

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["ScheduleConfig", "Shape", "decayed"]

Shape = Literal["linear", "exponential"]
NAMES = ("constant", "linear")


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    name: str = "linear"
    """"constant", or "linear": falls in a straight line from 1 after the warm-up to `final` at `total`."""
    warmup: float = 0.0
    """How long the factor rises in a straight line from 0 to 1, in the unit of `total`."""
    total: float | None = None
    """Length of the run, in steps or seconds; beyond it the factor stays at `final`. Null where the loop that runs it
    sets it; "constant" needs none."""
    final: float = 0.0
    """Factor at the end of "linear"."""

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"schedule.name must be one of {', '.join(NAMES)}, not {self.name!r}")
        if not 0 <= self.warmup < (math.inf if self.total is None else self.total):
            end = "infinity" if self.total is None else f"total={self.total}"
            raise ValueError(f"schedule.warmup must be in [0, {end}), not {self.warmup}")
        if not 0 <= self.final <= 1:
            raise ValueError(f"schedule.final must be in [0, 1], not {self.final}")

    def factor(self, done: float) -> float:
        """Factor for the step that begins when `done` of `total` is over; the first warm-up step is not 0 but a part of
        it.

        Raises:
            ValueError: a schedule that ends has no `total`.
        """
        if self.total is None and self.name != "constant":
            raise ValueError(f"schedule.total is not known: {self.name!r} needs the length of the run")
        if self.warmup and done < self.warmup:
            return min(1.0, (done + min(1.0, self.warmup)) / self.warmup)
        if self.total is None or self.name == "constant":
            return 1.0
        left = max(0.0, 1 - (done - self.warmup) / (self.total - self.warmup))
        return self.final + (1 - self.final) * left


def decayed(first: float, last: float, way: float, shape: Shape = "linear") -> float:
    """From `first` (exactly, where `way` is 0) to `last` (where it is 1 or more), both above 0."""
    if way <= 0 or way >= 1:
        return first if way <= 0 else last
    return first + way * (last - first) if shape == "linear" else first * (last / first) ** way
