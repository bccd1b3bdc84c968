"""Tasks and demonstrations: certified tasks, played by the oracle or a teacher, judged, written as Parquet shards.

Workers make rows by number and the driver writes them in order, so the shards are the same bytes with any number of
workers and after kill and resume.
"""

import json
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import ray

from pipelines.cluster import ray_session
from pipelines.progress import Progress
from pipelines.run_directory import RunDirectory
from pipelines.schema import Counted, register
from pipelines.voices import UserVoice, check_voice, open_voice
from rewards.attribution import attribute
from rewards.composition import CompositeReward, RewardConfig
from rewards.verdicts import rubric_verdicts
from rewards.verifiers import verifier_for
from rl.rollout.error_budget import ErrorBudget, ErrorBudgetSpentError
from simulators.stochastic import ToolTroubles
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks.stream import TaskStream, UncertifiableError
from simulators.users import AnyVoice
from simulators.worlds import WorldSpecError, load
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA, to_row
from trajectories.rewards import Reward
from trajectories.shard_files import Layout, read_batches, verify_shard
from trajectories.shards import ShardError, ShardWriter, manifest, read
from trajectories.tasks import Split

__all__ = ["Synthesize", "make_dataset"]

_CHUNK = 32  # rows of one call to a worker


@dataclass(frozen=True, kw_only=True)
class Synthesize(Counted):
    """`count` is the number of tasks; each is played once."""

    tasks: TaskStream = field(default_factory=TaskStream)
    """Which tasks."""
    policy: ScriptedPolicy = field(default_factory=ScriptedPolicy)
    """Who plays them."""
    voice: UserVoice = field(default_factory=UserVoice)
    """Who words what users say."""
    troubles: ToolTroubles = field(default_factory=ToolTroubles)
    """How often tools misbehave; never, unless a rate is set."""
    rewards: RewardConfig = field(default_factory=RewardConfig)
    """Who judges, and what the verdict is worth."""
    split: Split = "train"
    """Tasks of the two splits are disjoint: train, held_out."""
    keep: Literal["passes", "all"] = "passes"
    """passes: rejection sampling, only dialogues that solve their task become rows; all: failures too, labelled."""
    error_budget: float = 0.02
    """Share of the episodes that may end by a fault (and eight in any case) before the run stops."""
    licence: str = "Apache-2.0"
    """SPDX identifier of the licence that the rows are under."""
    rows_per_shard: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        ErrorBudget(self.error_budget)
        if self.rows_per_shard < 1:
            raise ValueError(f"rows_per_shard: must be at least 1, not {self.rows_per_shard}")


def run(config: Synthesize, run: RunDirectory) -> dict[str, Any]:
    """`orrery synthesize`."""
    progress = Progress(("synthesize",))
    with ray_session(config.workers):
        summary = make_dataset(config, run.path, progress, resume=run.resumed)
    summary["seconds"] = progress.elapsed
    summary["rows_per_second"] = summary["rows"] / progress.seconds["synthesize"]
    print(
        f"\n{summary['rows']:,} trajectories of {config.count:,} tasks in {summary['shards']} shards"
        f" ({summary['passes'] / config.count:.1%} passed) under {run.shown_path}/data"
    )
    return summary


