"""Rows of shards of any format, a row group in memory at a time: whole, or only what statistics need of them.

Tools make up most of a data set's bytes, and the same ones stand in thousands of rows. So they are read as a dictionary, and each
is parsed once, for its name.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trajectories.card.dialogue import NESTED, lifted, messages_of, tool_name, tools_of
from trajectories.columns import from_batch
from trajectories.shard_files import ROW_GROUP, ShardError

__all__ = ["column_types", "count_rows", "lean_rows", "whole_rows"]

_TOOLS = "tools"
_WANTED = (
    "task_id", "messages", "prompt", "completion", "chosen", "outcome", "reward", "reward_valid", "reward_detail",
    "world", "world_fingerprint", "certificate", "run_seed", "models", "licence", "metadata", *NESTED,
)  # fmt: skip
_TOKENS = ("segments.list.element.origin", "segments.list.element.token_ids")


def whole_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every column of every row of a ``.parquet`` or ``.jsonl`` file; JSON of messages and tools may still be text, which
    `trajectories.card.dialogue` reads.

    Raises:
        ShardError: the file is damaged; names it (and the line).
    """
    if path.suffix == ".jsonl":
        yield from _lines(path)
    else:
        for batch in _batches(path, None):
            yield from from_batch(batch, unread={"messages", _TOOLS})


def lean_rows(path: Path, names: dict[int, str]) -> Iterator[dict[str, Any]]:
    """What statistics need of every row: the columns that it has of those that are counted, with ``messages`` as objects,
    ``tool_names`` instead of ``tools``, and ``tokens`` and ``loss_tokens`` instead of ``segments``.

    Args:
        names: of the tools that were met already, by the hash of their text; filled as files are read.

    Raises:
        ShardError: as `whole_rows`.
    """
    if path.suffix == ".jsonl":
        for line in _lines(path):
            row = lifted(line)
            tools = [tool_name(tool) for tool in tools_of(row)]
            yield {name: row[name] for name in _WANTED if name in row} | {"messages": messages_of(row), "tool_names": tools}
        return
    schema = _schema(path)
    columns = [name for name in (*_WANTED, _TOOLS) if name in schema.names]
    foreign = any(name in schema.names for name in NESTED)
    for batch in _batches(path, [*columns, *(_TOKENS if _has_tokens(schema) else ())]):
        apart = [name for name in ("messages", _TOOLS, "segments") if name in batch.schema.names]
        rows = from_batch(batch.drop_columns(apart))
        extra = [_dialogues(batch), _tool_names(batch, names), *_token_counts(batch)]
        for row, messages, tools, tokens, loss_tokens in zip(rows, *extra, strict=True):
            row = lifted(row) if foreign else row
            spoken = messages_of(row) if messages is None else messages
            held = tools or [tool_name(tool) for tool in tools_of(row)]
            yield row | {"messages": spoken, "tool_names": held, "tokens": tokens, "loss_tokens": loss_tokens}


def column_types(path: Path) -> dict[str, str]:
    """Column to type, in words, of a file; of a ``.jsonl``, as far as its first rows show them."""
    if path.suffix == ".jsonl":
        found: dict[str, set[str]] = {}
        for row, _ in zip(_lines(path), range(100), strict=False):
            for name, value in row.items():
                found.setdefault(name, set()).add(_JSON_TYPES[type(value)])
        return {name: " or ".join(sorted(kinds - {"null"}) or ["null"]) for name, kinds in found.items()}
    return {field.name: _in_words(field.type) for field in _schema(path)}


def count_rows(path: Path) -> int:
    """Rows of a file, without reading them where its footer says."""
    if path.suffix == ".jsonl":
        return sum(1 for _ in _lines(path))
    with _damage(path):
        return pq.read_metadata(path).num_rows


_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "list", type(None): "null"}


def _in_words(kind: pa.DataType) -> str:
    if isinstance(kind, pa.JsonType):
        return "JSON"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {_in_words(kind.value_type)}"
    if pa.types.is_struct(kind):
        return f"struct ({', '.join(field.name for field in kind)})"
    return {"bool": "boolean", "double": "float64", "large_string": "string"}.get(str(kind), str(kind))


