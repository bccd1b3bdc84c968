"""A data set: certified tasks, played by a policy, judged, freed of duplicates and leaks, written as Parquet shards.

Workers make rows by number and the driver writes them in order, so the shards are the same bytes with any number of
workers and after kill and resume. What live models say is recorded in the run directory and replayed when a run goes on;
a dialogue that ended by a fault is no row, and ``resume=auto`` makes it again.
"""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from pipelines.cluster import ray_session
from pipelines.errors import UserError
from pipelines.memory import MemoryMeter
from pipelines.models import usage_of
from pipelines.progress import Phase, Progress
from pipelines.run_directory import RunDirectory
from pipelines.schema import Counted, register
from pipelines.streams import check_stream
from pipelines.synthesis.crew import Band, Judging, Player, check_crew, check_records
from pipelines.synthesis.flow import chunks
from pipelines.synthesis.journal import JOURNAL_SCHEMA, SafePoint, safe_point, totals
from pipelines.synthesis.report import describe, printed
from pipelines.synthesis.rows import Chunk
from pipelines.voices import UserVoice, check_voice
from rewards.composition import RewardConfig
from rewards.filters import FilterConfig
from rl.rollout.engine import EngineError
from rl.rollout.error_budget import ErrorBudget, ErrorBudgetSpentError
from services.chat import StoreError
from simulators.stochastic import ToolTroubles
from simulators.tasks.stream import TaskStream, UncertifiableError
from simulators.worlds import WorldSpecError
from trajectories.card import write_card
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA, from_row
from trajectories.columns import from_batch, to_batch
from trajectories.decontamination import BenchmarkError, DecontaminationConfig
from trajectories.deduplication import DedupConfig, Deduplicator, Features, features
from trajectories.rewards import Reward
from trajectories.shard_files import Layout, read_batches
from trajectories.shards import ShardError, ShardWriter, manifest
from trajectories.tasks import Split, Task
from trajectories.trajectory import Trajectory

__all__ = ["Synthesize", "make_dataset"]


