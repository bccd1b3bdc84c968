"""What a worker looks at in some rows of a data set: every check that needs one dialogue and its task, and no other row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.validating.dataset_looked import Looked
from pipelines.validating.dataset_tokens import TokenSettings, open_rendering
from pipelines.validating.dataset_worlds import can_be_executed, dialogue_executed, origin_problems
from rewards.attribution import attribute
from rewards.composition import CompositeReward, RewardConfig
from rewards.verdicts import rubric_verdicts
from rewards.verifiers import verify
from trajectories.checking.dialogue import dialogue_problems
from trajectories.checking.folder import Part
from trajectories.checking.keys import key
from trajectories.checking.outcome import outcome_problems
from trajectories.checking.provenance import provenance_problems
from trajectories.checking.reading import read_part
from trajectories.checking.task_index import TaskIndex
from trajectories.checking.tokens import segment_problems, token_problems
from trajectories.codec import TRAJECTORY_SCHEMA, from_row
from trajectories.decontamination import Decontaminator
from trajectories.deduplication import DedupConfig
from trajectories.formats import standing
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["RowContext", "check_rows", "keys_of_rows"]

Row = dict[str, Any]


@dataclass(frozen=True)
class RowContext:
    """What the rows of one data set are held against."""

    checks: frozenset[str]
    splits: tuple[str, ...]
    """Whose rows say which split they are of."""
    tasks: TaskIndex | None
    """None where the folder has no tasks."""
    rewards: RewardConfig
    """By which the rows were judged."""
    licences: frozenset[str]
    """That the rows may be under; empty for any."""
    tokens: TokenSettings | None
    """None where there is no tokenizer."""
    duplicates: DedupConfig
    decontaminator: Decontaminator | None
    """None where there are no benchmarks."""


def check_rows(context: RowContext, part: Part) -> Looked:
    """Everything about the rows of a part."""
    looked = Looked(part.shard, context.checks)
    for batch in read_part(part, TRAJECTORY_SCHEMA):
        looked.note_damage(batch)
        looked.rows["schema"] += len(batch.rows) + len(batch.unreadable)
        tasks = context.tasks.rows(row["task_id"] for _, row in batch.rows) if context.tasks is not None else {}
        for number, row in batch.rows:
            looked.add_row(number, row)
            if context.tasks is not None and row["task_id"] not in tasks:
                looked.find("schema", number, row["id"], f"its task {row['task_id']} is not under tasks/")
            try:
                trajectory = from_row(Trajectory, row)
            except Exception as error:  # whatever the row holds
                looked.find("schema", number, row["id"], f"does not decode: {type(error).__name__}: {error}")
                continue
            task = _decoded(tasks.get(row["task_id"]))
            for check, what in _problems(context, part, row, trajectory, task, looked):
                looked.find(check, number, row["id"], what)
            if looked.numbers and looked.numbers[-1] == number:
                looked.parents += [(len(looked.ids) - 1, key(parent)) for parent in trajectory.provenance.parents]
                if "duplicates" in context.checks:
                    looked.add_features(trajectory, task, context.duplicates)
    return looked


def keys_of_rows(_: None, part: Part) -> Looked:
    """Only ids and keys: of a data set that another one is compared with."""
    looked = Looked(part.shard)
    for batch in read_part(part, TRAJECTORY_SCHEMA, ("id", "task_id", "rollout", "branch", "messages")):
        looked.note_damage(batch)
        for number, row in batch.rows:
            looked.add_row(number, row)
    return looked


def _decoded(row: Row | None) -> Task | None:
    try:
        return None if row is None else from_row(Task, row)
    except Exception:  # which the checks of the tasks themselves tell
        return None


def _problems(
    context: RowContext, part: Part, row: Row, trajectory: Trajectory, task: Task | None, looked: Looked
) -> Iterator[tuple[str, str]]:
    """(check, what is wrong)."""
    yield from (("schema", what) for what in _identity(trajectory))
    looked.rows["splits"] += 1
    if (said := trajectory.metadata.get("split")) in context.splits and said != part.split:
        yield "splits", f"says that it is of split {said}, and lies in {part.split}"
    looked.rows["messages"] += 1
    yield from (("messages", what) for what in dialogue_problems(row["messages"], row["tools"], trajectory.outcome))
    if "tokens" in context.checks:
        yield from (("tokens", what) for what in _tokens(context, trajectory, looked))
    looked.rows["provenance"] += 1
    yield from (("provenance", what) for what in provenance_problems(trajectory, context.licences))
    if "outcome" in context.checks:
        yield from (("outcome", what) for what in _outcome(context, trajectory, task, looked))
        yield from (("outcome", what) for what in _label(row, trajectory))
    if "certificates" in context.checks and task is not None:
        yield from (("certificates", what) for what in origin_problems(trajectory, task))
    if "contamination" in context.checks and context.decontaminator is not None:
        looked.rows["contamination"] += 1
        if (leak := context.decontaminator.check(trajectory, task)) is not None:
            what = f"holds item {leak.item} of {leak.benchmark} ({leak.kind}, {leak.overlap:.0%})"
            yield "contamination", f"{what}: {leak.evidence}"


def _identity(trajectory: Trajectory) -> Iterator[str]:
    for name in ("id", "task_id"):
        if not getattr(trajectory, name):
            yield f"has no {name}"
    for name in ("rollout", "branch"):
        if (value := getattr(trajectory, name)) is None or value < 0:
            yield f"{name} is {value}"


def _tokens(context: RowContext, trajectory: Trajectory, looked: Looked) -> list[str]:
    if not trajectory.segments:
        looked.left_out["tokens", "have no segments"] += 1
        return []
    looked.rows["tokens"] += 1
    problems = list(segment_problems(trajectory.segments))
    if context.tokens is None:
        looked.left_out["tokens", "were not held against their messages: there is no tokenizer, set tokens.path"] += 1
    elif not problems:
        rendering, vocabulary = open_rendering(context.tokens)
        problems += token_problems(trajectory, rendering, vocabulary)
    return problems


def _outcome(context: RowContext, trajectory: Trajectory, task: Task | None, looked: Looked) -> Iterator[str]:
    outcome = trajectory.outcome
    if outcome is None:
        looked.left_out["outcome", "have no outcome"] += 1
        return
    looked.rows["outcome"] += 1
    yield from outcome_problems(outcome, trajectory.messages, task)
    if task is None:
        looked.left_out["outcome", "have no task, by which they could be judged and executed again"] += 1
        return
    yield from _judged(trajectory, outcome, task, context.rewards)
    if can_be_executed(outcome):
        yield from dialogue_executed(outcome, task)
    else:
        looked.left_out["outcome", "have faults or troubled tools, and were not executed again"] += 1


def _judged(trajectory: Trajectory, outcome: Outcome, task: Task, settings: RewardConfig) -> Iterator[str]:
    """The stored reward, verdicts and blame must be those of the stored outcome."""
    stored = trajectory.reward
    if stored is None:
        return
    try:
        computed = _scored(settings, task, outcome, trajectory, stored)
    except Exception as error:  # an outcome of impossible shape
        yield f"the reward cannot be computed: {type(error).__name__}: {error}"
        return
    for name in ("value", "valid", "cause", "components"):
        one, other = getattr(stored, name), getattr(computed, name)
        if one != other:
            yield f"reward {name} {one!s:.160}; computed again it is {other!s:.160}"
    if tuple(verdict for verdict in trajectory.verdicts if verdict.judge == "rubric") != rubric_verdicts(stored):
        yield "the verdicts of the rubric are not those of the reward's components"
    if "attribution" in trajectory.metadata:
        said, blame = trajectory.metadata["attribution"], attribute(task, outcome, computed)
        if blame != said:
            yield f"attribution {said}; computed again it is {blame}"


def _label(row: Row, trajectory: Trajectory) -> Iterator[str]:
    """Whether the label agrees with the reward and the verdicts."""
    label = trajectory.metadata.get("label")
    if label is None or not row["reward_valid"]:
        return
    if label == "pass" and standing(row) != "pass":
        yield "is labelled a pass, and its reward or a failed verdict says otherwise"
    elif label != "pass" and standing({**row, "metadata": {}}) == "pass":
        yield f"is labelled {label!s:.80}, and nothing speaks against it"


def _scored(settings: RewardConfig, task: Task, outcome: Outcome, trajectory: Trajectory, stored: Reward) -> Reward:
    if stored.valid and "pass" not in stored.components:  # a verifier's own reward, which no settings touched
        return verify(task, outcome)
    return CompositeReward(settings).score(task, outcome, trajectory)
