"""Rows of a part, whatever state they are in: one that cannot be read costs itself, and damage costs what lies behind it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from trajectories.checking.folder import Part
from trajectories.columns import from_batch
from trajectories.formats.native import text_schema

__all__ = ["Batch", "decoded", "plain_columns", "read_part", "schema_problems"]

_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Batch:
    """Neighbouring rows, each with its number in the shard."""

    rows: tuple[tuple[int, dict[str, Any]], ...]
    unreadable: tuple[tuple[int, str], ...]
    """Rows whose JSON columns hold no JSON, with what is wrong."""
    damage: tuple[int, str] | None = None
    """Why nothing more of the part can be read, and from which row on."""


def read_part(part: Part, schema: pa.Schema, columns: Sequence[str] | None = None) -> Iterator[Batch]:
    """The rows, a few dozen in memory at a time, page checksums verified; JSON columns may be stored as plain text.

    Args:
        schema: that `schema_problems` found no problem with.
        columns: only these.
    """
    number = part.first_row
    try:
        with pq.ParquetFile(part.path, page_checksum_verification=True) as file:
            plain = plain_columns(file.schema_arrow, schema) & frozenset(columns or schema.names)
            for batch in file.iter_batches(_BATCH, list(part.groups), list(columns) if columns else None):
                yield decoded(batch, number, plain)
                number += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        yield Batch((), (), (number, f"is damaged from here on ({str(error).splitlines()[0]})"))


def schema_problems(found: pa.Schema, schema: pa.Schema) -> Iterator[str]:
    """How the columns of a shard differ from `schema`, whose JSON columns may be plain text."""
    text = text_schema(schema)
    for name in schema.names:
        if name not in found.names:
            yield f"has no column {name}"
        elif found.field(name).type not in (schema.field(name).type, text.field(name).type):
            yield f"column {name} is {found.field(name).type}, not {schema.field(name).type}"
    if unknown := [name for name in found.names if name not in schema.names]:
        yield f"has columns that it should not have: {', '.join(unknown)}"
    elif sorted(found.names) == sorted(schema.names) and found.names != schema.names:
        yield "has its columns in another order"


def plain_columns(found: pa.Schema, schema: pa.Schema) -> frozenset[str]:
    """Names of the columns that hold JSON as text of their own."""
    return frozenset(field.name for field in schema if found.field(field.name).type != field.type)


def decoded(batch: pa.RecordBatch, first: int, plain: frozenset[str]) -> Batch:
    """The rows of an Arrow batch, the first of which has the number `first`."""
    try:
        return Batch(tuple(enumerate(_rows(batch, plain), first)), ())
    except (ValueError, RecursionError):
        pass  # one of them holds no JSON
    rows: list[tuple[int, dict[str, Any]]] = []
    unreadable: list[tuple[int, str]] = []
    for offset in range(batch.num_rows):
        try:
            rows += [(first + offset, row) for row in _rows(batch.slice(offset, 1), plain)]
        except (ValueError, RecursionError) as error:
            unreadable.append((first + offset, f"holds no JSON where it should: {error}"))
    return Batch(tuple(rows), tuple(unreadable))


def _rows(batch: pa.RecordBatch, plain: frozenset[str]) -> list[dict[str, Any]]:
    rows = list(from_batch(batch))
    for row in rows:
        row.update({name: json.loads(row[name]) for name in plain if row[name] is not None})
    return rows
