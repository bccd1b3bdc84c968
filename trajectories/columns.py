"""Rows of Python values to Arrow columns and back, without loss.

An Arrow field of type `pyarrow.json_()` (alone or as the item of a list) holds any JSON value as text; `datasets` shows
it as its `Json()` feature. Every other field holds what Arrow's own type holds, and nothing is cast on the way in.
"""

import itertools
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from trajectories.json_text import CodecError, JsonText, json_text

__all__ = ["from_batch", "to_batch"]


def to_batch(rows: Sequence[Mapping[str, Any]], schema: pa.Schema, first_row: int = 0) -> pa.RecordBatch:
    """The rows as one record batch of `schema`.

    Args:
        rows: each has exactly the keys of the schema; None where a value is absent.
        schema: Arrow schema.
        first_row: number of the first row, for errors.

    Raises:
        CodecError: names row and column of a value that the column cannot hold, of a missing or of an unknown column.
    """
    names = set(schema.names)
    for number, row in enumerate(rows, first_row):
        if row.keys() != names:
            missing, unknown = sorted(names - row.keys()), sorted(row.keys() - names)
            raise CodecError(
                f"row {number}: columns missing {missing}, unknown {unknown}; the schema has {schema.names}"
            )
    columns = [_column([row[field.name] for row in rows], field, first_row) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def from_batch(batch: pa.RecordBatch, unread: Container[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of a batch; JSON columns are parsed by Python's exact reader, those in `unread` stay `JsonText`."""
    columns = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        decode = _json_decoder(field.type, JsonText if field.name in unread else _read)
        values = column.to_pylist()
        columns.append([decode(value) for value in values] if decode else values)
    for row in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, row, strict=True))


def _column(values: list[Any], field: pa.Field, first_row: int) -> pa.Array:
    if encode := _json_encoder(field.type):
        values = [encode(value, f"row {number}, column {field.name}") for number, value in enumerate(values, first_row)]
    storage = _storage(field.type)
    try:
        array = _array(values, storage)
    except _MISFITS as error:
        raise CodecError(f"{_culprit(values, storage, first_row, field.name)}: {error}") from error
    return array if storage == field.type else array.cast(field.type)


def _culprit(values: list[Any], storage: pa.DataType, first_row: int, name: str) -> str:
    for number, value in enumerate(values, first_row):
        try:
            _array([value], storage)
        except _MISFITS:
            return f"row {number}, column {name} ({storage})"
    return f"column {name} ({storage})"


_MISFITS = (pa.ArrowException, TypeError, ValueError, OverflowError)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    _check_types(values, kind)
    return pa.array(values, type=kind)


def _check_types(values: Iterable[Any], kind: pa.DataType) -> None:
    """Refuses what Arrow would change in silence: 1.5 and True as an integer, bytes as text, unknown keys."""
    present = [value for value in values if value is not None]
    if pa.types.is_list(kind):
        return _check_types(list(itertools.chain.from_iterable(present)), kind.value_type)
    if pa.types.is_struct(kind):
        names = {field.name for field in kind}
        for value in present:
            if value.keys() != names:
                raise TypeError(f"keys {sorted(value)}, not {sorted(names)}")
        for field in kind:
            _check_types([value[field.name] for value in present], field.type)
        return None
    for found in set(map(type, present)):
        if not _fits(found, kind):
            raise TypeError(f"{found.__name__} is not {kind}")


def _fits(found: type, kind: pa.DataType) -> bool:
    if pa.types.is_boolean(kind):
        return found is bool
    if pa.types.is_integer(kind):
        return hasattr(found, "__index__") and found is not bool
    if pa.types.is_floating(kind):
        return hasattr(found, "__float__") and found is not bool
    return issubclass(found, str) if pa.types.is_string(kind) else True


def _is_json(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.JsonType)


def _is_json_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and _is_json(kind.value_type)


def _storage(kind: pa.DataType) -> pa.DataType:
    """What Arrow can build from Python values: extension types only by their storage."""
    if _is_json(kind):
        return kind.storage_type
    return pa.list_(kind.value_type.storage_type) if _is_json_list(kind) else kind


def _json_encoder(kind: pa.DataType) -> Callable[[Any, str], Any] | None:
    if _is_json(kind):
        return lambda value, where: None if value is None else json_text(value, where)
    if _is_json_list(kind):
        return lambda values, where: (
            None if values is None else [json_text(value, f"{where}[{index}]") for index, value in enumerate(values)]
        )
    return None


def _json_decoder(kind: pa.DataType, read: Callable[[str], Any]) -> Callable[[Any], Any] | None:
    if _is_json(kind):
        return lambda value: None if value is None else read(value)
    if _is_json_list(kind):
        return lambda values: None if values is None else [read(value) for value in values]
    return None


_raw_decode = json.JSONDecoder().raw_decode


def _read(text: str) -> Any:
    """`json.loads`, faster for texts without white space around them, as `json_text` writes them."""
    try:
        value, end = _raw_decode(text)
    except ValueError:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)
