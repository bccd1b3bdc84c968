"""The recorded rollouts of a run: what they were scored by, and their rows as spans of whole groups.

A group is the rollouts of one task in one iteration; their ids differ in the last number alone (``12/<task>/3``). A record
writes the members of a group one after the other; where something else has moved them apart, a span reaches from the first
member to the last, so that whoever takes whole spans takes whole groups, and rows keep their order.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
import yaml
from numpy.typing import NDArray

from pipelines.errors import UserError
from pipelines.exporting.source import Source
from pipelines.structured import build
from rewards.composition import RewardConfig
from rewards.verifiers import VERIFIERS, verifier_for
from simulators.playable import open_world
from simulators.worlds import WorldSpecError
from trajectories.checking.task_index import TaskIndex
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA
from trajectories.columns import from_batch
from trajectories.shard_files import Layout, ShardError, read_batches

__all__ = ["Rollouts", "Scale", "Split", "group_of", "read_rollouts", "step_of"]

Scale = Literal["none", "std"]

_ID = re.compile(r"(?P<group>(?:(?P<step>\d+)/)?.+)/\d+(?:@\w+)?")
_SEEN = ["id", "reward_valid", "reward_detail", "world", "world_fingerprint"]
_ORIGINS = "segments.list.element.origin"


def group_of(row_id: str) -> str:
    """What the ids of a group have in common; the whole id where it is no rollout's."""
    found = _ID.fullmatch(row_id)
    return found["group"] if found else row_id


def step_of(row_id: str) -> int | None:
    """The iteration that a rollout was played for; None where nothing was learnt from it."""
    found = _ID.fullmatch(row_id)
    return int(found["step"]) if found and found["step"] else None


@dataclass(frozen=True)
class Split:
    """One split of the rollouts."""

    name: str
    paths: tuple[str, ...]
    """Of the shards."""
    ends: tuple[int, ...]
    """Rows up to the end of each shard."""
    cuts: NDArray[np.int64]
    """Rows after which no group is open, rising; the last is the number of rows."""

    @property
    def rows(self) -> int:
        return self.ends[-1]

    def spans(self, first: int, size: int) -> Iterator[tuple[int, int]]:
        """(start, stop) of runs of whole groups of at least `size` rows, from row `first`, which is 0 or a cut."""
        while first < self.rows:
            place = int(np.searchsorted(self.cuts, min(first + size, self.rows)))
            stop = int(self.cuts[place])
            yield first, stop
            first = stop

    def last_cut(self, rows: int) -> int:
        """The most rows, up to `rows`, after which no group is open."""
        place = int(np.searchsorted(self.cuts, rows, side="right"))
        return int(self.cuts[place - 1]) if place else 0

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """The rows from `start` to before `stop`, page checksums verified.

        Raises:
            ShardError: a shard is truncated or damaged.
        """
        parts, first = [], 0
        for path, end in zip(self.paths, self.ends, strict=True):
            if first < stop and start < end:
                parts.append(_read(path, max(start - first, 0), min(stop, end) - first, columns))
            first = end
        return pa.concat_tables(parts).combine_chunks().to_batches()[0]


@dataclass(frozen=True)
class Rollouts:
    """What a run recorded."""

    run: Path
    directory: Path
    """Of the rollouts inside the run."""
    rewards: RewardConfig
    """By which the run was scored."""
    scale: Scale
    """Of the run's advantages."""
    splits: tuple[Split, ...]
    digests: dict[str, str]
    """By split: SHA-256 over the shards' own."""
    tasks: TaskIndex
    has_tokens: bool
    changed: tuple[str, ...]
    """What is no longer as it was when the rollouts were scored: worlds and verifiers."""


def read_rollouts(run: str, rollouts: str, splits: Sequence[str]) -> Rollouts:
    """Looks at the whole record, at its narrow columns alone.

    Args:
        run: its directory.
        rollouts: where in it they are.
        splits: which of them; none for all.

    Raises:
        UserError: no run, no rollouts, or no tasks there, naming the key; a row that nobody has scored; a row that comes twice.
        ShardError: a shard is missing, truncated or damaged.
    """
    path, directory = Path(run), Path(run, rollouts)
    stored = _config(path)
    source = Source(directory, TRAJECTORY_SCHEMA)
    there = source.splits()
    if not there:
        state = _unfinished(directory) or "is no run of orrery train, quickstart or evaluate, or rollouts= is not where they are"
        raise UserError(f"run: {directory} holds no rollouts: {run} {state}")
    if unknown := [name for name in splits if name not in there]:
        raise UserError(f"splits: {directory} has no split {unknown[0]}; it has {', '.join(there)}")
    names = [name for name in there if name in splits or not splits]
    digests = source.digest(names)
    seen = _Seen(directory)
    read = tuple(seen.split(name) for name in names)
    if not sum(split.rows for split in read):
        raise UserError(f"run: {directory} holds no rollouts: its shards are empty")
    return Rollouts(
        path,
        directory,
        _rewards(path, stored),
        _scale(path, stored),
        read,
        digests,
        _tasks(directory / "tasks"),
        seen.has_tokens,
        seen.changed(),
    )


