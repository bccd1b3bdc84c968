"""Which passages share n-grams with a text: sorted arrays of 64-bit hashes, with the passages of each.

An n-gram of hashed words is their sum weighted by powers of an odd constant, modulo 2**64: two different n-grams are equal with
a chance of about 2**-64. Per distinct n-gram the index holds 8 bytes of hash and 4 of offset, 4 per passage that has it, and 8 to
16 bytes of a table that answers "in none" for most n-grams of a text without a search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trajectories.decontamination.words import MASK

__all__ = ["GramIndex", "Hits", "counted_grams", "grams_of"]

_FACTOR: Final = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Hits:
    """N-grams of a text that are in the index, one row per passage that has one; each n-gram once per group."""

    places: np.ndarray
    """Index of the n-gram in the text (its first of the group), int64."""
    passages: np.ndarray
    """Number of the passage, int64."""


def grams_of(words: np.ndarray, n: int) -> np.ndarray:
    """The n-grams of hashed words, as uint64 of shape [max(0, words - n + 1)]."""
    count = max(0, len(words) - n + 1)
    total = np.zeros(count, dtype=np.uint64)
    for i in range(n if count else 0):
        total += words[i : i + count] * np.uint64(pow(_FACTOR, i, 2**64))
    return total


class GramIndex:
    """The n-grams of many passages."""

    def __init__(self, counted: Sequence[np.ndarray]) -> None:
        """
        Args:
            counted: of each passage the n-grams that count, distinct.
        """
        self.sizes = np.array([len(grams) for grams in counted], dtype=np.int64)
        """Per passage, how many n-grams count."""
        all_grams = np.concatenate(counted) if counted else np.zeros(0, dtype=np.uint64)
        owners = np.repeat(np.arange(len(counted), dtype=np.int32), self.sizes)
        order = np.argsort(all_grams, kind="stable")
        self._owners = owners[order]
        self._grams, starts = np.unique(all_grams[order], return_index=True)
        self._offsets = np.append(starts, len(all_grams)).astype(np.int32)
        self._shift = np.uint64(64 - max(4, len(self._grams).bit_length() + 3))
        self._table = np.zeros(2 ** int(64 - int(self._shift)), dtype=np.bool_)
        self._table[self._grams >> self._shift] = True

    @property
    def num_grams(self) -> int:
        """Distinct n-grams."""
        return len(self._grams)

    @property
    def num_bytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.sizes, self._owners, self._grams, self._offsets, self._table)
        return sum(int(array.nbytes) for array in arrays)

    def find(self, grams: np.ndarray, groups: np.ndarray | None = None) -> Hits | None:
        """Where `grams` are in the index; None where none is.

        Args:
            groups: of each n-gram, the text that it stands in, as a whole number; None where all are of one.
        """
        places = np.flatnonzero(self._table[grams >> self._shift])
        if len(places) == 0:
            return None
        asked = grams[places]
        found = np.minimum(np.searchsorted(self._grams, asked), len(self._grams) - 1)
        same = self._grams[found] == asked
        places, found = places[same], found[same]
        keys = found if groups is None else groups[places] * len(self._grams) + found
        _, first = np.unique(keys, return_index=True)
        if len(first) == 0:
            return None
        places, found = places[first], found[first]
        counts = self._offsets[found + 1] - self._offsets[found]
        ends = np.cumsum(counts)
        rows = np.arange(ends[-1]) + np.repeat(self._offsets[found] - (ends - counts), counts)
        return Hits(np.repeat(places, counts), self._owners[rows].astype(np.int64))


def counted_grams(words: np.ndarray, n: int, least_words: int) -> np.ndarray:
    """The distinct n-grams that hold at least `least_words` words which are no placeholder."""
    grams = grams_of(words, n)
    if len(grams) == 0:
        return grams
    shown = np.concatenate(([0], np.cumsum(words != np.uint64(MASK))))
    return np.unique(grams[shown[n:] - shown[:-n] >= least_words])
