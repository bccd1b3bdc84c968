"""How much of what the policy wrote had been there before: the share of n-grams that are repeats.

``1 - distinct n-grams / n-grams`` is seq-rep-n of Welleck et al. (arXiv 1908.04319); as a reward's penalty, with longer n-grams,
it is usual since Yeo et al. (arXiv 2502.03373, appendix C.2), who take a penalty off every repeated token.
"""

from array import array
from itertools import groupby

from trajectories.trajectory import Trajectory

__all__ = ["repetition"]

_BYTES = 8


def repetition(trajectory: Trajectory, n: int) -> float:
    """Share in [0, 1) of the n-grams of policy tokens that are repeats; 0 where no turn has n tokens.

    An n-gram lies inside one turn, which may be several segments; what turns have in common counts as much as what a turn
    repeats.
    """
    total, distinct = 0, set[bytes]()
    for origin, turn in groupby(trajectory.segments, key=lambda segment: segment.origin):
        if origin == "policy":
            token_ids = [token for segment in turn for token in segment.token_ids]
            count = max(0, len(token_ids) - n + 1)
            data = array("q", token_ids).tobytes()
            distinct.update(data[_BYTES * start : _BYTES * (start + n)] for start in range(count))
            total += count
    return 1 - len(distinct) / total if total else 0.0