class _Seen:
    """What a walk over the narrow columns finds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._worlds: dict[tuple[str, str], str] = {}
        self._graders: dict[str, str] = {}
        self.has_tokens = False

    def split(self, name: str) -> Split:
        paths = [str(path) for path in Layout(self._directory, name).finished_shards()]
        ends: list[int] = []
        ids, groups = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        for path in paths:
            rows = 0
            for batch in read_batches(Path(path), [*_SEEN, _ORIGINS]):
                names = batch.column("id").to_pylist()
                ids.append(_words(names))
                groups.append(_words([group_of(row_id) for row_id in names]))
                self._look(name, batch)
                rows += batch.num_rows
            ends.append(rows + (ends[-1] if ends else 0))
        _refuse_twins(name, np.concatenate(ids))
        return Split(name, tuple(paths), tuple(ends), _cuts(np.concatenate(groups)))

    def changed(self) -> tuple[str, ...]:
        """Sentences, each with the first row that it is about."""
        worlds = (_changed_world(*known, row) for known, row in self._worlds.items())
        graders = (_changed_grader(grader, row) for grader, row in self._graders.items())
        return tuple(told for told in (*worlds, *graders) if told)

    def _look(self, split: str, batch: pa.RecordBatch) -> None:
        if not self.has_tokens:
            self.has_tokens = "policy" in batch.column("segments").flatten().field("origin").unique().to_pylist()
        for row in from_batch(batch.select(_SEEN)):
            if row["reward_valid"] is None:
                raise UserError(f"run: row {row['id']} of split {split} was never scored, so there is nothing to compare with")
            self._worlds.setdefault((row["world"], row["world_fingerprint"]), row["id"])
            if grader := json.loads(row["reward_detail"])["grader"]:
                self._graders.setdefault(grader, row["id"])


def _changed_world(world: str, fingerprint: str, row: str) -> str | None:
    if not fingerprint:
        return None
    try:
        now = open_world(world).fingerprint()
    except (WorldSpecError, ValueError, TypeError, OSError) as error:
        return f"world {world} cannot be loaded any more ({error}); row {row} was played in it"
    if now == fingerprint:
        return None
    return f"world {world} has the fingerprint {now[:16]}..., row {row} was played in {fingerprint[:16]}..."


def _changed_grader(grader: str, row: str) -> str | None:
    domain, _, version = grader.partition("/")
    if domain not in VERIFIERS:
        return f"there is no verifier of domain {domain!r} any more; row {row} was judged by {grader}"
    if (now := str(verifier_for(domain).version)) == version:
        return None
    return f"the verifier of {domain} is {domain}/{now} now, row {row} was judged by {grader}"


def _config(run: Path) -> dict[str, Any]:
    try:
        stored = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"run: {run} holds no run ({type(error).__name__}: config.yaml); name a run directory") from error
    if not isinstance(stored, dict):
        raise UserError(f"run: {run}/config.yaml is not the settings of a run")
    return stored


def _rewards(run: Path, stored: dict[str, Any]) -> RewardConfig:
    if "rewards" not in stored:
        raise UserError(f"run: {run} is a run of orrery {stored.get('command')}, which scores no rollouts")
    try:
        return build(RewardConfig, stored["rewards"], "rewards")
    except UserError as error:
        raise UserError(f"run: {run}/config.yaml was written by another version: {error}") from error


def _scale(run: Path, stored: dict[str, Any]) -> Scale:
    """As the run's own advantages were scaled; a run that was rescored says in its summary what it took."""
    if stored.get("command") == "rescore":
        try:
            return json.loads((run / "summary.json").read_text())["advantage_scale"]
        except OSError as error:
            raise UserError(f"run: {run} is not finished; continue it with out={run} resume=auto") from error
    return (stored.get("learning") or {}).get("advantage_scale", "none")


def _tasks(directory: Path) -> TaskIndex:
    source = Source(directory, TASK_SCHEMA)
    source.digest(source.splits())  # the index passes over what cannot be read
    index = TaskIndex.of(directory)
    if not len(index):
        raise UserError(f"run: {directory} holds no tasks, without which nothing can be judged")
    return index


def _unfinished(directory: Path) -> str | None:
    is_writing = any(directory.glob(".writing/*/*.parquet"))
    return "is not finished; continue it with resume=auto first" if is_writing else None


def _words(texts: Sequence[str]) -> NDArray[np.uint64]:
    return np.fromiter((xxhash.xxh3_64_intdigest(text.encode()) for text in texts), np.uint64, len(texts))


def _refuse_twins(split: str, ids: NDArray[np.uint64]) -> None:
    order = np.argsort(ids, kind="stable")
    again = order[1:][ids[order][1:] == ids[order][:-1]]
    if len(again):
        raise UserError(f"run: row {again.min()} of split {split} has an id that a row before it has")


def _cuts(groups: NDArray[np.uint64]) -> NDArray[np.int64]:
    _, numbers = np.unique(groups, return_inverse=True)
    rows = np.arange(len(groups))
    last = np.zeros(len(groups), np.int64)
    np.maximum.at(last, numbers, rows)
    return (np.flatnonzero(np.maximum.accumulate(last[numbers]) == rows) + 1).astype(np.int64)


def _read(path: str, start: int, stop: int, columns: Sequence[str] | None) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            ends = np.cumsum([0, *sizes])
            wanted = [group for group in range(len(sizes)) if ends[group] < stop and start < ends[group + 1]]
            # Without threads: there are as many workers as cores should be used.
            table = file.read_row_groups(wanted, columns=list(columns) if columns else None, use_threads=False)
            return table.slice(start - int(ends[wanted[0]]), stop - start)
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"{path} is truncated or damaged ({str(error).splitlines()[0]}); restore it") from error
