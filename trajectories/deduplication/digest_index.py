"""Rows by a digest that is compared in full."""

import sys
from collections.abc import Iterator

import numpy as np

from trajectories.deduplication.chains import BATCH, GROWTH, Chains, Column, Keys

__all__ = ["DigestIndex"]


class DigestIndex:
    """One digest a row, of `size` bytes, a multiple of 8."""

    def __init__(self, size: int) -> None:
        self._size, self._rows = size, 0
        self._digests = Column(np.uint64, size // 8)
        self._chains = Chains(self._keys)

    @property
    def bytes_per_row(self) -> float:
        """At most."""
        return self._size * GROWTH + Chains.BYTES_PER_ENTRY

    @property
    def nbytes(self) -> int:
        return self._digests.array.nbytes + self._chains.nbytes

    def find(self, digest: bytes) -> list[int]:
        """Rows with this digest, ascending."""
        rows = self._chains.under((_hash(digest),))
        return sorted(row for row in rows if self._digests.array[row].tobytes() == digest) if rows else rows

    def append(self, digest: bytes) -> None:
        """The next row."""
        if self._rows == len(self._digests.array):
            self._digests.grow()
            self._chains.grow(self._rows)
        self._digests.array[self._rows] = np.frombuffer(digest, np.uint64)
        self._chains.add(self._rows, (_hash(digest),))
        self._rows += 1

    def _keys(self) -> Iterator[Keys]:
        for start in range(0, self._rows, BATCH):
            stop = min(start + BATCH, self._rows)
            yield np.arange(start, stop, dtype=np.uint64), self._digests.array[start:stop, 0]


def _hash(digest: bytes) -> int:
    return int.from_bytes(digest[:8], sys.byteorder)
