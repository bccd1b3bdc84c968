"""Scores from comparisons: the model of Bradley and Terry (1952, Biometrika 39:324) by penalised maximum likelihood.

With scores s in logits, ``P(i is better than j) = 1 / (1 + exp(s_j - s_i))``. A tie counts as half a win of either side. A weak
normal prior around 0 keeps the score of who wins everything finite, and centres every set of responses that hang together at 0.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PRIOR_SD", "components", "elo", "fit"]

PRIOR_SD: Final = 3.0
"""Of the prior, in logits: ours. Of responses one standard deviation above and below 0, the better one wins 99.8 %."""

_TOLERANCE: Final = 1e-10
"""Of a score, in logits."""
_MOST_STEPS: Final = 500


def fit(wins: ArrayLike, prior_sd: float = PRIOR_SD) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores and their standard errors, in logits; the scores add up to 0.

    Maximises ``sum_ij wins_ij log P(i better than j) - sum_i s_i^2 / (2 prior_sd^2)``, which has one maximum. The errors are from
    the observed information: the inverse H^-1 of the negative Hessian there, about the mean of the scores. That mean is a
    convention that no comparison tells anything about, so its prior variance is taken out: ``error_i^2 = (C H^-1 C)_ii`` with
    ``C = I - 1/K``.

    Args:
        wins: shape [..., K, K]; how often i was better than j, a tie 0.5 of both. Leading dimensions are independent fits.

    Returns:
        Two arrays of shape [..., K].

    Raises:
        ValueError: a negative or infinite number of wins, or somebody's against himself.
    """
    won = np.asarray(wins, dtype=np.float64)
    if won.ndim < 2 or won.shape[-1] != won.shape[-2] or not won.shape[-1]:
        raise ValueError(f"wins are of shape [..., K, K] with K of at least 1, not {won.shape}")
    if not (np.isfinite(won).all() and (won >= 0).all()) or np.diagonal(won, axis1=-2, axis2=-1).any():
        raise ValueError("wins are finite and at least 0, and nobody plays against himself")
    if not prior_sd > 0:
        raise ValueError(f"prior_sd: is above 0, not {prior_sd}")
    count = won.shape[-1]
    games = won + np.swapaxes(won, -1, -2)
    precision = np.eye(count) / prior_sd**2
    scores = np.zeros(won.shape[:-1])
    for _ in range(_MOST_STEPS):
        chance = _chance(scores)
        lost = np.swapaxes(won, -1, -2) * chance
        gradient = (np.swapaxes(lost, -1, -2) - lost).sum(-1) - scores / prior_sd**2  # exact where a chance is next to 1
        step = np.linalg.solve(_information(games, chance) + precision, gradient[..., None])[..., 0]
        # Newton's step may go too far; damped like this it never does (Sun and Tran-Dinh 2019, Math. Program. 178:145)
        span = np.maximum(step.max(-1) - step.min(-1), 1e-300)
        scores = scores + step * (np.log1p(span) / span)[..., None]
        if not (span > _TOLERANCE).any():
            break
    else:
        raise ArithmeticError(f"Bradley-Terry: no maximum after {_MOST_STEPS} steps")
    information = _information(games, _chance(scores)) + precision
    centre = np.eye(count) - 1.0 / count
    variance = np.diagonal(centre @ np.linalg.inv(information) @ centre, axis1=-2, axis2=-1)
    return scores - scores.mean(-1, keepdims=True), np.sqrt(np.maximum(variance, 0.0))


def components(games: ArrayLike) -> list[list[int]]:
    """Who hangs together by comparisons: lists of indices, each ascending, the lists by their first.

    Args:
        games: shape [K, K]; above 0 where two were compared.
    """
    compared = np.asarray(games) > 0
    reached = compared | compared.T | np.eye(len(compared), dtype=bool)
    while not np.array_equal(wider := (reached.astype(np.int64) @ reached.astype(np.int64)) > 0, reached):
        reached = wider
    return [np.flatnonzero(row).tolist() for at, row in enumerate(reached) if np.flatnonzero(row)[0] == at]


def elo(score: float) -> float:
    """The score on chess players' scale, to be shown: 1500 is the mean of the group, 400 more are ten wins to one."""
    return 1500.0 + 400.0 * score / float(np.log(10.0))


def _chance(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """That i is better than j, shape [..., K, K]."""
    chance: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, scores[..., None, :] - scores[..., :, None]))
    return chance


def _information(games: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the comparisons, without the prior: shape [..., K, K]."""
    weights = games * chance * np.swapaxes(chance, -1, -2)
    return np.eye(games.shape[-1]) * weights.sum(-1)[..., None, :] - weights
