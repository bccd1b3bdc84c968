"""The output of an export: numbered shards by split, Parquet or JSON lines, whole or not there.

While a split grows its shards lie in ``.writing/<split>/``, as `ShardWriter` has them, but several may be written side
by side; so the shards that count on resuming are those before the first gap.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from trajectories.columns import to_batch
from trajectories.shard_files import (
    Layout,
    Manifest,
    Shard,
    ShardError,
    replace_file,
    shard_of,
    sync_path,
    verify_shard,
    write_shard,
)

__all__ = ["Output", "write_part"]


@dataclass(frozen=True, slots=True)
class Output(Layout):
    """One split of the output."""

    suffix: Literal["parquet", "jsonl"] = "parquet"

    def unfinished(self, index: int) -> Path:
        return self.writing / f"{index:05d}.{self.suffix}"

    def finished(self, index: int, total: int) -> Path:
        return self.data / f"{self.split}-{index:05d}-of-{total:05d}.{self.suffix}"

    def reopen(self) -> tuple[int, int]:
        """(shards, rows) that are safe from the start on, wherever they lie; what lies behind a gap is removed.

        Raises:
            ShardError: a shard is truncated or damaged.
        """
        self.writing.mkdir(parents=True, exist_ok=True)
        found = {int(path.stem): path for path in self.writing.glob(f"*.{self.suffix}")}
        for path in self.data.glob(f"{self.split}-*.{self.suffix}"):
            if match := re.fullmatch(rf"{self.split}-(\d{{5}})-of-\d{{5}}", path.stem):
                path.replace(self.unfinished(int(match[1])))
                found[int(match[1])] = self.unfinished(int(match[1]))
        for leftover in self.writing.glob("*.tmp"):
            leftover.unlink()
        whole = next(index for index in range(len(found) + 1) if index not in found)
        for index, path in found.items():
            if index >= whole:
                path.unlink()
        self.manifest.unlink(missing_ok=True)
        return whole, sum(_rows(self.unfinished(index)) for index in range(whole))

    def close(self, rows_per_shard: int, columns: Sequence[str]) -> Manifest:
        """Final names, then the manifest."""
        sources = sorted(self.writing.glob(f"*.{self.suffix}"))
        self.data.mkdir(parents=True, exist_ok=True)
        final = [self.finished(index, len(sources)) for index in range(len(sources))]
        for source, target in zip(sources, final, strict=True):
            source.replace(target)
        sync_path(self.data)
        shards = tuple(_shard(path) for path in final)
        made = Manifest(self.split, sum(shard.rows for shard in shards), rows_per_shard, tuple(columns), shards)
        replace_file(self.manifest, made.to_text())
        return made


def write_part(path: Path, spans: Sequence[tuple[int, int]], schema: pa.Schema, *tables: pa.Table) -> int:
    """Writes one shard from rows ``start:stop`` of each table; returns its bytes.

    Raises:
        DiskFullError: no space; what was sealed before is safe.
    """
    parts = [table.slice(start, stop - start) for (start, stop), table in zip(spans, tables, strict=True)]
    whole = pa.concat_tables(parts) if parts else pa.Table.from_batches([to_batch([], schema)])
    if path.suffix == ".jsonl":
        replace_file(path, "".join(f"{line}\n" for line in whole.column("line").to_pylist()))
    else:
        write_shard(whole, path)
    return path.stat().st_size


def _rows(path: Path) -> int:
    if path.suffix == ".parquet":
        return verify_shard(path)
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        raise ShardError(f"{path} is truncated; remove it and the shards after it, then resume")
    return content.count(b"\n")


def _shard(path: Path) -> Shard:
    if path.suffix == ".parquet":
        return shard_of(path)
    content = path.read_bytes()
    return Shard(path.name, content.count(b"\n"), len(content), hashlib.sha256(content).hexdigest())
