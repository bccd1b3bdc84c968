"""Writes one split of a data set row by row; a kill or a full disk at any moment costs only rows that were not sealed.

Shard boundaries are multiples of `rows_per_shard` whatever happened: a short last shard is opened again and rewritten
as it grows. So the bytes do not tell whether the run was flushed, killed or resumed.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from trajectories.codec import TRAJECTORY_SCHEMA
from trajectories.columns import to_batch
from trajectories.json_text import CodecError
from trajectories.shard_files import (
    DiskFullError,
    Layout,
    Manifest,
    ShardError,
    SplitLock,
    read_batches,
    replace_file,
    shard_of,
    sync_path,
    verify_shard,
    write_shard,
)

__all__ = ["ShardWriter"]

_CHUNK = 64  # rows that wait as Python objects, which are several times the size of Arrow's


class ShardWriter:
    """Appends rows to one split, in bounded memory; a context manager.

    Leaving the block finishes the split. Leaving it by an exception keeps all rows on disk, unfinished, so that the
    next run can resume. After kill -9 the rows of sealed or flushed shards are there, and no broken file.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        schema: pa.Schema = TRAJECTORY_SCHEMA,
        rows_per_shard: int = 1000,
        split: str = "train",
        resume: bool = False,
        keep_rows: int | None = None,
    ) -> None:
        """
        Args:
            directory: of the data set; made if absent.
            schema: Arrow schema of the rows; `pyarrow.json_()` fields take any JSON value.
            rows_per_shard: rows; also what a kill can lose at most, less with `flush`.
            split: name of the split.
            resume: go on with what is there, finished or not. Without it a directory that holds rows is refused.
            keep_rows: on resume, rows to keep; later ones are dropped (a training run goes on from its checkpoint).

        Raises:
            ShardError: the split has rows already, another run writes it, a shard is damaged, there are fewer rows than
                `keep_rows`, or the shards on disk have another schema or `rows_per_shard`.
        """
        if rows_per_shard < 1:
            raise ValueError(f"rows_per_shard is {rows_per_shard}; it is at least 1")
        self._layout, self._schema, self._rows_per_shard = Layout(Path(directory), split), schema, rows_per_shard
        self._sealed = 0  # full shards
        self._batches: list[pa.RecordBatch] = []  # of the open shard, as Arrow
        self._pending: list[Mapping[str, Any]] = []  # of the open shard, after `_batches`
        self._manifest: Manifest | None = None
        self._lock = SplitLock(self._layout)
        self._lock.acquire()
        try:
            self._reopen(resume, keep_rows)
        except BaseException:
            self._lock.release()
            raise

    @property
    def rows_written(self) -> int:
        """Rows of the split so far, those of earlier runs included."""
        return self._sealed * self._rows_per_shard + self._open_rows

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds one row.

        Raises:
            CodecError: the row does not fit the schema (named by row and column); raised here or a few rows later.
            DiskFullError: a full disk; all shards sealed before are safe, and appending again tries again.
        """
        if self._manifest is not None:
            raise ValueError(f"{self._layout.manifest}: the split is closed; open a writer with resume=True")
        self._seal_if_full()
        self._pending.append(row)
        if len(self._pending) >= _CHUNK:
            self._encode()
        self._seal_if_full()

    def extend(self, batch: pa.RecordBatch) -> None:
        """Adds rows that are Arrow already.

        Raises:
            CodecError: the batch has another schema.
            DiskFullError: as `append`; `rows_written` says how many of the batch are in.
        """
        if self._manifest is not None:
            raise ValueError(f"{self._layout.manifest}: the split is closed; open a writer with resume=True")
        if not batch.schema.equals(self._schema):
            raise CodecError(f"a batch has the columns {batch.schema.names}, this writer's are {self._schema.names}")
        self._encode()
        self._seal_if_full()
        while batch.num_rows:
            room = self._rows_per_shard - self._open_rows
            self._batches.append(batch.slice(0, room))
            batch = batch.slice(room)
            self._seal_if_full()

    def flush(self) -> int:
        """Makes all rows durable now and returns their number; the open shard is rewritten as it grows."""
        self._encode()
        if self._batches:
            self._write_open_shard()
        return self.rows_written

    def close(self) -> Manifest:
        """Finishes the split: final names, then the manifest. Closing again changes nothing."""
        if self._manifest is not None:
            return self._manifest
        if self.flush() == 0:
            self._write_open_shard()  # an empty split loads too
        layout = self._layout
        sealed = layout.sealed()
        layout.data.mkdir(exist_ok=True)
        final = [layout.finished(index, len(sealed)) for index in range(len(sealed))]
        for source, target in zip(sealed, final, strict=True):
            source.replace(target)
        sync_path(layout.data)
        columns, shards = tuple(self._schema.names), tuple(shard_of(path) for path in final)
        self._manifest = Manifest(layout.split, self.rows_written, self._rows_per_shard, columns, shards)
        replace_file(layout.manifest, self._manifest.to_text())
        self._lock.release()
        return self._manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._close_or_rescue()
            elif self._manifest is None and not isinstance(error, DiskFullError):
                self._rescue(error)
        finally:
            self._lock.release()

    @property
    def _open_rows(self) -> int:
        return sum(batch.num_rows for batch in self._batches) + len(self._pending)

    def _close_or_rescue(self) -> None:
        try:
            self.close()
        except CodecError as error:  # of one of the last rows
            self._rescue(error)
            raise

    def _rescue(self, error: BaseException) -> None:
        try:
            self.flush()
        except (ShardError, CodecError, OSError) as second:
            error.add_note(f"{self._layout.directory}: and the rows of the last shard could not be kept: {second}")

    def _seal_if_full(self) -> None:
        if self._open_rows >= self._rows_per_shard:
            self._encode()
            self._write_open_shard()
            self._sealed, self._batches = self._sealed + 1, []

    def _encode(self) -> None:
        rows, self._pending = self._pending, []  # a row that does not fit is not tried again
        first = self.rows_written
        try:
            self._batches += [to_batch(rows, self._schema, first)] if rows else []
        except CodecError:
            for number, row in enumerate(rows, first):  # keeps those before the culprit
                self._batches.append(to_batch([row], self._schema, number))

    def _write_open_shard(self) -> None:
        write_shard(pa.Table.from_batches(self._batches, self._schema), self._layout.unfinished(self._sealed))

    def _reopen(self, resume: bool, keep_rows: int | None) -> None:
        layout = self._layout
        present = layout.sealed()
        if present and not resume:
            place = f"{layout.directory} holds split {layout.split} already ({len(present)} shards)"
            raise ShardError(f"{place}; choose another directory, or resume")
        counts = [verify_shard(path) for path in present]
        self._check_compatible(present, counts)
        keep = sum(counts) if keep_rows is None else keep_rows
        if not 0 <= keep <= sum(counts):
            place = f"{layout.directory}: split {layout.split}"
            raise ShardError(f"{place} has {sum(counts)} rows, which does not allow keep_rows={keep_rows}")
        layout.manifest.unlink(missing_ok=True)
        for leftover in layout.writing.glob("*.tmp"):  # of a writer that was killed
            leftover.unlink()
        for index, path in reversed(list(enumerate(present))):
            if index * self._rows_per_shard >= keep:
                path.unlink()
            else:
                path.replace(layout.unfinished(index))
        self._sealed, tail = divmod(keep, self._rows_per_shard)
        if tail:
            batches = read_batches(layout.unfinished(self._sealed))
            self._batches = pa.Table.from_batches(batches, self._schema).slice(0, tail).to_batches()
            if tail < counts[self._sealed]:
                self._write_open_shard()
        sync_path(layout.writing)

    def _check_compatible(self, present: list[Path], counts: list[int]) -> None:
        for path, rows in zip(present, counts, strict=True):
            if rows > self._rows_per_shard or (rows < self._rows_per_shard and path is not present[-1]):
                setting = f"rows_per_shard={self._rows_per_shard} cannot go on from it"
                raise ShardError(f"{path} has {rows} rows; {setting}, take the setting of the first run")
            found = pq.read_schema(path)
            if not found.equals(self._schema):
                names = f"{found.names}, this run writes {self._schema.names}"
                raise ShardError(f"{path} has other columns ({names}); choose another directory")
