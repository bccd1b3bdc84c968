"""Which pairs of a group are compared: all of them, or few that still hang together.

K responses have K(K-1)/2 pairs, and each costs two requests. The sparse design compares each response with `opponents` others, so
K x opponents / 2 pairs: the responses stand on a circle in an order drawn from the seed, and each is compared with those at
certain distances. Distance 1 is always one of them, so the design is connected whatever was drawn; the others are drawn, so that
the circle has short cuts.
"""

from itertools import combinations

from trajectories.seeds import derive_rng

__all__ = ["check_opponents", "pairs"]


def pairs(count: int, opponents: int | None, seed: int) -> tuple[tuple[int, int], ...]:
    """Pairs (i, j) with i < j of responses 0 to `count` - 1, in order; a function of its arguments.

    Args:
        opponents: of each response, even and at least 2; None for all others, as where there are no more of them.

    Raises:
        ValueError: `opponents` is odd or below 2.
    """
    check_opponents(opponents)
    if opponents is None or opponents >= count - 1:
        return tuple(combinations(range(count), 2))
    rng = derive_rng(seed, "critic design", count, opponents)
    circle = rng.sample(range(count), count)
    distances = (1, *rng.sample(range(2, (count - 1) // 2 + 1), opponents // 2 - 1))
    chosen = {
        (min(one, other), max(one, other))
        for place, one in enumerate(circle)
        for other in (circle[(place + distance) % count] for distance in distances)
    }
    return tuple(sorted(chosen))


def check_opponents(opponents: int | None) -> None:
    """Raises ValueError for a number of opponents that no design has."""
    if opponents is not None and (opponents < 2 or opponents % 2):
        raise ValueError(f"opponents: is an even number of at least 2, or null for all, not {opponents}")
