"""One unit of an export: source rows to output rows by split. A pure function of the source files and the settings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

import pyarrow as pa

from pipelines.exporting.source import Source, Unit
from pipelines.exporting.tokens import Tokens, with_segments
from trajectories.checking.task_index import TaskIndex
from trajectories.codec import TASK_SCHEMA
from trajectories.columns import from_batch, to_batch
from trajectories.formats import FORMATS, STANDING_COLUMNS, Format, FormatSettings, Group, Made, Selection, UnsayableError, native
from trajectories.json_text import CodecError, plain_json_text
from trajectories.seeds import derive_seed
from trajectories.shard_files import ROW_GROUP

__all__ = ["LINES", "Converted", "ExportError", "Job", "convert"]

LINES = pa.schema({"line": pa.string()})
"""Of JSONL, before it is written."""
_CHUNK = 256  # output rows that wait as Python objects
_SHOWN = 20  # refused rows of a unit that are told
_LOOKED_UP = 64  # tasks that are read at once


class ExportError(ValueError):
    """A row that the format cannot say; names it by number and id."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is exported, and as what; the same for every unit."""

    source: Source
    unit_names: tuple[Unit, ...]
    format: str
    json: Literal["typed", "text"] | None
    splits: Mapping[str, float]
    """Output splits and their shares; empty: those of the source."""
    seed: int
    selection: Selection
    details: FormatSettings
    refused: Literal["stop", "drop"]
    tokens: Tokens

    @property
    def schema(self) -> pa.Schema:
        """Of the output."""
        if self.source.schema.equals(TASK_SCHEMA):
            return native.text_schema(TASK_SCHEMA) if self.json == "text" else TASK_SCHEMA
        chosen = FORMATS[self.format]
        return (chosen.text if self.json == "text" else chosen.typed) or LINES

    def split_of(self, task_id: str, source_split: str) -> str:
        """The output split of a task's rows: by its id alone, so that they never part."""
        if not self.splits:
            return source_split
        drawn, reached = derive_seed(self.seed, "export-split", task_id) / 2**63, 0.0
        for name, share in self.splits.items():
            reached += share
            if drawn < reached:
                return name
        return list(self.splits)[-1]  # the shares add up to 1 but for rounding


@dataclass
class Converted:
    """What became of a unit's rows."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    """By output split."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Source rows that are in no output row, by reason."""
    refused: list[str] = field(default_factory=list)
    """Rows that the format cannot say, the first of them, by number and id."""
    licences: set[str] = field(default_factory=set)
    """That source rows name."""
    read: int = 0
    """Source rows."""


def convert(job: Job, index: int, tasks: TaskIndex | None) -> Converted:
    """The output rows of unit number `index`.

    Raises:
        ExportError: a row that the format cannot say, and `refused` is ``stop``.
    """
    unit, made = job.unit_names[index], Converted()
    rows = _Rows(job)
    if job.source.schema.equals(TASK_SCHEMA):
        _copy_tasks(job, unit, made, rows)
    elif job.format == "native":
        _copy(job, unit, made, rows)
    elif FORMATS[job.format].per == "dialogue":
        _map_dialogues(job, unit, made, rows)
    else:
        _map_tasks(job, index, made, rows, tasks)
    made.tables = rows.tables()
    return made


