"""What became of every dialogue: the journal of a data set, kept or dropped and why; and where a stopped run goes on.

The journal is a data set of its own (``journal/`` beside the rows): one row per dialogue that was played, in order, with
`samples` dialogues for each number. So figures count what earlier processes of a run did, and nothing is dropped in silence.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from trajectories.shard_files import Layout, read_batches, verify_shard
from trajectories.shards import read

__all__ = ["JOURNAL_SCHEMA", "Entry", "SafePoint", "safe_point", "totals"]

JOURNAL_SCHEMA: Final = pa.schema(
    {
        "number": pa.int64(),
        "rollout": pa.int32(),
        "id": pa.string(),
        "task_id": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),
        "label": pa.string(),
        "attribution": pa.string(),
    }
)
"""`reason` is null where the dialogue is a row of the data set, else why it is none: ``failed``, ``rule:<name>``, ``judge``,
``exact_duplicate``, ``near_duplicate``, ``structural_duplicate``, ``contaminated``, ``too_easy``, ``too_hard`` or
``fault:<source>``. `detail` says more: the first dialogue like it, the benchmark's item, what broke."""


@dataclass(slots=True)
class Entry:
    """A row of the journal."""

    number: int
    rollout: int
    id: str
    task_id: str
    reason: str | None
    detail: str | None
    label: str | None
    """``pass``, ``near_miss`` (more passed verdicts than failed ones) or ``failure``; None after a fault."""
    attribution: str | None
    """Whose fault a failure is."""

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in JOURNAL_SCHEMA.names}


@dataclass(frozen=True, slots=True)
class SafePoint:
    """How much of a stopped run is wholly on disk."""

    numbers: int
    """Tasks from which nothing is to be done again."""
    rows: int
    """Rows of the data set that belong to them."""


def safe_point(directory: Path, split: str, samples: int) -> SafePoint:
    """Behind the last number whose task, journal and rows are all on disk, or before the first that ended by a fault: it is
    made again, and all after it, for what is kept may depend on what was kept before."""
    tasks = sum(verify_shard(path) for path in Layout(directory / "tasks", split).sealed())
    rows = sum(verify_shard(path) for path in Layout(directory, split).sealed())
    numbers, kept, faults = _read(Layout(directory / "journal", split).sealed())
    done = min(tasks, len(numbers) // samples)
    if len(faults):
        done = min(done, int(faults[0]))
    if rows < len(kept):
        done = min(done, int(kept[rows]))
    return SafePoint(done, int(np.searchsorted(kept, done)))


def _read(paths: list[Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of all entries, of those that are kept, and of those that ended by a fault; each in order."""
    found: tuple[list[np.ndarray], ...] = ([], [], [])
    for path in paths:
        for batch in read_batches(path, ["number", "reason"]):
            numbers, reasons = batch.column("number").to_numpy(), batch.column("reason")
            kept = reasons.is_null().to_numpy(zero_copy_only=False)
            faulty = np.array([(reason or "").startswith("fault:") for reason in reasons.to_pylist()], dtype=bool)
            for place, part in zip(found, (numbers, numbers[kept], numbers[faulty]), strict=True):
                place.append(part)
    numbers, kept, faults = (np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in found)
    return numbers, kept, faults


def totals(directory: Path, split: str) -> dict[str, Any]:
    """The journal in figures: ``passes`` (kept or not), ``dropped`` by reason, ``faults`` by source, ``labels`` of what is kept,
    ``failed_by``."""
    dropped, faults, labels, blame = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    passes = 0
    for entry in _entries(directory, split):
        reason = entry["reason"]
        passes += entry["label"] == "pass"
        if reason is not None and reason.startswith("fault:"):
            faults[reason.removeprefix("fault:")] += 1
        if reason is not None:
            dropped[reason] += 1
        else:
            labels[entry["label"]] += 1
        if entry["attribution"] is not None:
            blame[entry["attribution"]] += 1
    named = {"dropped": dropped, "faults": faults, "labels": labels, "failed_by": blame}
    return {"passes": passes, **{name: dict(sorted(counts.items())) for name, counts in named.items()}}


def _entries(directory: Path, split: str) -> Iterator[dict[str, Any]]:
    return read(directory / "journal", split, columns=["reason", "label", "attribution"])