@dataclass(frozen=True, kw_only=True)
class Synthesize(Counted):
    """`count` is the number of tasks; each is played `samples` times."""

    tasks: TaskStream = field(default_factory=TaskStream)
    """Which tasks."""
    policy: Player = field(default_factory=Player)
    """Who plays them."""
    samples: int = 1
    """Dialogues on each task."""
    voice: UserVoice = field(default_factory=UserVoice)
    """Who words what users say."""
    troubles: ToolTroubles = field(default_factory=ToolTroubles)
    """How often tools misbehave; never, unless a rate is set."""
    rewards: RewardConfig = field(default_factory=RewardConfig)
    """Which programs judge, and what their verdict is worth."""
    filters: FilterConfig = field(default_factory=FilterConfig)
    """Rules that a dialogue keeps to, whatever the verdict on the task."""
    judge: Judging = field(default_factory=Judging)
    """A model that judges what passed the programs; none, unless an endpoint is set."""
    split: Split = "train"
    """Tasks of the two splits are disjoint: train, held_out."""
    keep: Literal["passes", "near_misses", "all"] = "passes"
    """passes: rejection sampling, only dialogues that pass every judge become rows; near_misses: also those with more
    passed verdicts than failed ones, labelled; all: all failures, labelled."""
    band: Band = field(default_factory=Band)
    """Which tasks are neither too hard nor too easy for the policy."""
    dedup: DedupConfig = field(default_factory=DedupConfig)
    """Which dialogues are the same."""
    benchmarks: tuple[str, ...] = ()
    """Benchmark files; rows that share too much with one of them are dropped."""
    decontamination: DecontaminationConfig = field(default_factory=DecontaminationConfig)
    """What too much is."""
    error_budget: float = 0.02
    """Share of the dialogues that may end by a fault (and eight in any case, unless it is 0) before the run stops."""
    in_flight: int = 32
    """Tasks under way at once in each worker, where models are waited for."""
    licence: str = "Apache-2.0"
    """SPDX identifier of the licence that the rows are under."""
    rows_per_shard: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        ErrorBudget(self.error_budget)
        for key in ("samples", "in_flight", "rows_per_shard"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")


def run(config: Synthesize, run: RunDirectory) -> dict[str, Any]:
    """`orrery synthesize`."""
    progress = Progress(("synthesize", "card"))
    with ray_session(config.workers):
        summary = make_dataset(config, run.path, progress, resume=run.resumed)
    with progress.phase("card"):
        write_card(run.path, describe(config, summary, sys.argv))
    summary["seconds"] = progress.elapsed
    print("\n" + printed(summary, run.shown_path))
    return summary


def make_dataset(config: Synthesize, directory: Path, progress: Progress, *, resume: bool) -> dict[str, Any]:
    """Write ``data/<split>-*.parquet``, the tasks beside them under ``tasks/`` and the journal under ``journal/``; returns the
    figures.

    Needs a running Ray. With `resume`, goes on behind what is safe.
    """
    check_records(config, directory)
    begin = safe_point(directory, config.split, config.samples) if resume else SafePoint(0, 0)
    with (
        progress.phase("synthesize", total=config.count, unit="tasks") as phase,
        MemoryMeter(directory / "memory.csv", lambda: phase.done) as memory,
    ):
        state = asyncio.run(_write(config, directory, phase, begin, resume))
    written = manifest(directory, config.split)
    dialogues = config.count * config.samples
    return {
        "rows": written.rows,
        "shards": len(written.shards),
        "tasks": config.count,
        "dialogues": dialogues,
        **totals(directory, config.split),
        "dedup": {"bytes_per_row": state.bytes_per_row, "state_bytes": state.state_bytes},
        "usage": usage_of(directory),
        "rows_per_second": (written.rows - begin.rows) / progress.seconds["synthesize"],
        "peak_rss_bytes": memory.peak_bytes,
        "dataset_digest": written.fingerprint(),
    }


async def _write(
    config: Synthesize, directory: Path, phase: Phase, begin: SafePoint, resume: bool
) -> Deduplicator:
    def writer(place: Path, schema: pa.Schema, keep: int) -> ShardWriter:
        return ShardWriter(
            place, schema=schema, rows_per_shard=config.rows_per_shard, split=config.split, resume=resume,
            keep_rows=keep if resume else None,
        )  # fmt: skip

    seen, budget = Deduplicator(config.dedup), ErrorBudget(config.error_budget)
    with (
        writer(directory, TRAJECTORY_SCHEMA, begin.rows) as rows,
        writer(directory / "tasks", TASK_SCHEMA, begin.numbers) as tasks,
        writer(directory / "journal", JOURNAL_SCHEMA, begin.numbers * config.samples) as journal,
    ):
        _remember(config, directory, seen)
        budget.episodes = begin.numbers * config.samples
        phase.start_from(begin.numbers)
        async for chunk in chunks(config, directory, phase, begin.numbers):
            rows.extend(_without_duplicates(chunk, seen, config.samples))
            tasks.extend(chunk.tasks)
            sealed = journal.rows_written // config.rows_per_shard
            journal.extend(to_batch([entry.row() for entry in chunk.entries], JOURNAL_SCHEMA))
            if journal.rows_written // config.rows_per_shard > sealed:
                rows.flush()  # they may be few: without it a kill could cost all that their open shard is from
                tasks.flush()
            phase.advance(chunk.tasks.num_rows, kept=rows.rows_written)
            for entry in chunk.entries:
                budget.spend([_as_reward(entry.reason, entry.detail)])
    return seen


def _without_duplicates(chunk: Chunk, seen: Deduplicator, samples: int) -> pa.RecordBatch:
    """The chunk's rows that are like none before; the others' entries say which dialogue they are like."""
    candidates = [entry for entry in chunk.entries if entry.reason is None]
    for entry, found in zip(candidates, chunk.features, strict=True):
        if (duplicate := seen.add(Features.from_bytes(found), entry.number * samples + entry.rollout)) is not None:
            number, rollout = divmod(duplicate.of, samples)
            entry.reason, entry.detail = duplicate.reason, f"of number {number}, rollout {rollout}"
    kept = pa.array([entry.reason is None for entry in candidates], pa.bool_())
    return chunk.rows.filter(kept)


def _remember(config: Synthesize, directory: Path, seen: Deduplicator) -> None:
    """What an earlier process kept is known again: the index is a function of the rows that are there."""
    tasks = _stored(directory / "tasks", config.split)
    task = None
    for row in _stored(directory, config.split):
        while task is None or task["id"] != row["task_id"]:
            task = next(tasks)
        trajectory = from_row(Trajectory, row)
        number = trajectory.metadata["number"] * config.samples + trajectory.rollout
        seen.add(features(trajectory, from_row(Task, task), config.dedup), number)


def _stored(directory: Path, split: str) -> Iterator[dict[str, Any]]:
    """Rows of an unfinished split, in order."""
    for path in Layout(directory, split).sealed():
        for batch in read_batches(path):
            yield from from_batch(batch)


def _as_reward(reason: str | None, detail: str | None) -> Reward:
    """As the error budget takes it: faults count, and nothing else does."""
    is_fault = reason is not None and reason.startswith("fault:")
    return Reward.invalid(f"{reason}: {detail}") if is_fault else Reward(0.0)


def check(config: Synthesize) -> None:
    """The worlds exist and are well formed, users have a voice, models their keys, and benchmarks can be read."""
    check_stream(config.tasks, "tasks")
    if config.policy.kind == "teacher" and config.tasks.domains != ("tool_use",):
        raise UserError("policy.kind: a teacher plays the tasks of tool_use alone; take an oracle, or leave tasks.domains")
    if len(set(config.tasks.worlds)) < len(config.tasks.worlds):
        raise UserError("tasks.worlds: one is named twice, and each of its tasks would be there twice; name each once")
    check_voice(config.voice, "voice")
    check_crew(config)


register(
    "synthesize",
    Synthesize,
    run,
    check=check,
    user_errors=(WorldSpecError, ShardError, UncertifiableError, ErrorBudgetSpentError, StoreError, BenchmarkError, EngineError),
    unfinished=lambda summary: bool(summary["faults"]),
)
