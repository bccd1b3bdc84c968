"""Two responses compared: what a comparer says in one order, and what becomes of both orders.

A comparer never knows which response is which rollout: it sees A and B. Both orders are always asked, so that a liking for the
first place cannot decide: what the orders disagree about is a tie. Where one of them gave no verdict there is no comparison.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from rewards.rubrics import CriticCriterion
from services.chat import ChatErrorKind
from trajectories.messages import Message, ToolSpec

__all__ = [
    "VIOLATIONS", "Comparer", "Comparison", "Context", "CriterionVerdict", "Decision", "Invalid", "InvalidCause", "PairVerdict",
    "Preference", "Response", "decision",
]  # fmt: skip

Preference = Literal["A", "B", "tie"]
"""The better response."""

Decision = Literal["overall", "weights"]
"""What decides where no veto does: the comparer's overall verdict, or the sum of the weights on either side."""

InvalidCause = Literal["unusable", "broken"] | ChatErrorKind
"""No answer kept to the form; the comparer broke; or there was no answer, for the reasons of `ChatErrorKind`."""

VIOLATIONS: Final[Mapping[str, tuple[bool, bool]]] = {
    "A_breaks_it": (True, False),
    "B_breaks_it": (False, True),
    "both_break_it": (True, True),
    "neither_breaks_it": (False, False),
}
"""Verdicts on a veto: whether A breaks it, whether B does."""


@dataclass(frozen=True, slots=True)
class Context:
    """What both responses respond to."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """One of several responses to a context."""

    id: str
    """Tells it from the others; a comparer that is a model never sees it."""
    messages: tuple[Message, ...]
    """All turns that follow the context, tool results too."""


@dataclass(frozen=True, slots=True)
class CriterionVerdict:
    """What a comparer says of one criterion."""

    criterion: str
    verdict: str
    """A `Preference`; of a veto, one of `VIOLATIONS`."""
    reasons: str = ""
    """Written before the verdict."""
    evidence: str = ""
    """Words of a response, where the verdict rests on some."""


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """What a comparer says of A and B."""

    overall: Preference
    criteria: tuple[CriterionVerdict, ...] = ()
    """One for each criterion, in their order."""
    reasons: str = ""
    """For the overall verdict."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """There is no verdict, and this is why."""

    cause: InvalidCause
    message: str


class Comparer(Protocol):
    """Whoever compares: a chat model, a script, or the policy's own engine."""

    @property
    def identity(self) -> str:
        """Name, version and digest of the settings: comparisons of two identities do not mix."""
        ...

    async def compare(
        self, context: Context, response_a: Response, response_b: Response, criteria: Sequence[CriticCriterion], seed: int
    ) -> PairVerdict | Invalid:
        """The verdict, a function of the arguments alone; a fault is `Invalid`, never a tie."""
        ...


def decision(verdict: PairVerdict, criteria: Sequence[CriticCriterion], decide: Decision = "overall") -> Preference:
    """The better response: who alone breaks a veto loses; where neither or both do, the rest decides.

    Raises:
        ValueError: the verdict is not by these criteria.
    """
    if [item.criterion for item in verdict.criteria] != [item.id for item in criteria]:
        raise ValueError(f"a verdict on {[item.criterion for item in verdict.criteria]}, not on {[item.id for item in criteria]}")
    broken_by = [VIOLATIONS[said.verdict] for said, item in zip(verdict.criteria, criteria, strict=True) if item.veto]
    a_breaks, b_breaks = (any(broken[side] for broken in broken_by) for side in (0, 1))
    if a_breaks != b_breaks:
        return "B" if a_breaks else "A"
    if decide == "overall":
        return verdict.overall
    weights = {"A": 0.0, "B": 0.0, "tie": 0.0}
    for said, item in zip(verdict.criteria, criteria, strict=True):
        if not item.veto:
            weights[said.verdict] += item.weight
    return "tie" if weights["A"] == weights["B"] else "A" if weights["A"] > weights["B"] else "B"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two responses of a group, compared in both orders."""

    first: str
    """Id of the response that was A in the first order."""
    second: str
    orders: tuple[Preference | Invalid, Preference | Invalid]
    """What was decided with `first` as A, then with `second` as A; in terms of A and B."""
    verdicts: tuple[PairVerdict, ...] = ()
    """Of both orders, where the comparison is valid and the verdicts were kept."""

    @property
    def invalid(self) -> Invalid | None:
        """Why there is no comparison; None where there is one."""
        return next((order for order in self.orders if isinstance(order, Invalid)), None)

    @property
    def result(self) -> float | None:
        """Of `first`: 1.0 it is better, 0.0 worse, 0.5 neither or the orders disagree; None where invalid."""
        shares = self._shares()
        if shares is None:
            return None
        return shares[0] if shares[0] == shares[1] else 0.5

    @property
    def is_consistent(self) -> bool | None:
        """Whether both orders say the same of the responses; None where invalid."""
        shares = self._shares()
        return None if shares is None else shares[0] == shares[1]

    @property
    def first_place(self) -> float | None:
        """How much the first place was liked, -1 to 1: the mean over both orders of 1 for A, -1 for B, 0 for a tie."""
        shares = self._shares()
        return None if shares is None else shares[0] - shares[1]

    def _shares(self) -> tuple[float, float] | None:
        """Of `first`, by each order."""
        one, other = self.orders
        if isinstance(one, Invalid) or isinstance(other, Invalid):
            return None
        return _SHARE[one], 1.0 - _SHARE[other]


_SHARE: Final[Mapping[Preference, float]] = {"A": 1.0, "tie": 0.5, "B": 0.0}
