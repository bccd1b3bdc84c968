"""The files of a sharded Parquet data set: where they lie, how one is written whole or not at all, and its damage.

While a split is being written its shards lie in ``.writing/<split>/`` (which data set loaders do not look at); they
move to ``data/`` under their final names when their number is known. A file with a shard's name was whole and synced
before it got that name.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = [
    "DiskFullError", "Layout", "Manifest", "Shard", "ShardError", "SplitLock", "read_batches", "replace_file",
    "shard_of", "sync_path", "verify_shard", "write_shard",
]  # fmt: skip

_CURE = "remove it and the shards after it, then resume the run that wrote it: their rows are written again"

ROW_GROUP = 256
"""Rows of a row group: what a reader holds in memory at a time. Fixed, so that equal rows give equal bytes."""


class ShardError(RuntimeError):
    """A data set on disk is not what it should be; the message names the file and says what to do."""


class DiskFullError(ShardError):
    """The file system took no more bytes; what was sealed before is safe."""


@dataclass(frozen=True, slots=True)
class Shard:
    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished split consists of."""

    split: str
    rows: int
    rows_per_shard: int
    columns: tuple[str, ...]
    shards: tuple[Shard, ...]

    def fingerprint(self) -> str:
        """SHA-256 over the shards' own; equal for data sets of equal bytes."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.shards).encode()).hexdigest()

    def to_text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_text(text: str) -> "Manifest":
        value = json.loads(text)
        return Manifest(
            **{
                **value,
                "columns": tuple(value["columns"]),
                "shards": tuple(Shard(**shard) for shard in value["shards"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one split of one data set."""

    directory: Path
    split: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+", self.split):
            raise ValueError(f"split {self.split!r}: letters, digits and underscores only")

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def writing(self) -> Path:
        return self.directory / ".writing" / self.split

    @property
    def manifest(self) -> Path:
        return self.directory / f"{self.split}.manifest.json"

    def unfinished(self, index: int) -> Path:
        return self.writing / f"{index:05d}.parquet"

    def finished(self, index: int, total: int) -> Path:
        return self.data / f"{self.split}-{index:05d}-of-{total:05d}.parquet"

    def sealed(self) -> list[Path]:
        """Paths of the shards in order, wherever they lie.

        Raises:
            ShardError: one is missing between two others, or is there twice.
        """
        found: dict[int, Path] = {}
        for folder, pattern in (
            (self.data, rf"{self.split}-(\d{{5}})-of-\d{{5}}\.parquet"),
            (self.writing, r"(\d{5})\.parquet"),
        ):
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if match := re.fullmatch(pattern, path.name):
                    if (index := int(match[1])) in found:
                        raise ShardError(
                            f"{path} and {found[index]} are the same shard; remove the one that does not belong here"
                        )
                    found[index] = path
        for index in range(len(found)):
            if index not in found:
                raise ShardError(
                    f"{self.directory}: shard {index:05d} of split {self.split} is missing; restore it, or {_CURE}"
                )
        return [found[index] for index in range(len(found))]

    def finished_shards(self) -> list[Path]:
        """Paths of a finished split's shards, in order.

        Raises:
            ShardError: the split is absent or unfinished, or lacks a shard that its neighbours' names promise.
        """
        names = sorted(self.data.glob(f"{self.split}-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].parquet"))
        if not names or any(self.writing.glob("*.parquet")):
            state = "is not finished; resume the run that wrote it" if self.sealed() else "is not there"
            raise ShardError(f"{self.directory}: split {self.split} {state}")
        total = int(names[0].stem.rsplit("-", 1)[1])
        expected = [self.finished(index, total) for index in range(total)]
        if strangers := set(names) - set(expected):
            raise ShardError(f"{min(strangers)} does not belong to the {total} shards of its neighbours; remove it")
        for path in expected:
            if not path.is_file():
                raise ShardError(f"{path} is missing; restore it, or {_CURE}")
        return expected


class SplitLock:
    """Only one writer at a time has a split; the kernel lets go when its process dies."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """
        Raises:
            ShardError: another writer has the split.
        """
        self._layout.writing.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._layout.writing, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            place = f"{self._layout.directory}: another run is writing split {self._layout.split}"
            raise ShardError(f"{place}; wait for it, or choose another directory") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Lets go, and removes the folder for unfinished shards where it is empty."""
        if self._descriptor is not None:
            for folder in (self._layout.writing, self._layout.writing.parent):
                with suppress(OSError):  # not empty: unfinished shards, or another split's
                    folder.rmdir()
            os.close(self._descriptor)
            self._descriptor = None


def write_shard(table: pa.Table, path: Path) -> None:
    """Writes `path` so that it is whole or unchanged: a temporary file, synced, renamed, and the folder synced.

    Raises:
        DiskFullError: no space, or over a quota or size limit.
    """
    with _replacing(path) as file:
        table = table.combine_chunks()  # equal bytes, however the rows came in
        pq.write_table(table, file, row_group_size=ROW_GROUP, compression="zstd", write_page_checksum=True)


def replace_file(path: Path, text: str) -> None:
    """Writes a small text file so that it is whole or unchanged; raises as `write_shard` does."""
    with _replacing(path) as file:
        file.write(text.encode())


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_path(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(f"{path}: {os.strerror(error.errno)}; free space, then resume") from error
        raise


def sync_path(path: Path) -> None:
    """Brings a file to the disk, or the names in a folder: both then survive a power cut, and other machines see them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The row groups of a shard, page checksums verified.

    Raises:
        ShardError: the shard is truncated or damaged.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield from file.iter_batches(batch_size=ROW_GROUP, columns=columns)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ShardError(f"{path} is truncated or damaged ({reason}); restore it, or {_CURE}") from error


def verify_shard(path: Path) -> int:
    """The number of rows of a shard, after reading all of it.

    Raises:
        ShardError: the shard is truncated or damaged.
    """
    return sum(batch.num_rows for batch in read_batches(path))


def shard_of(path: Path) -> Shard:
    """The manifest's line about a sealed shard."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Shard(path.name, pq.read_metadata(path).num_rows, path.stat().st_size, sha256)
