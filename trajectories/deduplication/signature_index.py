"""Rows by their MinHash signatures: candidates by bands (locality-sensitive hashing), confirmed by the whole signature.

A candidate shares a whole band with the row, and its course where the settings ask for that. Bands are words of the stored
signature itself, so no band is stored a second time.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trajectories.deduplication.chains import BATCH, GROWTH, Chains, Column, Keys, Marks
from trajectories.deduplication.config import DedupConfig
from trajectories.deduplication.extract import Features
from trajectories.deduplication.shingles import BY_CHANCE

__all__ = ["Lookup", "SignatureIndex"]

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)


class Lookup(NamedTuple):
    """A row as the index looks it up."""

    signature: NDArray[np.uint8]
    words: NDArray[Any]
    """The bands of the signature."""
    course: int
    hashes: list[int]
    """Of each band, with the course where it matters."""


class SignatureIndex:
    """One signature a row, or none. Entry ``row * bands + band`` stands for one band of one row."""

    def __init__(self, config: DedupConfig) -> None:
        self._config, self._rows = config, 0
        self._bands = np.uint32(config.bands)
        self._word = np.dtype(np.uint32 if config.band_rows == 4 else np.uint64)
        # Odd, and another for each band: the upper bits of a product with it depend on every bit of a word.
        self._factors = np.arange(1, 2 * config.bands, 2, dtype=np.uint64) * _ODD
        self._signatures = Column(np.uint8, config.permutations)
        self._courses = _Courses() if config.same_course else None
        self._chains = Chains(self._keys, config.bands)

    @property
    def bytes_per_row(self) -> float:
        """At most."""
        config = self._config
        courses = _Courses.BYTES_PER_ROW * config.same_course
        return config.permutations * GROWTH + courses + config.bands * Chains.BYTES_PER_ENTRY

    @property
    def nbytes(self) -> int:
        courses = self._courses.nbytes if self._courses is not None else 0
        return self._signatures.array.nbytes + courses + self._chains.nbytes

    def lookup(self, features: Features) -> Lookup | None:
        """None for a row without words."""
        if not features.signature:
            return None
        words = np.frombuffer(features.signature, self._word)[: self._config.bands]
        course = int.from_bytes(features.course, sys.byteorder) if self._config.same_course else 0
        signature = np.frombuffer(features.signature, np.uint8)
        return Lookup(signature, words, course, self._hashes(words, np.uint64(course)).tolist())

    def find(self, row: Lookup) -> tuple[int, float] | None:
        """The candidate that is most similar (the earliest of several), and how similar, if that is near enough."""
        if self._courses is not None and row.course not in self._courses.taken:
            return None
        candidates = self._candidates(row)
        if not len(candidates):
            return None
        agree = (self._signatures.array[candidates] == row.signature).sum(axis=1)
        best = int(agree.argmax())
        similarity = (int(agree[best]) / self._config.permutations - BY_CHANCE) / (1 - BY_CHANCE)
        return (int(candidates[best]), similarity) if similarity >= self._config.threshold else None

    def append(self, row: Lookup | None) -> None:
        """The next row."""
        if self._rows == len(self._signatures.array):
            self._grow()
        if row is not None:
            self._signatures.array[self._rows] = row.signature
            if self._courses is not None:
                self._courses.write(self._rows, row.course)
            self._chains.add(self._rows, row.hashes)
        self._rows += 1

    def _grow(self) -> None:
        self._signatures.grow()
        if self._courses is not None:
            self._courses.grow()
        self._chains.grow(self._rows)

    def _candidates(self, row: Lookup) -> NDArray[np.uint32]:
        """Rows that share a band and the course, ascending."""
        entries = np.array(self._chains.under(row.hashes), np.uint32)
        rows = entries // self._bands
        if self._courses is not None:
            same = np.flatnonzero(self._courses.column.array[rows, 0] == row.course)
            if not len(same):
                return rows[:0]
            entries, rows = entries[same], rows[same]
        bands = entries % self._bands
        return np.unique(rows[self._signatures.array.view(self._word)[rows, bands] == row.words[bands]])

    def _hashes(self, words: NDArray[Any], courses: np.uint64 | NDArray[np.uint64]) -> NDArray[np.uint64]:
        return (words ^ courses) * self._factors

    def _keys(self) -> Iterator[Keys]:
        bands = self._config.bands
        for start in range(0, self._rows, BATCH // bands + 1):
            stop = min(start + BATCH // bands + 1, self._rows)
            words = self._signatures.array[start:stop].view(self._word)[:, :bands]
            courses = np.uint64(0) if self._courses is None else self._courses.column.array[start:stop]
            entries = np.arange(start * bands, stop * bands, dtype=np.uint64).reshape(-1, bands)
            # A row without words has no signature, and no place in a chain.
            there = self._signatures.array[start:stop].any(axis=1)
            yield entries[there].ravel(), self._hashes(words, courses)[there].ravel()


class _Courses:
    """The course of each row; 0 for a row without words."""

    BYTES_PER_ROW: Final = 8 * GROWTH + Marks.BYTES_PER_ROW

    def __init__(self) -> None:
        self.column = Column(np.uint64, 1)
        # Most rows of a diverse set are the first of their course, and need no candidates.
        self.taken = Marks()

    @property
    def nbytes(self) -> int:
        return self.column.array.nbytes + self.taken.nbytes

    def write(self, row: int, course: int) -> None:
        self.column.array[row] = course
        self.taken.add(course)

    def grow(self) -> None:
        self.taken.grow(self.column.array[:, 0])
        self.column.grow()
