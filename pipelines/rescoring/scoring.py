"""A span of recorded rollouts, scored anew: by the verifiers and the composition that live rollouts are scored by.

Each answer has one verdict, from which two rewards are composed: by the new settings, and by those of the run itself. The second
must be the recorded reward, bit by bit; where it is not, the row says so. A recorded fault stays that fault, because whatever
broke then is no answer that could be judged now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

import pyarrow as pa

from pipelines.errors import UserError
from pipelines.rescoring.source import Split, group_of, step_of
from rewards.composition import CompositeReward, RewardConfig
from rewards.config import CRITERION, PASS
from rewards.scoring import ScoringConfig, ScoringPool
from rewards.verdicts import rubric_verdicts
from rewards.verifiers import verifier_for
from trajectories.canonical import digest
from trajectories.checking.task_index import TaskIndex
from trajectories.codec import TRAJECTORY_SCHEMA, from_row, to_row
from trajectories.columns import from_batch, to_batch
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["Job", "Span", "difference", "rescored", "rescored_by_a_worker"]

_RUBRIC: Final = "rubric"
_NEW: Final = ("id", "reward", "reward_valid", "reward_detail", "verdicts", "parents", "metadata")
"""Columns that differ from the recorded row's."""
_UNREAD: Final[Mapping[str, Any]] = {
    "branch": 0, "seed": 0, "messages": [], "tools": [], "tool_extras": None, "tool_fingerprints": [], "certificate": None,
    "run_seed": None, "models": {}, "licence": "", "segments": [],
}  # fmt: skip
"""Columns that no reward looks at, and what stands for them; segments only where no setting counts tokens."""

Span = tuple[Split, int, int]
"""Rows from the first number to before the second: whole groups."""


@dataclass(frozen=True)
class Job:
    """How rows are scored anew."""

    tasks: TaskIndex
    rewards: RewardConfig
    recorded: RewardConfig
    """The run's own settings."""
    scoring: ScoringConfig
    stored_verdicts: frozenset[str]
    """Domains whose verdicts are those of the record, where it has one of the same version of the verifier."""
    source: str
    """Digest of the rollouts."""
    settings: str
    """Digest of everything that decides what the new rewards are."""

    @property
    def unread(self) -> dict[str, Any]:
        counts = self.rewards.needs_tokens or self.recorded.needs_tokens
        return {name: value for name, value in _UNREAD.items() if not (counts and name == "segments")}


@lru_cache(maxsize=1)
def _pool(scoring: ScoringConfig) -> ScoringPool:
    return ScoringPool(scoring=scoring)


def rescored_by_a_worker(job: Job, span: Span) -> pa.RecordBatch:
    """`rescored`, in a process that scores many spans one after the other; its scoring processes end with it."""
    return rescored(job, span, _pool(job.scoring))


def rescored(job: Job, span: Span, pool: ScoringPool) -> pa.RecordBatch:
    """The rows of a span with new rewards; everything else as it was recorded, and where the row comes from.

    Raises:
        UserError: a task is not there or not what its id says; a row has no outcome.
        ShardError, CodecError: rows or tasks cannot be read.
    """
    split, start, stop = span
    batch, unread = split.read(start, stop), job.unread
    wanted = [name for name in batch.schema.names if name not in unread]
    rows = [from_row(Trajectory, row | unread) for row in from_batch(batch.select(wanted))]
    tasks = _tasks_of(job, rows)
    verdicts = _verdicts(job, rows, tasks, pool)
    order = sorted(range(len(rows)), key=lambda number: (group_of(rows[number].id), number))
    new: dict[int, dict[str, Any]] = {}
    for name, numbers in groupby(order, key=lambda number: group_of(rows[number].id)):
        members = list(numbers)
        group, judged = [rows[number] for number in members], [verdicts[number] for number in members]
        if len({row.task_id for row in group}) > 1:
            raise UserError(f"run: the rows of group {name} are of different tasks")
        task, step = tasks[group[0].task_id], step_of(group[0].id)
        found, again = (
            CompositeReward(settings).compose_groups([task], group, [verdict for verdict, _ in judged], step=step)
            for settings in (job.rewards, job.recorded)
        )
        for number, row, reward, own, (_, origin) in zip(members, group, found, again, judged, strict=True):
            new[number] = _new_columns(job, row, reward, own, origin)
    schema = pa.schema([TRAJECTORY_SCHEMA.field(name) for name in _NEW])
    made = to_batch([new[number] for number in range(len(rows))], schema, start)
    columns = [made.column(name) if name in _NEW else batch.column(name) for name in TRAJECTORY_SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, schema=TRAJECTORY_SCHEMA)