def make_dataset(config: Synthesize, directory: Path, progress: Progress, *, resume: bool) -> dict[str, Any]:
    """Write ``data/<split>-*.parquet``, and the tasks beside them under ``tasks/``; returns the figures.

    Needs a running Ray. With `resume`, goes on behind the last task whose row and whose dialogue are both safe.
    """
    done, kept = _safe(config, directory) if resume else (0, 0)
    passes, budget = 0, ErrorBudget(config.error_budget)
    with (
        progress.phase("synthesize", total=config.count, unit="tasks") as phase,
        _writer(config, directory, TRAJECTORY_SCHEMA, resume, kept) as rows,
        _writer(config, directory / "tasks", TASK_SCHEMA, resume, done) as tasks,
    ):
        phase.start_from(done)
        for task, trajectory, reward in _made(config, done, open_voice(config.voice, directory)):
            budget.spend([reward])
            is_pass = _is_pass(reward)
            if is_pass or config.keep == "all":
                rows.append(trajectory)
            tasks.append(task)
            passes += is_pass
            phase.advance(pass_rate=passes / (phase.done + 1 - done))
    written = manifest(directory, config.split)
    passed, failed_by = 0, Counter[str]()
    for row in read(directory, config.split, columns=["reward_detail", "metadata"]):
        passed += json.loads(row["reward_detail"])["components"].get("pass") == 1.0
        if (blame := row["metadata"]["attribution"]) is not None:
            failed_by[blame] += 1
    return {
        "rows": written.rows,
        "shards": len(written.shards),
        "tasks": config.count,
        "passes": passed,
        "dropped": {"failed": config.count - written.rows},
        "failed_by": dict(sorted(failed_by.items())),
        "dataset_digest": written.fingerprint(),
    }


def _made(
    config: Synthesize, first: int, voice: AnyVoice | None
) -> Iterator[tuple[dict[str, Any], dict[str, Any], Reward]]:
    """Rows in order of their numbers, a chunk of them at a time per worker."""
    make = ray.remote(num_cpus=1)(_make_rows)
    starts = iter(range(first, config.count, _CHUNK))
    waiting: deque[ray.ObjectRef] = deque()
    for start in starts:
        waiting.append(make.remote(config, start, min(start + _CHUNK, config.count), voice))
        if len(waiting) >= config.workers:
            yield from ray.get(waiting.popleft())
    while waiting:
        yield from ray.get(waiting.popleft())


def _make_rows(
    config: Synthesize, start: int, stop: int, voice: AnyVoice | None
) -> list[tuple[dict[str, Any], dict[str, Any], Reward]]:
    verifier, reward = verifier_for(config.rewards.domain), CompositeReward(config.rewards)
    made = []
    for number in range(start, stop):
        task, trajectory = synthesize(
            number,
            config.tasks,
            config.policy,
            run_seed=config.seed,
            split=config.split,
            verify=verifier.verify,
            troubles=config.troubles,
            voice=voice,
        )
        assert trajectory.outcome is not None
        judged = reward.score(task, trajectory.outcome, trajectory)
        blame = attribute(task, trajectory.outcome, judged)
        about = replace(trajectory.provenance, licence=config.licence)
        trajectory = replace(
            trajectory,
            reward=judged,
            verdicts=rubric_verdicts(judged),
            provenance=about,
            metadata={**trajectory.metadata, "attribution": blame},
        )
        made.append((to_row(task), to_row(trajectory), judged))
    return made


def _is_pass(reward: Reward) -> bool:
    return reward.components.get("pass") == 1.0


def _writer(config: Synthesize, directory: Path, schema: pa.Schema, resume: bool, keep: int) -> ShardWriter:
    return ShardWriter(
        directory,
        schema=schema,
        rows_per_shard=config.rows_per_shard,
        split=config.split,
        resume=resume,
        keep_rows=keep if resume else None,
    )


def _safe(config: Synthesize, directory: Path) -> tuple[int, int]:
    """How many tasks are wholly on disk, and how many dialogues belong to them."""
    numbers = [
        json.loads(text)["number"] if isinstance(text, str) else text["number"]
        for path in Layout(directory, config.split).sealed()
        for batch in read_batches(path, ["metadata"])
        for text in batch.column("metadata").to_pylist()
    ]
    tasks = sum(verify_shard(path) for path in Layout(directory / "tasks", config.split).sealed())
    done = min(tasks, numbers[-1] + 1 if numbers else 0)
    return done, sum(number < done for number in numbers)


def check(config: Synthesize) -> None:
    """The worlds exist and are well formed, and users have a voice."""
    for world in config.tasks.worlds:
        load(world)
    check_voice(config.voice, "voice")


register(
    "synthesize",
    Synthesize,
    run,
    check=check,
    user_errors=(WorldSpecError, ShardError, UncertifiableError, ErrorBudgetSpentError),
)
