"""What a judge judges by, and how it is asked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["JudgeConfig", "JudgeCriterion"]


@dataclass(frozen=True, kw_only=True)
class JudgeCriterion:
    """One thing to judge."""

    description: str
    """When it passes, in words for the judge."""
    weight: float = 1.0
    """In the share of what passed."""
    veto: bool = False
    """Whether a fail here fails the dialogue, whatever else passed."""
    may_not_apply: bool = False
    """Whether the verdict may be not_applicable, which leaves the criterion out of the share."""

    def __post_init__(self) -> None:
        if not self.description.strip():
            raise ValueError("description: says when the criterion passes; it is empty")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"weight: is a finite number above 0, not {self.weight}; leave the criterion out instead")


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """A rubric, and the settings of its questions. conf/judge has rubrics that ship.

    Raises:
        ValueError: naming the key.
    """

    criteria: Mapping[str, JudgeCriterion] = field(default_factory=dict)
    """By name; a judge needs at least one."""
    least_share: float = 0.75
    """Share of the weights of all criteria that apply which must pass, 0 to 1."""
    rows: Literal["passed", "all"] = "passed"
    """Which dialogues are put to the judge: those that passed their verifier, or all that no fault ended."""
    attempts: int = 3
    """How often the judge is asked about one dialogue before it counts as broken."""
    max_tokens: int = 4096
    """Of one answer, reasoning included."""
    temperature: float = 0.0
    """Of the judge's model."""
    language: str = "en"
    """Code of the language in which the judge gives its reasons."""
    max_shown: int = 8000
    """Characters of one message that the judge is shown; of a longer one, the middle is left out."""
    seed: int = 0
    """Of the model's draws; each dialogue and attempt has its own."""

    def __post_init__(self) -> None:
        for name in self.criteria:
            if not name.isidentifier():
                raise ValueError(f"criteria: {name!r} is no name; letters, digits and underscores are")
        if not 0 <= self.least_share <= 1:
            raise ValueError(f"least_share: is from 0 to 1, not {self.least_share}")
        for key, least in {"attempts": 1, "max_tokens": 1, "max_shown": 100}.items():
            if getattr(self, key) < least:
                raise ValueError(f"{key}: is at least {least}, not {getattr(self, key)}")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: is at least 0, not {self.temperature}")
        if not self.language:
            raise ValueError("language: is empty; give a code such as en or zh")