def difference(recorded: Reward, again: Reward) -> str | None:
    """The first thing in which two rewards differ, to the last bit; None where they do not."""
    if repr(recorded) == repr(again):
        return None
    for name in ("valid", "cause", "grader", "value"):
        if repr(before := getattr(recorded, name)) != repr(now := getattr(again, name)):
            return f"{name}: {before} in the record, {now} now"
    for name in dict.fromkeys((*recorded.components, *again.components)):
        if repr(before := recorded.components.get(name)) != repr(now := again.components.get(name)):
            return f"component {name}: {before} in the record, {now} now"
    return "components: they come in another order now"


def _tasks_of(job: Job, rows: Sequence[Trajectory]) -> dict[str, Task]:
    found = {key: from_row(Task, row) for key, row in job.tasks.rows(row.task_id for row in rows).items()}
    for row in rows:
        if row.task_id not in found:
            raise UserError(f"run: there is no task {row.task_id}, which row {row.id} was played on")
    for key, task in found.items():
        if (now := task.content_id()) != key:
            raise UserError(
                f"run: task {key} was changed: the digest of its content is {now} now, and its rows were not played on that"
            )
    return found


def _verdicts(job: Job, rows: Sequence[Trajectory], tasks: Mapping[str, Task], pool: ScoringPool) -> list[tuple[Reward, str]]:
    """The verdict on each row, and where it is from: ``fault`` or ``stored`` (both the record's), or ``anew``."""
    known = [_known(job, row, tasks[row.task_id]) for row in rows]
    due = []
    for row, verdict in zip(rows, known, strict=True):
        if verdict is None:
            assert row.outcome is not None
            due.append((tasks[row.task_id], row.outcome))
    anew = iter(pool.verdicts(due))
    return [verdict or (next(anew), "anew") for verdict in known]


def _known(job: Job, row: Trajectory, task: Task) -> tuple[Reward, str] | None:
    """What the record says already."""
    if row.reward is None or row.outcome is None:
        raise UserError(f"run: row {row.id} was never scored, or has no outcome that could be")
    if not row.reward.valid:
        return row.reward, "fault"
    grader = f"{task.domain}/{verifier_for(task.domain).version}"
    if task.domain not in job.stored_verdicts or row.reward.grader != grader or PASS not in row.reward.components:
        return None
    criteria = {
        name.removeprefix(CRITERION): value for name, value in row.reward.components.items() if name.startswith(CRITERION)
    }
    return replace(row.reward, value=row.reward.components[PASS], components=criteria), "stored"


def _new_columns(job: Job, row: Trajectory, reward: Reward, own: Reward, origin: str) -> dict[str, Any]:
    assert row.reward is not None
    about = {"source": job.source, "settings": job.settings, "verdict": origin}
    if (differs := difference(row.reward, own)) is not None:
        about["differs"] = differs
    others = tuple(verdict for verdict in row.verdicts if verdict.judge != _RUBRIC)
    name = row.id.partition("@")[0]
    new = replace(
        row,
        id=f"{name}@{digest([row.id, job.source, job.settings])[:12]}",
        reward=reward,
        verdicts=(*rubric_verdicts(reward), *others),
        provenance=replace(row.provenance, parents=(*row.provenance.parents, row.id)),
        metadata={**row.metadata, "rescored": about},
        segments=(),  # these two stay as they are in the batch
        outcome=None,
    )
    made = to_row(new)
    return {column: made[column] for column in _NEW}
