"""The data set that is exported: its splits cut into units of work, its rows by unit or by task, and its tasks by id.

A unit is a run of row groups of one shard. What the units are, and which rows belong to which, is a function of the
files alone, so that who works on which unit, and when, changes nothing.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trajectories.columns import from_batch
from trajectories.shard_files import ROW_GROUP, Layout, ShardError, shard_of
from trajectories.shards import manifest

__all__ = ["Source", "TaskIndex", "Unit"]

_UNIT_ROWS, _UNIT_BYTES = 4096, 32 * 2**20
"""Of a unit at most, as far as row groups allow: what a worker holds in memory. Bytes as the file counts them before
compression, where repeated values count once."""


class Unit(NamedTuple):
    """Row groups of one shard."""

    split: str
    path: Path
    groups: tuple[int, ...]
    first_row: int
    """Its number in the split."""
    rows: int


@dataclass(frozen=True)
class Source:
    """Parquet splits under ``DIR/data``."""

    directory: Path
    schema: pa.Schema

    def splits(self) -> list[str]:
        """Names of the splits that are there, finished or not."""
        names = (re.fullmatch(r"(\w+)-\d{5}-of-\d{5}\.parquet", path.name) for path in self.directory.glob("data/*"))
        return sorted({match[1] for match in names if match})

    def digest(self, splits: Sequence[str]) -> dict[str, str]:
        """SHA-256 over those of the shards, by split; from the manifest where there is one that the files agree with.

        Raises:
            ShardError: a split is absent, unfinished or damaged, or has other columns.
        """
        return {split: self._digest(split) for split in splits}

    def units(self, splits: Sequence[str]) -> list[Unit]:
        """All units, in the order of the rows."""
        return [unit for split in splits for unit in self._units(split)]

    def batches(
        self, unit: Unit, columns: Sequence[str] | None = None, *, most: int = ROW_GROUP
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(number of the first row, at most `most` rows) of a unit, page checksums verified."""
        number = unit.first_row
        try:
            with pq.ParquetFile(unit.path, page_checksum_verification=True) as file:
                # Without threads: there are as many workers as cores should be used.
                table = file.read_row_groups(list(unit.groups), columns=columns, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ShardError(f"{unit.path} is truncated or damaged ({reason}); restore it") from error
        for batch in table.to_batches(max_chunksize=most):
            yield number, batch
            number += batch.num_rows

    def _digest(self, split: str) -> str:
        layout = Layout(self.directory, split)
        paths = layout.finished_shards()
        for path in paths:
            self._check_columns(path)
        if not layout.manifest.is_file():
            return hashlib.sha256("".join(shard_of(path).sha256 for path in paths).encode()).hexdigest()
        known = manifest(self.directory, split)
        sizes = [path.stat().st_size for path in paths]
        if sizes != [shard.bytes for shard in known.shards]:
            raise ShardError(f"{self.directory}: the shards of split {split} are not those of {layout.manifest.name}")
        return known.fingerprint()

    def _check_columns(self, path: Path) -> None:
        try:
            found = pq.read_schema(path).remove_metadata()
        except (pa.ArrowException, OSError) as error:
            raise ShardError(f"{path} is truncated or damaged ({str(error).splitlines()[0]}); restore it") from error
        if not found.equals(self.schema):
            missing, more = set(self.schema.names) - set(found.names), set(found.names) - set(self.schema.names)
            told = f"missing {sorted(missing)}, unknown {sorted(more)}" if missing or more else "of other types"
            raise ShardError(f"{path} has other columns than this version writes: {told}")

    def _units(self, split: str) -> Iterator[Unit]:
        number = 0
        for path in Layout(self.directory, split).finished_shards():
            metadata = pq.read_metadata(path)
            groups: list[int] = []
            rows = size = 0
            for group in range(metadata.num_row_groups):
                about = metadata.row_group(group)
                if groups and (rows + about.num_rows > _UNIT_ROWS or size + about.total_byte_size > _UNIT_BYTES):
                    yield Unit(split, path, tuple(groups), number, rows)
                    number, groups, rows, size = number + rows, [], 0, 0
                groups.append(group)
                rows, size = rows + about.num_rows, size + about.total_byte_size
            if groups:
                yield Unit(split, path, tuple(groups), number, rows)
                number += rows


class TaskIndex:
    """Finds tasks by id: sixteen bytes a task, whatever the order of the tasks.

    Row groups are read when they are needed; the newest stay in memory, for tasks mostly lie in the order of their
    dialogues.
    """

    def __init__(self, source: Source) -> None:
        """
        Raises:
            ShardError: as `Source.digest`.
        """
        self._source = source
        splits = source.splits()
        source.digest(splits)
        self._places: list[tuple[int, Unit]] = []
        ids: list[np.ndarray] = []
        positions: list[np.ndarray] = []
        for unit in source.units(splits):
            for group in unit.groups:
                place = unit._replace(groups=(group,))
                for _, batch in source.batches(place, ["id"]):
                    ids.append(np.fromiter(map(_short, batch.column("id").to_pylist()), np.uint64, batch.num_rows))
                    positions.append((len(self._places) << 32) + np.arange(batch.num_rows, dtype=np.int64))
                self._places.append((len(self._places), place))
        keys = np.concatenate(ids) if ids else np.zeros(0, np.uint64)
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._positions = (np.concatenate(positions) if positions else np.zeros(0, np.int64))[order]
        self._newest: dict[int, list[Mapping[str, Any]]] = {}

    def __getitem__(self, task_id: str) -> Mapping[str, Any]:
        """The task's row.

        Raises:
            KeyError: there is no such task.
        """
        key = np.uint64(_short(task_id))
        for at in range(int(np.searchsorted(self._keys, key)), len(self._keys)):
            if self._keys[at] != key:
                break
            place, row = divmod(int(self._positions[at]), 2**32)
            if (task := self._rows(place)[row])["id"] == task_id:
                return task
        raise KeyError(task_id)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_newest": {}}

    def _rows(self, place: int) -> list[Mapping[str, Any]]:
        if place not in self._newest:
            while len(self._newest) >= 4:
                del self._newest[next(iter(self._newest))]
            _, unit = self._places[place]
            self._newest[place] = [row for _, batch in self._source.batches(unit) for row in from_batch(batch)]
        return self._newest[place]


def _short(task_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(task_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
