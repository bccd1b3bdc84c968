"""Pass rates and their differences, with 95 % intervals.

A pass rate of verdicts (0 or 1) has Wilson's score interval (Wilson 1927, JASA 22:209), which stays inside [0, 1] and
is honest near its ends; any other mean, and every paired difference, has a percentile bootstrap over tasks (Efron
1979). Bootstraps are seeded: the same values give the same interval.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Estimate", "bootstrap_mean", "clopper_pearson", "mean_of_tasks", "paired_difference", "pass_rate", "wilson_interval"]

_Z95 = 1.959963984540054
_CHUNK = 2_000_000  # resampled values held in memory at a time: 16 MB


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float
    count: int
    """Number of independent units (tasks) behind it."""

    def as_pass(self) -> dict[str, object]:
        """``{"pass", "ci95"}``, as summaries hold a pass rate."""
        return {"pass": self.mean, "ci95": [self.low, self.high]}

    def as_mean(self) -> dict[str, object]:
        """``{"mean", "ci95"}``, as summaries hold a difference."""
        return {"mean": self.mean, "ci95": [self.low, self.high]}

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def pass_rate(values: ArrayLike, *, seed: int = 0) -> Estimate:
    """The mean of verdicts, one per task: Wilson's interval for 0s and 1s, the bootstrap for anything between.

    Args:
        values: shape [tasks]; a task that was tried several times counts as the mean of its tries.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    array = _checked(values)
    if np.isin(array, (0.0, 1.0)).all():
        low, high = wilson_interval(int(array.sum()), array.size)
        return Estimate(float(array.mean()), low, high, array.size)
    return bootstrap_mean(array, seed=seed)


def wilson_interval(successes: int, trials: int, z: float = _Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials is not a proportion")
    rate = successes / trials
    scale = 1.0 / (1.0 + z * z / trials)
    centre = (rate + z * z / (2 * trials)) * scale
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials)) * scale
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return low, high


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper & Pearson 1934, Biometrika 26:404): never narrower than it says.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials is not a proportion")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else _root(lambda rate: _at_least(successes, trials, rate) - tail)
    high = 1.0 if successes == trials else _root(lambda rate: tail - 1 + _at_least(successes + 1, trials, rate))
    return low, high


def bootstrap_mean(values: ArrayLike, *, seed: int = 0, resamples: int = 10_000) -> Estimate:
    """The mean of independent values with its percentile bootstrap interval."""
    array = _checked(values)
    means = _resampled_means(array, seed, resamples)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(array.mean()), float(low), float(high), array.size)


def paired_difference(after: ArrayLike, before: ArrayLike, *, seed: int = 0, resamples: int = 10_000) -> Estimate:
    """The mean of ``after - before`` over tasks that both were tried on, with its bootstrap interval.

    Args:
        after, before: shape [tasks], the same tasks in the same order.

    Raises:
        ValueError: different numbers of tasks, none, or a value that is not finite.
    """
    first, second = _checked(after), _checked(before)
    if first.shape != second.shape:
        raise ValueError(f"paired values need the same tasks: {first.size} after, {second.size} before")
    return bootstrap_mean(first - second, seed=seed, resamples=resamples)


def mean_of_tasks(task_ids: Sequence[str], values: ArrayLike) -> tuple[list[str], NDArray[np.float64]]:
    """Repeated tries become one value per task, in order of first appearance: tries of one task are not independent."""
    array = _checked(values)
    if len(task_ids) != array.size:
        raise ValueError(f"{len(task_ids)} task ids for {array.size} values")
    order = {task: index for index, task in enumerate(dict.fromkeys(task_ids))}
    index = np.array([order[task] for task in task_ids])
    return list(order), np.bincount(index, weights=array) / np.bincount(index)


def _resampled_means(values: NDArray[np.float64], seed: int, resamples: int) -> NDArray[np.float64]:
    """Means of `resamples` draws with replacement, shape [resamples]."""
    generator = np.random.default_rng(seed)
    distinct, counts = np.unique(values, return_counts=True)
    if distinct.size <= 32:  # verdicts: how often each distinct value is drawn is multinomial, the same law and much faster
        drawn = generator.multinomial(values.size, counts / values.size, size=resamples)
        return drawn @ distinct / values.size
    rows = max(1, _CHUNK // values.size)
    parts = [
        values[generator.integers(0, values.size, size=(min(rows, resamples - start), values.size))].mean(axis=1)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(parts)


def _checked(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"expected one value per task, got an array of shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("a value is not finite; leave invalid rewards out before taking means")
    return array


def _at_least(successes: int, trials: int, rate: float) -> float:
    """The chance of so many successes or more, by terms in logarithms: thousands of trials do not underflow."""
    choose = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(
            choose - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(rate) + (trials - k) * math.log1p(-rate)
        )
        for k in range(successes, trials + 1)
    )


def _root(rising: Callable[[float], float]) -> float:
    """Where a function that rises from below 0 to above it crosses, by halving (0, 1) to the last bit."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return middle
