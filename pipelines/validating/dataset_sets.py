"""What no row shows alone: ids that come twice, tasks and dialogues that two splits share, parents that nobody knows.

Held in memory for it: about 120 bytes a row, and what deduplication and near texts need (see there).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.validating.dataset_looked import Looked
from trajectories.checking.dialogue import is_dialogue
from trajectories.checking.findings import Finding
from trajectories.checking.folder import Part
from trajectories.checking.keys import KeyColumn, key, repeated, shared
from trajectories.checking.reading import read_part
from trajectories.codec import TRAJECTORY_SCHEMA
from trajectories.decontamination import SplitConfig, split_overlaps
from trajectories.deduplication import Deduplicator, Features

__all__ = ["RowSet", "duplicate_findings", "near_findings", "overlaps", "parent_findings", "repeated_rows"]


@dataclass
class RowSet:
    """The rows of a split, by their keys, in order."""

    name: str
    """What findings call it."""
    keys: dict[str, KeyColumn] = field(default_factory=dict)
    parents: list[tuple[int, bytes]] = field(default_factory=list)
    """(position of the row, key of its parent's id)."""
    _ids: list[pa.Array] = field(default_factory=list)
    _numbers: list[np.ndarray] = field(default_factory=list)
    _parts: list[Part] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _length: int = 0

    def add(self, part: Part, looked: Looked) -> None:
        """What a worker brought back from a part; parts come in order."""
        self.parents += [(self._length + place, parent) for place, parent in looked.parents]
        for name, keys in looked.keys.items():
            self.keys.setdefault(name, KeyColumn()).add(bytes(keys))
        self._ids.append(pa.array(map(_sound, looked.ids), pa.string()))
        self._numbers.append(np.array(looked.numbers, dtype=np.int64))
        self._parts.append(part)
        self._starts.append(self._length)
        self._length += len(looked.ids)

    def __len__(self) -> int:
        return self._length

    def rows(self) -> Iterator[dict[str, Any]]:
        """Ids and messages, read again; without rows that are no dialogues."""
        for part in self._parts:
            for batch in read_part(part, TRAJECTORY_SCHEMA, ("id", "task_id", "messages")):
                yield from (row for _, row in batch.rows if is_dialogue(row["messages"]))

    def positions(self, row_id: str) -> list[int]:
        """Of the rows with this id."""
        word = np.frombuffer(key(row_id), dtype=np.uint64)
        return np.flatnonzero((self.keys["id"].array() == word).all(axis=1)).tolist()

    def place(self, position: int) -> tuple[str, int, str]:
        """(shard, number in it, id)."""
        part = int(np.searchsorted(self._starts, position, "right")) - 1
        offset = position - self._starts[part]
        return self._parts[part].shard, int(self._numbers[part][offset]), self._ids[part][offset].as_py()


def repeated_rows(sets: list[RowSet], name: str, what: str) -> Iterator[Finding]:
    """Rows whose key `name` an earlier row of any of the sets has; ``{id}``, ``{shard}`` and ``{row}`` in `what` are the
    earlier one's."""
    whole = _joined(sets, name)
    for position, first in repeated(whole):
        yield _finding("schema", sets, position, what, _locate(sets, first))


def overlaps(one: RowSet, other: RowSet, name: str, what: str) -> Iterator[Finding]:
    """Rows of `one` whose key `name` a row of `other` has; `what` as for `repeated_rows`, and ``{set}`` is the other set."""
    if name in one.keys and name in other.keys:
        for position, first in shared(one.keys[name].array(), other.keys[name].array()):
            yield _finding("splits", [one], position, what, (other, first))


def near_findings(one: RowSet, other: RowSet, config: SplitConfig) -> Iterator[Finding]:
    """Rows of `one` that say nearly what a row of `other` says; about 2.5 kB are held for each row of `other`."""
    for overlap in split_overlaps(one.rows(), other.rows(), config):
        if overlap.kind == "near_text":  # the other kinds are `overlaps`' to find, with their places
            for position in one.positions(overlap.train):
                what = f"{other.name} has nearly its dialogue ({overlap.overlap:.0%}) in row {overlap.held_out}"
                yield Finding("splits", *one.place(position), what)


def duplicate_findings(rows: RowSet, looked: Looked, kept: Deduplicator) -> Iterator[Finding]:
    """Rows of the part that was added to `rows` last that are duplicates of an earlier one."""
    start = len(rows) - len(looked.ids)
    for place, data in looked.features:
        if (duplicate := kept.add(Features.from_bytes(data), start + place)) is not None:
            shard, number, row_id = rows.place(duplicate.of)
            what = f"is a {duplicate.kind} duplicate ({duplicate.similarity:.0%}) of row {number} of {shard} ({row_id})"
            yield Finding("duplicates", *rows.place(start + place), what)


def parent_findings(sets: list[RowSet], sources: list[RowSet]) -> tuple[list[Finding], Counter[tuple[str, str]]]:
    """Rows with parents that are in no set; without `sources` they are counted only, for they may lie elsewhere."""
    if not any(each.parents for each in sets):
        return [], Counter()
    known = {bytes(row) for each in (*sets, *sources) if "id" in each.keys for row in each.keys["id"].array()}
    found, left_out = [], Counter[tuple[str, str]]()
    for each in sets:
        for position, parent in each.parents:
            if parent not in known and sources:
                shard, number, row_id = each.place(position)
                found.append(Finding("provenance", shard, number, row_id, "a parent is neither in the data set nor in sources"))
            elif parent not in known:
                left_out["provenance", "have parents elsewhere; name their data sets in sources=[...]"] += 1
    return found, left_out


def _joined(sets: list[RowSet], name: str) -> np.ndarray:
    columns = [each.keys[name].array() for each in sets if name in each.keys]
    return np.concatenate(columns) if columns else np.empty((0, 2), np.uint64)


def _locate(sets: list[RowSet], position: int) -> tuple[RowSet, int]:
    for each in sets:
        if position < len(each):
            return each, position
        position -= len(each)
    raise IndexError(position)


def _finding(check: str, sets: list[RowSet], position: int, what: str, first: tuple[RowSet, int]) -> Finding:
    mine, place = _locate(sets, position)
    shard, number, row_id = mine.place(place)
    other, other_place = first
    other_shard, other_number, other_id = other.place(other_place)
    return Finding(check, shard, number, row_id, what.format(id=other_id, shard=other_shard, row=other_number, set=other.name))


def _sound(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