class _Rows:
    """Output rows by split; Python objects become Arrow a chunk at a time."""

    def __init__(self, job: Job) -> None:
        self._schema = job.schema
        self._as_text = job.json == "text" and (job.format == "native" or job.source.schema.equals(TASK_SCHEMA))
        self._made_as = job.source.schema if self._as_text else job.schema
        self._batches: dict[str, list[pa.RecordBatch]] = {}
        self._waiting: dict[str, list[dict[str, Any]]] = {}

    def extend(self, split: str, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._batches.setdefault(split, []).append(batch)

    def append(self, split: str, row: dict[str, Any]) -> None:
        waiting = self._waiting.setdefault(split, [])
        if self._schema is LINES:
            row = {"line": plain_json_text(row, allow_nan=False)}
        waiting.append(row)
        if len(waiting) >= _CHUNK:
            self._encode(split)

    def tables(self) -> dict[str, pa.Table]:
        for split in self._waiting:
            self._encode(split)
        # With our schema: readers of Parquet call the items of lists otherwise, and files may have metadata of their own.
        whole = {split: pa.Table.from_batches(batches, self._made_as) for split, batches in self._batches.items()}
        return {split: native.as_text(table) if self._as_text else table for split, table in whole.items()}

    def _encode(self, split: str) -> None:
        rows, self._waiting[split] = self._waiting[split], []
        self.extend(split, to_batch(rows, self._schema))


def _copy(job: Job, unit: Unit, made: Converted, rows: _Rows) -> None:
    dialect = job.tokens.open()
    for number, batch in job.source.batches(unit, most=unit.rows if dialect is None else ROW_GROUP):
        _count(batch, made)
        kept, numbers = _selected(job, batch, number, made)
        if dialect is not None:
            kept, failed = with_segments(kept, dialect)
            for at, error in failed.items():
                _refuse(job, unit, numbers[at], kept.column("id")[at].as_py(), error, made)
            if failed:
                kept = kept.take(pa.array([at for at in range(kept.num_rows) if at not in failed], pa.int64()))
        _divide(job, unit, kept, "task_id", rows)


def _copy_tasks(job: Job, unit: Unit, made: Converted, rows: _Rows) -> None:
    for _, batch in job.source.batches(unit, most=unit.rows):
        made.read += batch.num_rows
        reasons = job.selection.task_reasons(batch)
        made.dropped.update(reason for reason in reasons if reason)
        _divide(job, unit, _taken(batch, [at for at, reason in enumerate(reasons) if not reason]), "id", rows)


def _count(batch: pa.RecordBatch, made: Converted) -> None:
    made.read += batch.num_rows
    made.licences.update(filter(None, batch.column("licence").unique().to_pylist()))


def _map_dialogues(job: Job, unit: Unit, made: Converted, rows: _Rows) -> None:
    form = FORMATS[job.format]
    for number, batch in job.source.batches(unit, _needed(job, form)):
        _count(batch, made)
        kept, numbers = _selected(job, batch, number, made)
        for row_number, row in zip(numbers, _rows_of(kept, form), strict=True):
            split = job.split_of(row["task_id"], unit.split)
            _make(job, unit, Group([row], row_number, split, plain=job.json == "text"), [(row_number, row["id"])], made, rows)


def _map_tasks(job: Job, index: int, made: Converted, rows: _Rows, tasks: TaskIndex | None) -> None:
    form, unit = FORMATS[job.format], job.unit_names[index]
    groups = ((task_id, held) for task_id, held in _by_task(job, index, made, form.most(job.details)) if held)
    while some := list(islice(groups, 1 if tasks is None else _LOOKED_UP)):
        found = tasks.rows(task_id for task_id, _ in some) if tasks is not None else {}
        for task_id, held in some:
            if tasks is not None and task_id not in found:
                raise ExportError(f"split {unit.split}, row {held[0][0]}: task {task_id} is not in tasks/, or unreadable there")
            split = job.split_of(task_id, unit.split)
            group = Group([row for _, row in held], held[0][0], split, found.get(task_id), job.json == "text")
            _make(job, unit, group, [(number, row["id"]) for number, row in held], made, rows)


def _by_task(
    job: Job, index: int, made: Converted, most: int
) -> Iterator[tuple[str, list[tuple[int, dict[str, Any]]]]]:
    """(task, its first `most` selected dialogues) of the tasks whose first row lies in the unit."""
    form, unit = FORMATS[job.format], job.unit_names[index]
    current = _last_task_before(job, index)
    ours, held = False, list[tuple[int, dict[str, Any]]]()
    for following in job.unit_names[index:]:
        if following.split != unit.split:
            break
        for number, batch in job.source.batches(following, _needed(job, form)):
            made.licences.update(filter(None, batch.column("licence").unique().to_pylist()))
            ids, reasons = batch.column("task_id").to_pylist(), job.selection.reasons(batch)
            chosen: list[int] = []
            for at, task_id in enumerate(ids):
                if task_id != current:
                    if ours:
                        held += _decoded(batch, chosen, number, form)
                        yield str(current), held
                    if number + at >= unit.first_row + unit.rows:
                        return
                    current, ours, held, chosen = task_id, True, [], []
                if not ours:
                    continue
                made.read += 1
                if reason := reasons[at]:
                    made.dropped[reason] += 1
                elif len(held) + len(chosen) >= most:
                    made.dropped[form.surplus] += 1
                else:
                    chosen.append(at)
            if ours:
                held += _decoded(batch, chosen, number, form)
            elif number + batch.num_rows >= unit.first_row + unit.rows:
                return
    if ours:
        yield str(current), held


def _last_task_before(job: Job, index: int) -> str | None:
    if index == 0 or (earlier := job.unit_names[index - 1]).split != job.unit_names[index].split:
        return None
    last = earlier._replace(groups=earlier.groups[-1:])
    return [batch.column("task_id")[-1].as_py() for _, batch in job.source.batches(last, ["task_id"])][-1]


def _decoded(batch: pa.RecordBatch, chosen: Sequence[int], number: int, form: Format) -> list[tuple[int, dict[str, Any]]]:
    return [(number + at, row) for at, row in zip(chosen, _rows_of(_taken(batch, chosen), form), strict=True)]


def _make(
    job: Job, unit: Unit, group: Group, names: Sequence[tuple[int, str]], made: Converted, rows: _Rows
) -> None:
    while group.rows:
        try:
            result: Made = FORMATS[job.format].make(group, job.details)
            for row in result.rows:
                rows.append(group.split, row)
        except (UnsayableError, CodecError) as error:
            at = error.row if isinstance(error, UnsayableError) else 0
            _refuse(job, unit, *names[at], error, made)
            # Without this one the others of the task may still be said.
            group = replace(group, rows=[*group.rows[:at], *group.rows[at + 1 :]])
            names = [*names[:at], *names[at + 1 :]]
        else:
            made.dropped.update(result.dropped)
            return


def _refuse(job: Job, unit: Unit, number: int, row_id: str, error: ValueError, made: Converted) -> None:
    told = f"split {unit.split}, row {number} ({row_id}): {job.format}: {error}"
    if job.refused == "stop":
        raise ExportError(told)
    made.dropped["refused"] += 1
    if len(made.refused) < _SHOWN:
        made.refused.append(told)


def _selected(
    job: Job, batch: pa.RecordBatch, number: int, made: Converted
) -> tuple[pa.RecordBatch, Sequence[int]]:
    """The rows that are wanted, and their numbers; the batch itself where all are."""
    if job.selection.everything:
        return batch, range(number, number + batch.num_rows)
    reasons = job.selection.reasons(batch)
    made.dropped.update(reason for reason in reasons if reason)
    chosen = [at for at, reason in enumerate(reasons) if not reason]
    return _taken(batch, chosen), [number + at for at in chosen]


def _divide(job: Job, unit: Unit, batch: pa.RecordBatch, task_column: str, rows: _Rows) -> None:
    if not job.splits:
        rows.extend(unit.split, batch)
        return
    chosen: dict[str, list[int]] = {}
    for at, task_id in enumerate(batch.column(task_column).to_pylist()):
        chosen.setdefault(job.split_of(task_id, unit.split), []).append(at)
    for split, places in chosen.items():
        rows.extend(split, _taken(batch, places))


def _taken(batch: pa.RecordBatch, places: Sequence[int]) -> pa.RecordBatch:
    return batch if len(places) == batch.num_rows else batch.take(pa.array(places, pa.int64()))


def _needed(job: Job, form: Format) -> list[str]:
    """Columns to read, in the source's order: what the format and the selection look at, and what names a row."""
    needed = {"id", "task_id", "licence", *form.columns}
    if job.selection.keep != "all":
        needed |= {*STANDING_COLUMNS}
    if not job.selection.everything:
        needed |= {"world", "metadata", "messages", "tools"}
    return [name for name in job.source.schema.names if name in needed]


def _rows_of(batch: pa.RecordBatch, form: Format) -> Iterator[dict[str, Any]]:
    columns = [name for name in batch.schema.names if name in {"id", "task_id", *form.columns}]
    return from_batch(batch.select(columns), unread={"messages", "tools", "metadata"})
