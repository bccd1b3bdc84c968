"""Judged rollouts, read twice: once for verdicts and lengths, and once for the rows that were chosen, as TRL has them.

Memory is that of verdicts and lengths, and of the rows that wait for the other half of their pair.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.exporting.source import Source
from pipelines.long2short_choice import Pair, Response
from trajectories.codec import TRAJECTORY_SCHEMA
from trajectories.columns import from_batch
from trajectories.formats import FORMATS, STANDING_COLUMNS, FormatSettings, Group, Row, UnsayableError, standing
from trajectories.formats.arguments import with_object_arguments
from trajectories.formats.prompts import opening
from trajectories.shard_files import ShardError

__all__ = ["PAIR_SCHEMA", "JudgedRollouts"]

_TRL = FORMATS["trl_preference"].typed
assert _TRL is not None
PAIR_SCHEMA = pa.schema(
    [field for field in _TRL if field.name != "shared_messages"]
    + [pa.field("chosen_tokens", pa.int32()), pa.field("rejected_tokens", pa.int32()), pa.field("kind", pa.string())]
)
"""TRL's conversational preference format, and why each pair is one."""


@dataclass(frozen=True)
class JudgedRollouts:
    """One split of a data set.

    Args:
        arguments, refused: as `orrery long2short` has them.
    """

    dataset: str
    split: str
    arguments: Literal["refuse", "keep"] = "refuse"
    refused: Literal["stop", "drop"] = "stop"
    dropped: Counter[str] = field(default_factory=Counter)
    """What was left out, by reason."""

    @property
    def source(self) -> Source:
        return Source(Path(self.dataset), TRAJECTORY_SCHEMA)

    def groups(self, samples: int) -> tuple[dict[str, list[Response]], int]:
        """The last `samples` rollouts with a verdict of each task, in order of their rows; and how many rows there are.

        Raises:
            ShardError: a row with a verdict and without tokens, or a damaged shard.
        """
        groups: dict[str, list[Response]] = defaultdict(list)
        read = 0
        columns = ["id", "task_id", "segments", *STANDING_COLUMNS]
        for number, batch in self._batches(columns):
            read += batch.num_rows
            tokens = _policy_tokens(batch.column("segments"))
            about = batch.drop_columns(["segments"])
            for place, row in enumerate(from_batch(about)):
                if (stands := standing(row)) in ("fault", "unjudged"):
                    self.dropped[stands] += 1
                    continue
                if tokens[place] < 0:
                    where = f"{self.dataset}: split {self.split}, row {number + place} ({row['id']})"
                    raise ShardError(f"{where} has no tokens of a policy: name rollouts, e.g. those of orrery train")
                groups[row["task_id"]].append(Response(number + place, stands == "pass", int(tokens[place])))
        for task, group in groups.items():
            self.dropped["beyond samples"] += max(0, len(group) - samples)
            groups[task] = group[-samples:]
        return groups, read

    def conversations(self, format: str, chosen: set[int]) -> Iterator[Mapping[str, Any]]:
        form, details = FORMATS[format], FormatSettings(arguments=self.arguments)
        for number, row in self._rows(chosen, form.columns):
            try:
                yield from form.make(Group([row], number, self.split), details).rows
            except UnsayableError as error:
                self._refuse(number, row, error)

    def preferences(self, pairs: Sequence[Pair]) -> Iterator[Mapping[str, Any]]:
        """A pair is made when its later row is read, and rows are kept no longer than a pair waits for them."""
        due: dict[int, list[Pair]] = defaultdict(list)
        last: dict[int, int] = {}
        for pair in pairs:
            later = max(pair.chosen.row, pair.rejected.row)
            due[later].append(pair)
            for response in (pair.chosen, pair.rejected):
                last[response.row] = max(later, last.get(response.row, 0))
        held: dict[int, Row] = {}
        for number, row in self._rows(set(last), ("id", "task_id", "messages", "tools")):
            held[number] = row
            for pair in due.get(number, ()):
                if (made := self._preference(pair, held)) is not None:
                    yield made
            held = {kept: one for kept, one in held.items() if last[kept] > number}

    def _preference(self, pair: Pair, held: Mapping[int, Row]) -> dict[str, Any] | None:
        rows = [held[pair.chosen.row], held[pair.rejected.row]]
        good, bad = rows
        try:
            prompts = [opening(row["messages"], place) for place, row in enumerate(rows)]
            if prompts[0] != prompts[1] or good["tools"] != bad["tools"]:
                self.dropped["pairs of different prompts"] += 1
                return None
            start = len(prompts[0])
            turns = [with_object_arguments(row["messages"][start:], self.arguments, place) for place, row in enumerate(rows)]
        except UnsayableError as error:
            self._refuse((pair.chosen, pair.rejected)[error.row].row, rows[error.row], error)
            return None
        return {
            "prompt": with_object_arguments(good["messages"][:start], self.arguments),
            "chosen": turns[0],
            "rejected": turns[1],
            "tools": good["tools"],
            "task_id": good["task_id"],
            "chosen_id": good["id"],
            "rejected_id": bad["id"],
            "chosen_tokens": pair.chosen.tokens,
            "rejected_tokens": pair.rejected.tokens,
            "kind": pair.kind,
        }

    def _refuse(self, number: int, row: Row, error: UnsayableError) -> None:
        if self.refused == "stop":
            said = str(error).replace("details.arguments", "arguments")  # as `orrery export` calls it
            raise ShardError(f"{self.dataset}: split {self.split}, row {number} ({row['id']}): {said}") from error
        self.dropped["refused"] += 1

    def _rows(self, wanted: set[int], columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number, row) of the rows that are wanted, their JSON texts unread."""
        for number, batch in self._batches(list(columns)):
            places = [place for place in range(batch.num_rows) if number + place in wanted]
            if places:
                rows = from_batch(batch.take(pa.array(places, pa.int64())), unread=columns)
                yield from zip((number + place for place in places), rows, strict=True)

    def _batches(self, columns: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        for unit in self.source.units([self.split]):
            yield from self.source.batches(unit, columns)


def _policy_tokens(segments: pa.Array) -> np.ndarray:
    """[rows] tokens that the policy sampled; -1 where there are no segments, or those of a demonstration."""
    flat, rows = segments.flatten(), pc.list_parent_indices(segments).to_numpy()
    lengths = pc.list_value_length(pc.struct_field(flat, "token_ids")).to_numpy()
    origins = np.array(pc.struct_field(flat, "origin").to_pylist(), dtype=object)
    count = len(segments)
    tokens = np.bincount(rows, weights=np.where(origins == "policy", lengths, 0), minlength=count).astype(np.int64)
    foreign = np.bincount(rows, weights=origins == "demonstration", minlength=count) > 0
    empty = np.bincount(rows, minlength=count) == 0
    return np.where(foreign | empty, -1, tokens)
