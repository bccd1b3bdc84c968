"""Which settings an objective takes, in which range, and what they make it read: known before any rollout is paid for."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["check_settings", "reads_reference"]

Range = tuple[Callable[[float], bool], str]

ABOVE_0: Range = (lambda value: value > 0, "above 0")
BELOW_0: Range = (lambda value: value < 0, "below 0")
AT_LEAST_0: Range = (lambda value: value >= 0, "at least 0")
SHARE: Range = (lambda value: 0 <= value <= 1, "in [0, 1]")

RANGES: dict[str, dict[str, Range]] = {
    "k2": {"tau": ABOVE_0},
    "k15": {"tau": ABOVE_0},
    "k25": {"alpha": BELOW_0, "beta": ABOVE_0, "tau": ABOVE_0},
    "grpo": {"low": SHARE, "high": AT_LEAST_0, "beta": AT_LEAST_0},
    "dr_grpo": {"low": SHARE, "high": AT_LEAST_0, "length": ABOVE_0},
    "dapo": {"low": SHARE, "high": AT_LEAST_0},
    "gspo": {"low": SHARE, "high": AT_LEAST_0},
    "cispo": {"low": SHARE, "high": AT_LEAST_0},
    "reinforce": {},
}
"""By objective and setting."""


def check_settings(objective: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    """Raises ValueError for a setting that `objective` does not take, that is no finite number, or out of range."""
    ranges = RANGES[objective.__name__]
    try:
        inspect.signature(objective).bind(None, **settings)
    except TypeError as error:
        raise ValueError(f"{objective.__name__}: {error}; it takes {', '.join(ranges) or 'no settings'}") from error
    for name, value in settings.items():
        holds, wanted = ranges[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not holds(value):
            raise ValueError(f"{objective.__name__}: {name} must be a number {wanted}, not {value!r}")


def reads_reference(objective: Callable[..., Any], settings: Mapping[str, Any]) -> bool:
    """Whether `ref_log_probs` change anything: always in k15, in grpo where its `beta` is above 0, nowhere else."""
    said = inspect.signature(objective).bind(None, **settings)
    said.apply_defaults()
    return objective.__name__ == "k15" or (objective.__name__ == "grpo" and bool(said.arguments["beta"] > 0))
