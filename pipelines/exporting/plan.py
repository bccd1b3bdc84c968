"""Who does what in an export: units are converted, shards are written, and the bytes do not tell by whom or how often.

The order of the output is that of the units. Which rows make up which shard follows from how many rows each unit gives,
and a journal keeps those numbers; so a run that goes on knows which units are in sealed shards already.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import ray

from pipelines.exporting.files import Output, write_part
from pipelines.exporting.unit import LINES, Job, convert
from pipelines.progress import Phase
from trajectories.checking.task_index import TaskIndex
from trajectories.columns import to_batch
from trajectories.shard_files import Manifest, ShardError

__all__ = ["Exported", "export"]

_SHOWN = 20
_WRITERS = 2
"""Shards that one process writes at a time."""


@dataclass
class Counts:
    """Of one unit, as the journal has it."""

    read: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    """By output split."""
    dropped: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)


@dataclass
class Exported:
    manifests: dict[str, Manifest]
    """By output split."""
    read: int
    dropped: Counter[str]
    refused: list[str]
    """The first of them."""
    licences: list[str]
    """That source rows name."""


def export(
    job: Job,
    directory: Path,
    *,
    rows_per_shard: int,
    splits: list[str],
    workers: int,
    digest: str,
    tasks: TaskIndex | None,
    phase: Phase,
) -> Exported:
    """Writes every split under `directory`, or what is missing of it. Needs a running Ray where `workers` is above 1.

    Args:
        splits: names of the output splits; each is written, if only without rows.
        digest: of the source; a journal of another one is refused.

    Raises:
        ExportError: a row that the format cannot say; the shards that are sealed stay.
        ShardError, DiskFullError: of the source, and of the output.
    """
    suffix: Literal["parquet", "jsonl"] = "jsonl" if job.schema is LINES else "parquet"
    outputs = {split: _Growing(Output(directory, split, suffix), rows_per_shard, job.schema) for split in splits}
    journal = _Journal(directory / ".writing" / "units.jsonl", digest)
    reached = Counter[str]()
    done: list[Counts] = []
    for counts in journal.known:  # units that lie wholly in sealed shards
        after = reached + Counter(counts.rows)
        if any(after[split] > outputs[split].safe for split in splits):
            break
        done.append(counts)
        reached = after
    journal.keep(done)
    first = len(done)
    phase.start_from(sum(counts.read for counts in done))
    units = range(first, len(job.unit_names))
    with _Hands(workers) as hands:
        job_there, tasks_there = hands.put(job), hands.put(tasks)
        for counts, tables in hands.map(_converted, ((job_there, index, tasks_there, splits) for index in units), len(splits)):
            for split, table in zip(splits, tables, strict=True):
                rows = counts.rows.get(split, 0)
                outputs[split].extend(table, max(0, outputs[split].safe - reached[split]), rows, hands)
                reached[split] += rows
            journal.append(counts)
            done.append(counts)
            phase.advance(counts.read)
        for output in outputs.values():
            output.finish(hands)
    manifests = {split: outputs[split].layout.close(rows_per_shard, job.schema.names) for split in splits}
    journal.remove()
    return Exported(
        manifests,
        sum(counts.read for counts in done),
        sum((Counter(counts.dropped) for counts in done), Counter[str]()),
        [told for counts in done for told in counts.refused][:_SHOWN],
        sorted({licence for counts in done for licence in counts.licences}),
    )


def _converted(job: Job, index: int, tasks: TaskIndex | None, splits: list[str]) -> tuple[Any, ...]:
    """The unit's counts, and one table per split."""
    made = convert(job, index, tasks)
    rows = {split: table.num_rows for split, table in made.tables.items()}
    nothing = pa.Table.from_batches([to_batch([], job.schema)])
    return (
        Counts(made.read, rows, dict(made.dropped), made.refused, sorted(made.licences)),
        *(made.tables.get(split, nothing) for split in splits),
    )


