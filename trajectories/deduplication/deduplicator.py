"""Which rows are duplicates of rows that were kept before them, with a bounded state for each row that is kept.

Only kept rows are remembered, so the state is a function of the kept rows' features in order: adding them again, from
storage, restores it. A row is compared first with all of it, then by its words, then by its structure.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trajectories.deduplication.chains import GROWTH, Column
from trajectories.deduplication.config import DedupConfig
from trajectories.deduplication.digest_index import DigestIndex
from trajectories.deduplication.extract import Features
from trajectories.deduplication.signature_index import Lookup, SignatureIndex

__all__ = ["Deduplicator", "Duplicate"]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row that is like one that is kept."""

    kind: Literal["exact", "near", "structural"]
    of: int
    """Number of the kept row: for `near` the most similar candidate, for `structural` the first of the structure."""
    similarity: float = 1.0
    """Of the words, as the signatures estimate it; 1 where they were not asked."""

    @property
    def reason(self) -> str:
        """Why the row is dropped, as summaries say it."""
        return f"{self.kind}_duplicate"


class Deduplicator:
    """Says of each row whether it is a duplicate of a kept one, and keeps it if not.

    What it answers depends on the rows added, in their order, and on nothing else.
    """

    def __init__(self, config: DedupConfig) -> None:
        self._config, self._key = config, config.features_key()
        self._rows = 0
        self._numbers = Column(np.int64, 1)
        self._exact = DigestIndex(16) if config.exact else None
        self._near = SignatureIndex(config) if config.threshold else None
        self._structures = DigestIndex(8) if config.structure_limit else None

    def add(self, features: Features, number: int) -> Duplicate | None:
        """The duplicate that a row is; None for a row that is kept, and remembered under `number`.

        Raises:
            ValueError: the features were computed with other settings, or were cut.
        """
        self._check(features)
        words = None if self._near is None else self._near.lookup(features)
        duplicate = self._duplicate(features, words)
        if duplicate is None:
            self._keep(features, words, number)
        return duplicate

    @property
    def rows(self) -> int:
        """Rows that are kept."""
        return self._rows

    @property
    def bytes_per_row(self) -> int:
        """Bytes that each kept row costs at most, from 1,024 rows on; growing takes no more than some megabytes beyond."""
        parts = [part.bytes_per_row for part in (self._exact, self._near, self._structures) if part is not None]
        return math.ceil(8 * GROWTH + sum(parts))

    @property
    def state_bytes(self) -> int:
        """Bytes held now, rows to come included."""
        return self._numbers.array.nbytes + sum(
            part.nbytes for part in (self._exact, self._near, self._structures) if part is not None
        )

    def _duplicate(self, features: Features, words: Lookup | None) -> Duplicate | None:
        if self._exact is not None and (same := self._exact.find(features.dialogue)):
            return Duplicate("exact", self._number(same[0]))
        if self._near is not None and words is not None and (near := self._near.find(words)) is not None:
            row, similarity = near
            return Duplicate("near", self._number(row), similarity)
        if self._structures is not None:
            same = self._structures.find(features.structure)
            if len(same) >= self._config.structure_limit:
                return Duplicate("structural", self._number(same[0]))
        return None

    def _keep(self, features: Features, words: Lookup | None, number: int) -> None:
        if self._rows == len(self._numbers.array):
            self._numbers.grow()
        self._numbers.array[self._rows] = number
        if self._exact is not None:
            self._exact.append(features.dialogue)
        if self._near is not None:
            self._near.append(words)
        if self._structures is not None:
            self._structures.append(features.structure)
        self._rows += 1

    def _check(self, features: Features) -> None:
        if features.key != self._key:
            raise ValueError(
                "the features were computed with another shingle, weights, permutations or version of the hash; compute them anew"
            )
        if len(features.signature) not in (0, self._config.permutations):
            raise ValueError(f"a signature has {self._config.permutations} bytes or none, not {len(features.signature)}")

    def _number(self, row: int) -> int:
        return int(self._numbers.array[row, 0])
