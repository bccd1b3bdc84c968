"""Settings of deduplication: what is compared, how near is near, and how likely a pair of some similarity is found."""

from dataclasses import dataclass
from functools import lru_cache

import rensa

from trajectories.canonical import digest

__all__ = ["DedupConfig"]

_FEATURES_VERSION = 1
"""Raised when the same dialogue gets other features: another way to split words, another hash."""


@dataclass(frozen=True, kw_only=True)
class DedupConfig:
    """Which rows count as duplicates of rows that are kept already.

    Raises:
        ValueError: naming the key.
    """

    exact: bool = True
    """Drop a dialogue whose messages and tools are those of a kept one."""
    threshold: float = 0.7
    """Drop a dialogue whose words' estimated Jaccard similarity to a kept one is at least this, up to 1; 0 compares no words."""
    same_course: bool = True
    """Compare the words only of dialogues that take the same course: the same speakers in turn and the same calls with the
    same arguments, on tasks with the same tags."""
    structure_limit: int = 0
    """Rows of one structure (world, plan without its values, ending, refusal reasons) that are kept; 0 for any number."""
    shingle: int = 2
    """Words that are compared together."""
    prose: int = 1
    """Weight of what user and assistant say."""
    calls: int = 2
    """Weight of tool calls with their arguments."""
    results: int = 2
    """Weight of what tools answer."""
    permutations: int = 128
    """Slots of a row's MinHash signature, a byte each; the estimate's standard error is at most 0.5 / sqrt(permutations)."""
    bands: int = 16
    """Parts of the signature that are looked up; one that is equal makes a candidate."""
    band_rows: int = 4
    """Slots of each band: 4, or 8 for fewer candidates where many dialogues resemble each other."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold: is from 0 to 1, not {self.threshold}")
        if self.structure_limit < 0:
            raise ValueError(f"structure_limit: is at least 0, not {self.structure_limit}")
        if self.shingle < 1:
            raise ValueError(f"shingle: is at least 1 word, not {self.shingle}")
        for key in ("prose", "calls", "results"):
            if getattr(self, key) not in range(17):
                raise ValueError(f"{key}: a weight is a whole number from 0 to 16, not {getattr(self, key)}")
        if not self.prose + self.calls + self.results:
            raise ValueError("prose, calls, results: one of the weights is above 0; threshold=0 compares no words")
        if self.band_rows not in (4, 8):
            raise ValueError(f"band_rows: is 4 or 8, not {self.band_rows}")
        if self.permutations < 8 or self.permutations % 8:
            raise ValueError(f"permutations: is a multiple of 8, not {self.permutations}")
        if not 1 <= self.bands <= self.permutations // self.band_rows:
            most = self.permutations // self.band_rows
            raise ValueError(
                f"bands: is from 1 to {most} (permutations / band_rows), not {self.bands}; raise permutations or lower bands"
            )

    def chance(self, similarity: float) -> float:
        """How likely a pair of this Jaccard similarity becomes a candidate, whose estimate is then compared with the threshold.

        Every slot agrees with probability s + (1 - s) / 256, for it is kept as one byte; 1 - (1 - slot ** band_rows) ** bands.
        """
        slot = similarity + (1 - similarity) / 256
        return 1 - (1 - slot**self.band_rows) ** self.bands

    def features_key(self) -> bytes:
        """Four bytes that differ where the same dialogue has other features: only features of one key can be compared."""
        return _features_key(self.shingle, self.prose, self.calls, self.results, self.permutations)


@lru_cache(maxsize=64)
def _features_key(*settings: int) -> bytes:
    return bytes.fromhex(digest([_FEATURES_VERSION, rensa.RMinHash.ALGORITHM_VERSION, *settings])[:8])
