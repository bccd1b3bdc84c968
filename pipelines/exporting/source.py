"""The data set that is exported: its splits cut into units of work, and its rows by unit.

A unit is a run of row groups of one shard. What the units are, and which rows belong to which, is a function of the
files alone, so that who works on which unit, and when, changes nothing.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from trajectories.shard_files import ROW_GROUP, Layout, ShardError, shard_of
from trajectories.shards import manifest

__all__ = ["Source", "Unit"]

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

    def scattered(self, split: str) -> int | None:
        """Number of the first dialogue whose task was left before it; None where those of every task lie side by side."""
        keys, numbers, last = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], None
        for unit in self.units([split]):
            for number, batch in self.batches(unit, ["task_id"]):
                ids = batch.column("task_id").to_pylist()
                starts = [at for at, (before, task) in enumerate(zip([last, *ids], ids, strict=False)) if task != before]
                keys.append(np.fromiter((xxhash.xxh3_64_intdigest(ids[at].encode()) for at in starts), np.uint64, len(starts)))
                numbers.append(np.array(starts, np.int64) + number)
                last = ids[-1]
        whole = np.concatenate(keys)
        order = np.argsort(whole, kind="stable")
        again = order[1:][whole[order][1:] == whole[order][:-1]]
        return int(np.concatenate(numbers)[again].min()) if len(again) else None

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
