"""Columns and hash chains in plain arrays: a few bytes an entry, where dictionaries and sets take hundreds.

Columns grow by a quarter, in place. An entry of a chain belongs to a row, which has as many as every other; its number is
``row * per_row + index``, and its key is the caller's, who compares it: entries of other keys may share a slot. Slots double
when there are as many entries; then every chain is made anew from the caller's keys, so that old and new slots are never held
at once.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["BATCH", "FEWEST_ROWS", "GROWTH", "Chains", "Column", "Keys", "Marks"]

Keys = tuple[NDArray[np.uint64], NDArray[np.uint64]]
"""Numbers of entries, ascending, and their hashes."""

BATCH: Final = 65_536
"""Entries that are linked anew at a time, at some 50 bytes each."""
FEWEST_ROWS: Final = 1024
"""That there is room for from the start."""
GROWTH: Final = 1.25


class Column:
    """An array of shape [rows, width] that grows; rows that nobody has written are 0."""

    def __init__(self, dtype: DTypeLike, width: int) -> None:
        self.array: NDArray[Any] = np.zeros((FEWEST_ROWS, width), dtype)

    def grow(self) -> None:
        """Makes room for a quarter more rows. Nothing else may refer to the array meanwhile."""
        rows, width = self.array.shape
        # Without its check, which counts what a debugger or a profiler holds too.
        self.array.resize((int(rows * GROWTH), width), refcheck=False)


class Chains:
    """Entries by the hash of their key, 64 bits of which the upper ones count.

    Args:
        keys: every entry so far, in batches.
        per_row: entries of a row.
    """

    BYTES_PER_ENTRY: Final = 4 * GROWTH + 8
    """At most: a link, and up to two slots."""

    def __init__(self, keys: Callable[[], Iterable[Keys]], per_row: int = 1) -> None:
        self._keys, self._per_row = keys, per_row
        self._links = Column(np.uint32, per_row)
        self._slots = np.zeros(1 << (FEWEST_ROWS * per_row - 1).bit_length(), np.uint32)
        self._view()

    @property
    def nbytes(self) -> int:
        return self._slots.nbytes + self._links.array.nbytes

    def under(self, hashes: Iterable[int]) -> list[int]:
        """Every entry that was added under one of these hashes, and a few others."""
        slots, links, shift, found = self._slot_view, self._link_view, self._shift, []
        for value in hashes:
            entry = slots[value >> shift]
            while entry:
                found.append(entry - 1)
                entry = links[entry - 1]
        return found

    def add(self, row: int, hashes: Iterable[int]) -> None:
        """Adds the entries of a row under these hashes."""
        slots, links, shift = self._slot_view, self._link_view, self._shift
        for entry, value in enumerate(hashes, row * self._per_row):
            slot = value >> shift
            links[entry] = slots[slot]
            slots[slot] = entry + 1

    def grow(self, rows: int) -> None:
        """Makes room for a quarter more than the `rows` that there are.

        Raises:
            OverflowError: more entries than numbers of 32 bits tell apart.
        """
        if rows * self._per_row * GROWTH >= 2**32:
            raise OverflowError(f"{rows:,} rows are as many as can be told apart with {self._per_row} bands; use fewer bands")
        self._slot_view.release()
        self._link_view.release()
        self._links.grow()
        if rows * self._per_row > len(self._slots):
            size = 2 * len(self._slots)
            del self._slots  # before the next ones are there
            self._slots = np.zeros(size, np.uint32)
            for entries, hashes in self._keys():
                self._link(entries, hashes)
        self._view()

    def _view(self) -> None:
        # An item of a memoryview is a Python integer at a third of the price of an array's.
        self._slot_view, self._link_view = self._slots.data, self._links.array.reshape(-1).data
        self._shift = 65 - len(self._slots).bit_length()

    def _link(self, entries: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> None:
        """As `add` one by one would."""
        slot = hashes >> np.uint64(65 - len(self._slots).bit_length())
        order = np.argsort(slot, kind="stable")
        slot, marks = slot[order], (entries[order] + np.uint64(1)).astype(np.uint32)
        first = np.concatenate(([True], slot[1:] != slot[:-1]))
        last = np.concatenate((first[1:], [True]))
        before = np.concatenate((marks[:1], marks[:-1]))
        self._links.array.reshape(-1)[marks - np.uint32(1)] = np.where(first, self._slots[slot], before)
        self._slots[slot[last]] = marks[last]


class Marks:
    """Which hashes may have been added: every one that was, and at most a third of all others.

    Each marks a byte that its upper bits choose.
    """

    BYTES_PER_ROW: Final = 8
    """At most."""

    def __init__(self) -> None:
        self._make(np.zeros(0, np.uint64), 4 * FEWEST_ROWS)

    def __contains__(self, value: int) -> bool:
        return self._view[value >> self._shift] != 0

    def add(self, value: int) -> None:
        self._view[value >> self._shift] = 1

    def grow(self, hashes: NDArray[np.uint64]) -> None:
        """Makes room for a quarter more; `hashes` are all that there are."""
        if 4 * len(hashes) > self.nbytes:
            self._make(hashes, 2 * self.nbytes)

    @property
    def nbytes(self) -> int:
        return len(self._view)

    def _make(self, hashes: NDArray[np.uint64], size: int) -> None:
        self._shift = 65 - size.bit_length()
        marks = np.zeros(size, np.uint8)
        marks[hashes >> np.uint64(self._shift)] = 1
        self._view = marks.data
