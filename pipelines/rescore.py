"""Recorded rollouts scored anew: what other reward settings would change, before anybody pays for rollouts under them.

Rewards, rankings inside groups and advantages are shown before and after. Nothing is rolled out, and no simulator runs: a
recorded outcome is all that a verifier looks at. Under the run's own settings the recorded rewards must come out again, bit by
bit; that is looked at in every run of this command, whatever settings it is asked about.
"""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.cluster import in_order, ray_session
from pipelines.errors import UserError
from pipelines.progress import Progress
from pipelines.report import table
from pipelines.rescoring.comparison import Comparison, pairs_of
from pipelines.rescoring.report import told_check, write_report
from pipelines.rescoring.scoring import Job, Span, rescored, rescored_by_a_worker
from pipelines.rescoring.source import Rollouts, Split, read_rollouts
from pipelines.run_directory import RunDirectory
from pipelines.schema import Command, register
from pipelines.structured import plain
from rewards.composition import RewardConfig
from rewards.scoring import ScoringConfig, ScoringPool
from rewards.verifiers import VERIFIERS
from rl.rollout.error_budget import ErrorBudget, ErrorBudgetSpentError
from trajectories import shards
from trajectories.canonical import digest
from trajectories.codec import TASK_SCHEMA, CodecError
from trajectories.columns import from_batch
from trajectories.rewards import Reward
from trajectories.shard_files import Layout, ShardError, read_batches, replace_file
from trajectories.shards import ShardWriter

__all__ = ["Rescore"]

_SPAN = 256
"""Rows that are scored at a time, and what is left of the last group."""


