"""What becomes of the order inside a group when its rewards change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ranking", "kendall_tau_b"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Of the members of one group that have a reward before and after."""

    changed: bool
    """Some pair is no longer in the order it was in, a tie being an order."""
    tau_b: float | None
    """See `kendall_tau_b`."""
    best_changed: bool
    """The best responses are not the same ones; several where they are equal."""
    best_overturned: bool
    """None of the best responses before is among the best after."""

    @staticmethod
    def of(before: Sequence[float], after: Sequence[float]) -> "Ranking | None":
        """None where there are no two members to compare."""
        if len(before) < 2:
            return None
        first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
        best, best_after = first == first.max(), second == second.max()
        return Ranking(
            changed=not np.array_equal(_order(first), _order(second)),
            tau_b=kendall_tau_b(first, second),
            best_changed=not np.array_equal(best, best_after),
            best_overturned=not (best & best_after).any(),
        )


def kendall_tau_b(before: Sequence[float] | NDArray[np.float64], after: Sequence[float] | NDArray[np.float64]) -> float | None:
    """Kendall's rank correlation with ties (Kendall 1945, Biometrika 33:239), in [-1, 1]; None where all values of one side are
    equal, because nothing is ranked there.

    Args:
        before, after: shape [members], finite.
    """
    first, second = _order(np.asarray(before, np.float64)), _order(np.asarray(after, np.float64))
    ranked = float(np.abs(first).sum()) * float(np.abs(second).sum())
    return float((first * second).sum()) / ranked**0.5 if ranked else None


def _order(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """[members, members]: 1 where the first of a pair is greater, -1 where it is less, 0 for a tie."""
    # Compared, not subtracted: a difference of tiny numbers may vanish.
    greater = values[:, None] > values[None, :]
    return greater.astype(np.int64) - greater.T.astype(np.int64)
