"""Are tasks what law 4 says, or, with dataset=DIR, is a data set what its consumers rely on?

Of tasks it counts what certification refuses, and has every probe play every task that it lets through. The two figures rest on
different evidence. Refusals are counted over candidates, before certification filters them. The probes' verdicts (the oracle,
each cheat, mutated oracles) are not those of the certificates: tasks are read back from their stored form and played again in
the actors of an environment pool, with other users' seeds. For data sets see `pipelines.validating.dataset`.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pipelines.cluster import ray_session
from pipelines.errors import UserError
from pipelines.progress import Progress
from pipelines.run_directory import RunDirectory
from pipelines.schema import register
from pipelines.validating.dataset import DatasetChecks, check_dataset, validate_dataset
from pipelines.validating.dataset_report import show
from pipelines.validating.probes import CANDIDATE_SCHEMA, CHUNK, PROBE_SCHEMA, draw_chunks, probe_tasks
from pipelines.validating.report import figures, offences, tables
from simulators.pool import EnvironmentPool, PoolConfig
from simulators.tasks.stream import TaskStream
from simulators.worlds import WorldSpecError, load
from trajectories.decontamination import BenchmarkError
from trajectories.seeds import derive_rng
from trajectories.shard_files import Layout, read_batches
from trajectories.shards import ShardError, ShardWriter, read
from trajectories.tasks import Split

__all__ = ["EvolvedWorlds", "Validate", "validate_tasks"]

_SPLITS: Final = {"candidates": CANDIDATE_SCHEMA, "probes": PROBE_SCHEMA}


@dataclass(frozen=True)
class EvolvedWorlds:
    """Grown worlds beside those of `tasks.worlds`."""

    path: str = "outputs/evolve/latest"
    """The run directory of an `orrery evolve`."""
    count: int = 0
    """How many of its worlds, drawn by the seed; 0 for none."""

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count: must be at least 0, not {self.count}")

    def worlds(self, seed: int) -> tuple[str, ...]:
        """Paths of the drawn worlds, sorted.

        Raises:
            UserError: there are fewer worlds than are wanted.
        """
        paths = sorted(map(str, Path(self.path).glob("worlds/*/*.json"))) if self.count else []
        if len(paths) < self.count:
            raise UserError(f"evolved.path: {self.path} holds {len(paths)} worlds, evolved.count wants {self.count}")
        return tuple(sorted(derive_rng(seed, "evolved worlds").sample(paths, self.count)))


@dataclass(frozen=True, kw_only=True)
class Validate(DatasetChecks):
    """`count` is the number of tasks of the stream, each played by every probe; with `dataset` there is no stream."""

    tasks: TaskStream = field(default_factory=TaskStream)
    """Which tasks."""
    evolved: EvolvedWorlds = field(default_factory=EvolvedWorlds)
    split: Split = "train"
    """Tasks of the two splits are disjoint: train, held_out."""
    rows_per_shard: int = 20_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows_per_shard < 1:
            raise ValueError(f"rows_per_shard: must be at least 1, not {self.rows_per_shard}")
        if self.tasks.domains != ("tool_use",):
            raise ValueError("tasks.domains: only tool_use is probed here; `orrery gym action=certify` does it for the others")

    def stream(self) -> TaskStream:
        """The tasks of all worlds, which take turns."""
        return replace(self.tasks, worlds=(*self.tasks.worlds, *self.evolved.worlds(self.seed)))


def run(config: Validate, run: RunDirectory) -> dict[str, Any]:
    """`orrery validate`."""
    if config.dataset is not None:
        return _run_dataset(config, run)
    progress = Progress(("validate",))
    with ray_session(config.workers):
        asyncio.run(validate_tasks(config, run.path, progress, resume=run.resumed))
    candidates, probes = list(read(run.path, "candidates")), list(read(run.path, "probes"))
    found = offences(probes)
    summary = figures(candidates, probes) | {
        "passed": not found,
        "offences": found[:20],
        "worlds": len(config.stream().worlds),
        "seconds": progress.elapsed,
    }
    print("\n" + tables(summary))
    if found:
        run.write_summary(summary)
        raise UserError(f"{len(found)} {_wrong(config, summary)}")
    return summary


def _run_dataset(config: Validate, run: RunDirectory) -> dict[str, Any]:
    progress = Progress(("files", "tasks", "rows", "sets"))
    with ray_session(config.workers):
        summary = validate_dataset(config, run.path, progress)
    summary["seconds"] = progress.elapsed
    print()
    show(summary)
    if not summary["passed"]:
        run.write_summary(summary)
        raise UserError(_wrong(config, summary))
    return summary


def _wrong(config: Validate, summary: Mapping[str, Any]) -> str:
    """What a failed validation found, in a line."""
    if config.dataset is not None:
        return f"{config.dataset} has {summary['findings']:,} findings; first: {summary['first_findings'][0]}"
    return f"verdicts are not what law 4 wants; first: {summary['offences'][0]}"


async def validate_tasks(config: Validate, directory: Path, progress: Progress, *, resume: bool) -> None:
    """Write ``data/candidates-*.parquet`` and ``data/probes-*.parquet``.

    Needs a running Ray. With `resume`, goes on behind the last number whose rows are all safe.
    """
    done, kept = _safe(directory) if resume else (0, {})
    with (
        progress.phase("validate", total=config.count, unit="tasks") as phase,
        EnvironmentPool(PoolConfig(actors=config.workers)) as environments,
        _writer(config, directory, "candidates", kept) as candidate_rows,
        _writer(config, directory, "probes", kept) as probe_rows,
    ):
        phase.start_from(done)
        chunks = draw_chunks(config.stream(), config.seed, config.split, range(done, config.count), config.workers)
        for candidates, tasks in chunks:
            for row in await probe_tasks(environments, tasks, config.seed):
                probe_rows.append(row)
            for row in candidates:
                candidate_rows.append(row)
            phase.update(min(phase.done + CHUNK, config.count))


def _writer(config: Validate, directory: Path, split: str, kept: dict[str, int]) -> ShardWriter:
    return ShardWriter(
        directory,
        schema=_SPLITS[split],
        rows_per_shard=config.rows_per_shard,
        split=split,
        resume=bool(kept),
        keep_rows=kept.get(split),
    )


def _safe(directory: Path) -> tuple[int, dict[str, int]]:
    """How many numbers are wholly on disk, and how many rows belong to them: those before the last that both splits hold."""
    numbers = {split: list(_numbers(directory, split)) for split in _SPLITS}
    done = min((held[-1] if held else 0) for held in numbers.values())
    return done, {split: sum(number < done for number in held) for split, held in numbers.items()}


def _numbers(directory: Path, split: str) -> list[int]:
    paths = Layout(directory, split).sealed()
    return [number for path in paths for batch in read_batches(path, ["number"]) for number in batch.column("number").to_pylist()]


def check(config: Validate) -> None:
    """Worlds and data sets exist and are well formed; a finished run that found something is not taken for one that passed."""
    if config.dataset is not None:
        check_dataset(config)
    else:
        for world in config.stream().worlds:
            load(world)
    file = Path(config.out or "") / "summary.json"
    if config.resume == "auto" and config.out is not None and file.is_file():
        summary = json.loads(file.read_text())
        if not summary.get("passed", True):
            raise UserError(f"{config.out} is finished: {_wrong(config, summary)}")


register("validate", Validate, run, check=check, user_errors=(WorldSpecError, ShardError, BenchmarkError))
