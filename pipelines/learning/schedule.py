"""When rollouts and training run: in turns, one step apart, or side by side."""

from dataclasses import dataclass

__all__ = ["ScheduleSettings"]


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """How rollouts and training share the time."""
