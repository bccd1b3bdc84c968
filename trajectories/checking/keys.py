"""What must not come twice, in 16 bytes a row: keys are BLAKE2b digests, kept as columns and compared by sorting them.

A set of a million rows is compared with another in tens of megabytes, which Python's own sets would need ten times of.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trajectories.canonical import canonical_json

__all__ = ["KeyColumn", "key", "repeated", "shared"]

Keys = NDArray[np.uint64]
"""Two words a key: shape (keys, 2)."""


def key(*parts: object) -> bytes:
    """The digest of JSON values."""
    return hashlib.blake2b(canonical_json(list(parts)).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class KeyColumn:
    """Keys in the order in which they were added."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, keys: bytes) -> None:
        """One key, or several one behind the other."""
        self._bytes += keys

    def __len__(self) -> int:
        return len(self._bytes) // 16

    def array(self) -> Keys:
        return np.frombuffer(bytes(self._bytes), dtype=np.uint64).reshape(-1, 2)


def repeated(keys: Keys) -> Iterator[tuple[int, int]]:
    """(position, position of the first equal key) of every key that came before, by position."""
    order, starts = _grouped(keys)
    first = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
    found = sorted(zip(order[~starts].tolist(), first[~starts].tolist(), strict=True))
    yield from found


def shared(keys: Keys, others: Keys) -> Iterator[tuple[int, int]]:
    """(position, position of the first equal key among `others`) of every key that others have too, by position."""
    both = np.concatenate([others, keys])
    order, starts = _grouped(both)
    first = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
    found = (order >= len(others)) & (first < len(others))
    yield from sorted(zip((order[found] - len(others)).tolist(), first[found].tolist(), strict=True))


def _grouped(keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Positions with equal keys side by side, earlier ones first, and where a new key begins."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    starts = np.ones(len(keys), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, starts