def _schema(path: Path) -> pa.Schema:
    with _damage(path):
        return pq.read_schema(path)


def _batches(path: Path, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    with _damage(path):
        dictionary = list(_tool_texts(path)) if columns else []
        with pq.ParquetFile(path, read_dictionary=dictionary, page_checksum_verification=not columns) as file:
            yield from file.iter_batches(batch_size=ROW_GROUP, columns=columns)


def _tool_texts(path: Path) -> Iterator[str]:
    """The file's own name of the texts in ``tools``, where it is a list of them."""
    kind = _schema(path).field(_TOOLS).type if _TOOLS in _schema(path).names else None
    if kind is not None and pa.types.is_list(kind) and _is_text(kind.value_type):
        columns = pq.read_metadata(path).schema
        yield from (name for index in range(len(columns)) if (name := columns.column(index).path).startswith(f"{_TOOLS}."))


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Tells of a file that cannot be read as what it is."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"{path} is truncated or damaged ({str(error).splitlines()[0]}); restore it") from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ShardError(f"{path}, line {number}, is not JSON ({error}); restore it") from error
            if not isinstance(row, dict):
                raise ShardError(f"{path}, line {number}, is not a JSON object; restore it")
            yield row


def _has_tokens(schema: pa.Schema) -> bool:
    kind = schema.field("segments").type.value_type if "segments" in schema.names else None
    return kind is not None and pa.types.is_struct(kind) and {"origin", "token_ids"} <= {field.name for field in kind}


def _dialogues(batch: pa.RecordBatch) -> Iterable[list[dict[str, Any]] | None]:
    """``messages`` of each row; None where it has none under this name."""
    if "messages" not in batch.schema.names:
        return [None] * batch.num_rows
    column = batch.column("messages")
    if pa.types.is_list(column.type) and isinstance(column.type.value_type, pa.JsonType):
        return [json.loads(f"[{','.join(texts or ())}]") for texts in column.to_pylist()]  # one parse a row, not one a message
    return [messages_of({"messages": value}) for value in column.to_pylist()]


def _tool_names(batch: pa.RecordBatch, names: dict[int, str]) -> Iterable[list[str]]:
    if _TOOLS not in batch.schema.names:
        return [[]] * batch.num_rows
    column = batch.column(_TOOLS)
    if not pa.types.is_list(column.type) or not _is_text(column.type.value_type):
        return [[tool_name(tool) for tool in tools_of({_TOOLS: value})] for value in column.to_pylist()]
    items = column.flatten()
    items = items.storage if isinstance(items, pa.ExtensionArray) else items
    encoded = items if pa.types.is_dictionary(items.type) else items.dictionary_encode()
    known = [_named(text, names) for text in encoded.dictionary.to_pylist()]
    flat = [known[index] for index in encoded.indices.to_pylist()]
    ends = pc.cumulative_sum(pc.fill_null(column.value_lengths(), 0)).to_pylist()
    return [flat[start:end] for start, end in zip([0, *ends][:-1], ends, strict=True)]


def _is_text(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.JsonType) or pa.types.is_string(kind) or pa.types.is_dictionary(kind)


def _named(text: str, names: dict[int, str]) -> str:
    key = hash(text)
    if key not in names:
        names[key] = tool_name(json.loads(text))
    return names[key]


def _token_counts(batch: pa.RecordBatch) -> tuple[list[int | None], list[int | None]]:
    """Tokens, and tokens that a policy or a demonstrator wrote, of each row; None where it has no segments."""
    nothing: list[int | None] = [None] * batch.num_rows
    if "segments" not in batch.schema.names:
        return nothing, nothing
    column = batch.column("segments")
    segments = column.flatten()
    lengths = pc.fill_null(pc.list_value_length(pc.struct_field(segments, "token_ids")), 0).to_pylist()
    written = pc.not_equal(pc.struct_field(segments, "origin"), "context").to_pylist()
    tokens, loss = list(nothing), list(nothing)
    for row, length, in_loss in zip(pc.list_parent_indices(column).to_pylist(), lengths, written, strict=True):
        tokens[row] = (tokens[row] or 0) + length
        loss[row] = (loss[row] or 0) + length * bool(in_loss)
    return tokens, loss