class _Growing:
    """One output split: rows wait until a shard is full."""

    def __init__(self, layout: Output, rows_per_shard: int, schema: pa.Schema) -> None:
        self.layout, self._rows_per_shard, self._schema = layout, rows_per_shard, schema
        self._next, self.safe = layout.reopen()
        self._parts: deque[tuple[Any, int, int]] = deque()
        self._waiting = 0

    def extend(self, table: Any, start: int, stop: int, hands: "_Hands") -> None:
        """Rows ``start:stop`` of a table, which may lie elsewhere; those before are in sealed shards."""
        if start < stop:
            self._parts.append((table, start, stop))
            self._waiting += stop - start
        while self._waiting >= self._rows_per_shard:
            self._seal(self._rows_per_shard, hands)

    def finish(self, hands: "_Hands") -> None:
        """The rest, and an empty shard for a split without rows, so that it is there."""
        if self._waiting or self._next == 0:
            self._seal(self._waiting, hands)

    def _seal(self, rows: int, hands: "_Hands") -> None:
        tables, spans = [], []
        self._waiting -= rows
        while rows:
            table, start, stop = self._parts.popleft()
            taken = min(rows, stop - start)
            if start + taken < stop:
                self._parts.appendleft((table, start + taken, stop))
            tables.append(table)
            spans.append((start, start + taken))
            rows -= taken
        hands.write(write_part, self.layout.unfinished(self._next), spans, self._schema, *tables)
        self._next += 1


class _Hands:
    """Who works: this process alone, or so many of Ray's. What is waiting never grows beyond them."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        # Arrow lets go of the interpreter while it compresses: one process writes two shards side by side.
        self._threads = ThreadPoolExecutor(_WRITERS) if workers == 1 else None
        self._writing: deque[Any] = deque()

    def __enter__(self) -> "_Hands":
        return self

    def __exit__(self, kind: object, failure: BaseException | None, traceback: object) -> None:
        """Nobody writes any more, whether the work is done or one of the writers failed; the first failure is told."""
        while self._writing:
            try:
                self._wait()
            except Exception as error:
                failure = failure or error
        if self._threads is not None:
            self._threads.shutdown()
        if kind is None and failure is not None:
            raise failure

    def put(self, value: Any) -> Any:
        return ray.put(value) if self._workers > 1 else value

    def map(
        self, work: Callable[..., tuple[Any, ...]], calls: Iterator[tuple[Any, ...]], tables: int
    ) -> Iterator[tuple[Counts, list[Any]]]:
        """(counts, tables, which may lie elsewhere) of each call, in order."""
        if self._workers == 1:
            # One unit ahead: Arrow reads in a thread of its own while it writes in this one.
            with ThreadPoolExecutor(1) as ahead:
                waiting_here: deque[Future[tuple[Any, ...]]] = deque()
                for call in calls:
                    waiting_here.append(ahead.submit(work, *call))
                    if len(waiting_here) > 1:
                        counts, *rest = waiting_here.popleft().result()
                        yield counts, rest
                while waiting_here:
                    counts, *rest = waiting_here.popleft().result()
                    yield counts, rest
            return
        remote = ray.remote(num_cpus=1, num_returns=1 + tables)(work)
        waiting: deque[list[ray.ObjectRef]] = deque()
        for call in calls:
            waiting.append(remote.remote(*call))
            if len(waiting) > self._workers:
                counts, *rest = waiting.popleft()
                yield ray.get(counts), rest
        while waiting:
            counts, *rest = waiting.popleft()
            yield ray.get(counts), rest

    def write(self, work: Callable[..., int], *arguments: Any) -> None:
        while len(self._writing) >= (self._workers if self._threads is None else _WRITERS):
            self._wait()
        if self._threads is None:
            self._writing.append(ray.remote(num_cpus=1)(work).remote(*arguments))
        else:
            self._writing.append(self._threads.submit(work, *arguments))

    def _wait(self) -> None:
        oldest = self._writing.popleft()
        if self._threads is None:
            ray.get(oldest)
        else:
            oldest.result()


class _Journal:
    """What each unit gave, a line each; a line that a kill cut short counts as not there."""

    def __init__(self, path: Path, digest: str) -> None:
        self._path, self._digest = path, digest
        self.known: list[Counts] = []
        """Of an earlier process of this run."""
        lines = path.read_text().split("\n")[:-1] if path.is_file() else []
        if lines and json.loads(lines[0])["source"] != digest:
            raise ShardError(f"{path.parents[1]} was begun with another state of the data set; choose another directory")
        for line in lines[1:]:
            self.known.append(Counts(**json.loads(line)))

    def keep(self, counts: list[Counts]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("w") as file:
            file.write(json.dumps({"source": self._digest}) + "\n")
        for item in counts:
            self.append(item)

    def append(self, counts: Counts) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(counts)) + "\n")

    def remove(self) -> None:
        self._path.unlink()
        for folder in (*self._path.parent.iterdir(), self._path.parent):
            folder.rmdir()
