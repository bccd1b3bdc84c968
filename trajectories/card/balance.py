"""How evenly a data set is spread over the values of an axis, and what a distribution of whole numbers looks like."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

__all__ = ["Balance", "Spread", "balance", "spread"]


@dataclass(frozen=True, slots=True)
class Balance:
    """Of counts over values; shares are of all that was counted."""

    values: int
    """Distinct values that occur."""
    entropy: float | None
    """Shannon's, over the logarithm of `values`: 1 where all values are equally frequent. None with fewer than two values."""
    smallest_share: float | None
    largest_share: float | None
    gini: float | None
    """0 where all values are equally frequent, towards 1 where one has everything."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of whole numbers; a quantile is the smallest number that at least such a share does not exceed."""

    count: int
    total: int
    mean: float
    least: int
    median: int
    p95: int
    most: int


def balance(counts: Mapping[str, int]) -> Balance:
    """The measures over the values that occur (a count of 0 is none)."""
    sizes = sorted(size for size in counts.values() if size > 0)
    total, number = sum(sizes), len(sizes)
    if not sizes:
        return Balance(0, None, None, None, None)
    entropy = -sum(size / total * math.log(size / total) for size in sizes) / math.log(number) if number > 1 else None
    gini = sum((2 * rank - number - 1) * size for rank, size in enumerate(sizes, start=1)) / (number * total)
    return Balance(number, entropy, sizes[0] / total, sizes[-1] / total, gini)


def spread(histogram: Mapping[int, int]) -> Spread | None:
    """Of a histogram (number to how often); None where it is empty."""
    numbers = sorted(number for number, times in histogram.items() if times)
    if not numbers:
        return None
    below = list(accumulate(histogram[number] for number in numbers))
    count, total = below[-1], sum(number * histogram[number] for number in numbers)

    def percentile(percent: int) -> int:
        return next(number for number, seen in zip(numbers, below, strict=True) if 100 * seen >= percent * count)

    return Spread(count, total, total / count, numbers[0], percentile(50), percentile(95), numbers[-1])
