"""Rows of a data set per second: the native export, and rows made in Python, beside writing the same table bare.

The export reads its source shards, checks their pages, and writes shards of its own, synced and with checksums. Bare is
one `pyarrow.parquet.write_table` of the same columns with the same compression and row groups: of a table that lies in
memory already, and after reading the source with `read_table`, as any copy of a data set must.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figure import Figure, Limit, seconds_of, take_turns
from rewards.verifiers import verifier_for
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks.stream import TaskStream
from trajectories.codec import TRAJECTORY_SCHEMA, to_row
from trajectories.columns import to_batch
from trajectories.shard_files import ROW_GROUP
from trajectories.shards import ShardWriter

__all__ = ["ExportBenchmark", "measure"]


@dataclass(frozen=True, kw_only=True)
class ExportBenchmark:
    dialogues: int = 512
    """Different dialogues; rows are these over and over, each with an id of its own."""
    rows: int = 65536
    """Rows of the data set."""
    rows_per_shard: int = 4096

    def __post_init__(self) -> None:
        for key in ("dialogues", "rows", "rows_per_shard"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")

    def quick(self) -> "ExportBenchmark":
        return replace(self, dialogues=16, rows=64, rows_per_shard=32)


def measure(
    settings: ExportBenchmark, repeats: int, seed: int, export: Callable[[Path, Path, int], object]
) -> list[Figure]:
    """Rows and megabytes (of Arrow) per second, in one process.

    Args:
        export: the native export, handed down: (source, target, rows per shard).
    """
    rows = _rows(settings, seed)
    with tempfile.TemporaryDirectory(prefix="orrery-bench-export-") as place:
        source, target = Path(place, "source"), Path(place, "target")
        table = _write_source(settings, rows, source)
        some = rows[: min(len(rows), 2048)]
        small = table.slice(0, len(some))

        def exported() -> float:
            shutil.rmtree(target, ignore_errors=True)
            return table.num_rows / seconds_of(lambda: export(source, target, settings.rows_per_shard))

        def encoded() -> float:
            shutil.rmtree(target, ignore_errors=True)
            return len(some) / seconds_of(lambda: _append(some, target, settings.rows_per_shard))

        def bare(written: pa.Table) -> float:
            file = Path(place, "bare.parquet")
            options: dict[str, Any] = {"compression": "zstd", "row_group_size": ROW_GROUP}
            return written.num_rows / seconds_of(lambda: pq.write_table(written, file, **options))

        def copied() -> float:
            started = seconds_of(lambda: bare(pq.read_table(source / "data")))
            return table.num_rows / started

        native, written, bare_copy, python, raw = take_turns(
            repeats, exported, lambda: bare(table), copied, encoded, lambda: bare(small)
        )
    size = table.nbytes / table.num_rows / 1e6
    distinct = min(settings.rows, settings.dialogues)
    details = {"rows": float(table.num_rows), "bytes_per_row": size * 1e6, "distinct": float(distinct)}
    limit = Limit("write_table, of a table in memory", written, ">= 0.70")
    return [
        Figure("native export", "rows/s", native, limit, details),
        Figure("native export", "MB/s", _scaled(native, size), Limit(limit.name, _scaled(written, size), limit.aim), details),
        Figure("native export, reading too", "rows/s", native, Limit("read_table and write_table", bare_copy), details),
        Figure("rows of Python objects to shards", "rows/s", python, Limit("write_table, of their table", raw), details),
    ]


def _rows(settings: ExportBenchmark, seed: int) -> list[dict[str, Any]]:
    verify = verifier_for("tool_use").verify
    teacher = ScriptedPolicy("teacher", competence=0.7)
    distinct = [
        to_row(synthesize(number, TaskStream(), teacher, run_seed=seed, split="train", verify=verify)[1])
        for number in range(min(settings.dialogues, settings.rows))
    ]
    return [
        {**distinct[number % len(distinct)], "id": f"row-{number:08d}", "rollout": number // len(distinct)}
        for number in range(settings.rows)
    ]


def _write_source(settings: ExportBenchmark, rows: list[dict[str, Any]], directory: Path) -> pa.Table:
    """The data set on disk, and as one table."""
    _append(rows, directory, settings.rows_per_shard)
    batches = [to_batch(rows[at : at + ROW_GROUP], TRAJECTORY_SCHEMA, at) for at in range(0, len(rows), ROW_GROUP)]
    return pa.Table.from_batches(batches, TRAJECTORY_SCHEMA).combine_chunks()


def _append(rows: list[dict[str, Any]], directory: Path, rows_per_shard: int) -> None:
    with ShardWriter(directory, rows_per_shard=rows_per_shard) as writer:
        for row in rows:
            writer.append(row)


def _scaled(values: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(value * factor for value in values)
