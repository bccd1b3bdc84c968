"""Finds tasks by id in their shards, so that no process ever holds all of them.

The index is two sorted columns of numbers, sixteen bytes a task, which Ray's object store shares between workers without copies.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trajectories.checking.folder import shards, split_names
from trajectories.checking.reading import decoded, plain_columns
from trajectories.codec import TASK_SCHEMA

__all__ = ["TaskIndex"]


@dataclass(frozen=True)
class TaskIndex:
    """Where the task of each id is stored."""

    groups: tuple[tuple[str, int], ...]
    """Path and row group."""
    words: NDArray[np.uint64]
    """Of each id, sorted; ids with equal words are told apart when they are read."""
    places: NDArray[np.uint64]
    """Of each id, the number among `groups`, and in the lower 32 bits the row in the group."""

    @staticmethod
    def of(directory: Path) -> "TaskIndex":
        """The index of all splits of a data set of tasks; what cannot be read has no task."""
        groups: list[tuple[str, int]] = []
        words, places = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        for path in (path for split in split_names(directory) for path in shards(directory, split)):
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as file:
                    for group in range(file.num_row_groups):
                        ids = file.read_row_group(group, columns=["id"]).column("id").to_pylist()
                        words.append(np.fromiter(map(_word, ids), np.uint64, len(ids)))
                        places.append(np.arange(len(ids), dtype=np.uint64) + np.uint64(len(groups) << 32))
                        groups.append((str(path), group))
            except (pa.ArrowException, OSError, KeyError):
                continue  # the checks of files and columns say so
        whole = np.concatenate(words)
        order = np.argsort(whole, kind="stable")
        return TaskIndex(tuple(groups), whole[order], np.concatenate(places)[order])

    def __len__(self) -> int:
        return len(self.words)

    def rows(self, ids: Iterable[Any]) -> dict[str, dict[str, Any]]:
        """The rows of those ids that have a task; of tasks that are stored twice the first."""
        wanted = {task_id for task_id in ids if isinstance(task_id, str)}
        groups: dict[int, list[int]] = defaultdict(list)
        for task_id in sorted(wanted):
            word = np.uint64(_word(task_id))
            for place in range(np.searchsorted(self.words, word, "left"), np.searchsorted(self.words, word, "right")):
                group, number = divmod(int(self.places[place]), 2**32)
                groups[group].append(number)
        found: dict[str, dict[str, Any]] = {}
        for group, numbers in sorted(groups.items()):
            for row in _read(*self.groups[group], sorted(set(numbers))):
                if row["id"] in wanted:
                    found.setdefault(row["id"], row)
        return found


def _read(path: str, group: int, numbers: list[int]) -> list[dict[str, Any]]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            batch = file.read_row_group(group, use_threads=False).take(numbers).combine_chunks().to_batches()[0]
            plain = plain_columns(file.schema_arrow, TASK_SCHEMA)
    except (pa.ArrowException, OSError, KeyError):
        return []  # the checks of files and columns say so
    return [row for _, row in decoded(batch, 0, plain).rows]


def _word(task_id: Any) -> int:
    return int.from_bytes(hashlib.blake2b(str(task_id).encode("utf-8", "surrogatepass"), digest_size=8).digest())
