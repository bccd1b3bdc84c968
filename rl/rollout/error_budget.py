"""Faults are counted against a budget: a few are left out of the learning, too many stop the run.

Causes name requests, calls, ports and addresses; they are counted by what is left without these (`kind_of`), or one broken
thing would be as many causes as episodes. The first cause of each kind is kept as it was.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from trajectories.rewards import Reward

__all__ = ["ErrorBudget", "ErrorBudgetSpentError", "kind_of"]

_QUOTED = re.compile(r"\{.*\}|\{.*$")
_NUMBERED = re.compile(r"(?!\W*\d{1,3}\W*(?:\s|$))\S*\d\S*")
_MOST_READ, _MOST_KEPT = 1000, 200


class ErrorBudgetSpentError(RuntimeError):
    """Too many episodes ended by something that is not the policy."""


@dataclass
class ErrorBudget:
    """Allows `share` of all episodes so far to be invalid, and always `free` of them; a share of 0 allows none."""

    share: float
    free: int = 8
    episodes: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    """How often which kind of fault occurred."""
    examples: dict[str, str] = field(default_factory=dict)
    """By kind: the first cause that was counted here."""

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"error_budget: is a share of the episodes in [0, 1), not {self.share}")

    @property
    def invalid(self) -> int:
        return self.causes.total()

    def spend(self, rewards: Iterable[Reward]) -> None:
        """Count a batch of episodes.

        Raises:
            ErrorBudgetSpentError: the budget is spent; says what broke and how often.
        """
        for reward in rewards:
            self.episodes += 1
            if not reward.valid:
                cause = reward.cause or "unknown"
                self.causes[kind_of(cause)] += 1
                self.examples.setdefault(kind_of(cause), cause)
        if self.invalid > (max(self.free, self.share * self.episodes) if self.share else 0):
            worst = "; ".join(f"{count} x {kind}{self._example(kind)}" for kind, count in self.causes.most_common(3))
            raise ErrorBudgetSpentError(
                f"{self.invalid} of {self.episodes} episodes ended by a fault, more than error_budget={self.share} "
                f"allows: {worst}"
            )

    def _example(self, kind: str) -> str:
        return f" (such as: {self.examples[kind]})" if self.examples.get(kind, kind) != kind else ""


def kind_of(cause: str) -> str:
    """Its first line, without what differs from episode to episode: `…` stands for objects in braces and for words with a digit.

    A number of up to three digits stays: it is a status, a signal or a limit.
    """
    line = (cause.strip().splitlines() or ["unknown"])[0][:_MOST_READ]
    return _NUMBERED.sub("…", _QUOTED.sub("{…}", line))[:_MOST_KEPT]