@dataclass(frozen=True, kw_only=True)
class Rescore(Command):
    run: str = "outputs/train/latest"
    """Directory of a run of train, quickstart or evaluate, or of a rescoring."""
    rollouts: str = "rollouts"
    """Where in it the rollouts are: rollouts; of a quickstart also examined/before and examined/after."""
    splits: tuple[str, ...] = ()
    """Which splits of them; empty: all."""
    rewards: RewardConfig = field(default_factory=RewardConfig)
    """The settings that are asked about."""
    advantage_scale: Literal["run", "none", "std"] = "run"
    """run: as the run's own advantages; none: r - r_bar; std: divided by the group's standard deviation."""
    stored_verdicts: tuple[str, ...] = ("code",)
    """Domains whose verdicts are taken from the record: those that a sandbox or much time is needed for. All others are judged
    anew."""
    changed: Literal["refuse", "accept"] = "refuse"
    """What to do where a world or a verifier is no longer as it was when the rollouts were scored: refuse, naming it; or judge
    by what there is now."""
    scoring: ScoringConfig = field(default_factory=lambda: ScoringConfig(workers=1))
    """Of each of the `workers`: how verdicts that take their time are computed."""
    error_budget: float = 0.02
    """Share of the rollouts that may lose their reward by a fault of the new scoring before the run stops."""
    top: int = 10
    """Groups that are named because they change most."""
    rows_per_shard: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("top", "rows_per_shard"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")
        if unknown := [name for name in self.stored_verdicts if name not in VERIFIERS]:
            raise ValueError(f"stored_verdicts: no domain {unknown[0]!r}; there are: {', '.join(sorted(VERIFIERS))}")
        ErrorBudget(self.error_budget)

    @property
    def settings_digest(self) -> str:
        """Of what decides the new rewards."""
        return digest({"rewards": plain(self.rewards), "stored_verdicts": sorted(self.stored_verdicts)})


def run(config: Rescore, run: RunDirectory) -> dict[str, Any]:
    """`orrery rescore`."""
    progress = Progress(("look", "score", "compare", "report"))
    with progress.phase("look"):
        source = _source(config)
        _note_source(run, source)
        _copy_tasks(source, run.path / "rollouts" / "tasks")
    with progress.phase("score", sum(split.rows for split in source.splits), "rollouts") as phase:
        budget, done = ErrorBudget(config.error_budget), 0
        with ray_session(config.workers) if config.workers > 1 else nullcontext():
            for split in source.splits:
                with _writer(config, run, split) as writer:
                    phase.start_from(done + writer.rows_written)
                    for batch in _rescored(config, source, split, writer.rows_written):
                        budget.spend(_fates(batch))
                        writer.extend(batch)
                        phase.update(done + writer.rows_written, faults=budget.invalid)
                done += split.rows
    scale = source.scale if config.advantage_scale == "run" else config.advantage_scale
    comparison = Comparison(scale, config.top)
    with progress.phase("compare", done, "rollouts") as phase:
        for split in source.splits:
            after = _written(run.path / "rollouts", split)
            for start, stop in split.spans(0, _SPAN):
                comparison.add(pairs_of(split, after, start, stop))
                phase.advance(stop - start)
    with progress.phase("report"):
        summary = {
            "run": config.run,
            "rollouts": config.rollouts,
            "splits": {split.name: split.rows for split in source.splits},
            "source": source.digests,
            "settings": config.settings_digest,
            "advantage_scale": scale,
            "changed": list(source.changed),
            **comparison.summary(config.seed),
        }
        write_report(run.path, comparison, summary)
    _print(summary, run)
    return summary | {"phases": progress.seconds, "seconds": progress.elapsed}


def _rescored(config: Rescore, source: Rollouts, split: Split, first: int) -> Iterator[pa.RecordBatch]:
    """The rows from `first` on, in order."""
    job = Job(
        tasks=source.tasks,
        rewards=config.rewards,
        recorded=source.rewards,
        scoring=config.scoring,
        stored_verdicts=frozenset(config.stored_verdicts),
        source=source.digests[split.name],
        settings=config.settings_digest,
    )
    spans: Iterator[Span] = ((split, start, stop) for start, stop in split.spans(first, _SPAN))
    if config.workers > 1:
        yield from in_order(rescored_by_a_worker, job, spans, config.workers)
        return
    with ScoringPool(scoring=config.scoring) as pool:
        for span in spans:
            yield rescored(job, span, pool)


def _writer(config: Rescore, run: RunDirectory, split: Split) -> ShardWriter:
    """Goes on behind the last whole group that is safe."""
    directory = run.path / "rollouts"
    keep = split.last_cut(shards.resume(directory, split.name))
    return ShardWriter(directory, rows_per_shard=config.rows_per_shard, split=split.name, resume=True, keep_rows=keep)


def _written(directory: Path, split: Split) -> Split:
    paths = Layout(directory, split.name).finished_shards()
    ends = tuple(accumulate(pq.read_metadata(path).num_rows for path in paths))
    return replace(split, paths=tuple(map(str, paths)), ends=ends)


def _fates(batch: pa.RecordBatch) -> Iterator[Reward]:
    """Of the rows that had a reward in the record: the new one, as far as an error budget looks at it."""
    for row in from_batch(batch.select(["reward", "reward_valid", "reward_detail", "metadata"])):
        if row["metadata"]["rescored"]["verdict"] != "fault":
            cause = json.loads(row["reward_detail"])["cause"]
            yield Reward(row["reward"]) if row["reward_valid"] else Reward.invalid(cause)


def _note_source(run: RunDirectory, source: Rollouts) -> None:
    """A rescoring goes on only with the rollouts that it was begun with."""
    path, digests = run.file("source.json"), source.digests
    if not path.is_file():
        replace_file(path, json.dumps(digests, indent=1) + "\n")
    elif json.loads(path.read_text()) != digests:
        raise UserError(f"run: {source.directory} has other rollouts than when {run.path} was begun; choose another directory")


def _copy_tasks(source: Rollouts, directory: Path) -> None:
    """Beside the new rows, which can be scored again from there."""
    for split in source.splits:
        tasks = source.directory / "tasks"
        if (tasks / f"{split.name}.manifest.json").is_file() and not (directory / f"{split.name}.manifest.json").is_file():
            with ShardWriter(directory, schema=TASK_SCHEMA, split=split.name, resume=True, keep_rows=0) as writer:
                for path in Layout(tasks, split.name).finished_shards():
                    for batch in read_batches(path):
                        writer.extend(pa.RecordBatch.from_arrays(batch.columns, schema=TASK_SCHEMA))


def _print(summary: dict[str, Any], run: RunDirectory) -> None:
    components, ranking, advantages = (summary[key] for key in ("components", "ranking", "advantages"))
    rows = [
        ["mean reward", _shown(components["reward"]["before"]), _shown(components["reward"]["after"])],
        ["groups without signal", _shown(advantages["no_signal_before"]), _shown(advantages["no_signal_after"])],
    ]
    print("\n" + table(["", "before", "after"], rows))
    print(f"\nshare of groups whose ranking changes: {_shown(ranking['changed'])}")
    print(f"share of groups whose best responses are others: {_shown(ranking['best_changed'])}")
    print(told_check(summary).replace("**", "").replace("`", ""))
    print(f"read {run.shown_path}/report.md")


def _shown(estimate: dict[str, Any]) -> str:
    if estimate["mean"] is None:
        return "none"
    low, high = estimate["ci95"]
    return f"{estimate['mean']:.3f} ({low:.3f} to {high:.3f})"


def _source(config: Rescore) -> Rollouts:
    source = read_rollouts(config.run, config.rollouts, config.splits)
    if source.changed and config.changed == "refuse":
        raise UserError(
            f"run: {source.changed[0]}: rewards before and after would not compare; changed=accept scores by what there is now"
        )
    if (key := config.rewards.needs_tokens) is not None and not source.has_tokens:
        raise UserError(f"rewards.{key}: counts tokens, and {source.directory} holds none; set it to 0")
    return source


def check(config: Rescore) -> None:
    """The rollouts are there, with all that scoring them needs."""
    _source(config)


register("rescore", Rescore, run, check=check, user_errors=(CodecError, ErrorBudgetSpentError, ShardError))
