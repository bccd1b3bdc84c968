"""A verdict about the policy, or the statement that there is none.

A fault is not a failure: when anything but the policy broke there is no value, and nothing may invent one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Reward"]


@dataclass(frozen=True, slots=True)
class Reward:
    value: float | None
    """Finite when `valid`; None otherwise."""
    valid: bool = True
    cause: str | None = None
    """For an invalid reward: what broke. For a valid one, optionally why the value is what it is."""
    components: Mapping[str, float] = field(default_factory=dict)
    grader: str | None = None
    """Name and version of the verifier, ``maths/1``: a change of its scores changes the version."""

    def __post_init__(self) -> None:
        if self.valid and (self.value is None or not math.isfinite(self.value)):
            raise ValueError(f"a valid reward is a finite number, not {self.value}")
        if not self.valid and (self.value is not None or not self.cause):
            raise ValueError("an invalid reward has no value and names its cause")

    @staticmethod
    def invalid(cause: str) -> "Reward":
        return Reward(value=None, valid=False, cause=cause)
