"""The work of one worker: tasks of some numbers, played, judged and looked at, as Arrow batches.

A pure function of settings and numbers (what live models say is recorded), so who makes which chunk, and when, changes
nothing. What depends on the rows before (duplicates) is left to the driver.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.synthesis.journal import Entry
from rewards.attribution import attribute
from rewards.composition import CompositeReward
from rewards.filters import rule_verdicts
from rewards.judge import Judge, Judgement
from rewards.verdicts import rubric_verdicts
from rewards.verifiers import verify
from rewards.verifiers.faithfulness import JudgedFaithfulness
from services.chat import ChatModel, wait_for
from simulators.synthesis import about, converse, demonstrate
from simulators.users.spoken import SpokenVoice
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA, to_row
from trajectories.columns import to_batch
from trajectories.decontamination import Decontaminator
from trajectories.deduplication import features
from trajectories.outcomes import Fault
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory, Verdict

if TYPE_CHECKING:
    from pipelines.synthesize import Synthesize

__all__ = ["Chunk", "Crew", "draw_tasks", "judge_chunk", "make_chunk"]

Played = tuple[int, Task, Sequence[Trajectory]]
"""A number, its task, and the dialogues on it in the order of their rollouts."""


@dataclass(frozen=True)
class Crew:
    """Who takes part besides programs; None for those who do not."""

    voice: SpokenVoice | None = None
    policy: ChatModel | None = None
    judge: Judge | None = None
    faithfulness: JudgedFaithfulness | None = None
    decontaminator: Decontaminator | None = None

    @property
    def waits(self) -> bool:
        """Whether a dialogue waits for models, so that many should be under way at once."""
        return any(each is not None for each in (self.voice, self.policy, self.judge, self.faithfulness))


@dataclass(frozen=True)
class Chunk:
    """What came of some numbers, in order."""

    tasks: pa.RecordBatch
    """One row for each number."""
    entries: list[Entry]
    """One for each dialogue; those without a reason are candidates for the data set."""
    rows: pa.RecordBatch
    """One row for each candidate."""
    features: list[bytes]
    """Of each candidate, for deduplication."""


def make_chunk(config: "Synthesize", crew: Crew, numbers: Sequence[int]) -> Chunk:
    """Everything: tasks, dialogues of a scripted policy or of one behind a chat model, judgement."""

    def made(number: int) -> tuple[Task, list[tuple[Trajectory, Entry]]]:
        task = _task(config, number)
        return task, _judged(config, crew, (number, task, [_play(config, crew, task, i) for i in range(config.samples)]))

    return _chunk(config, _over(made, numbers, config.in_flight if crew.waits else 1))


def draw_tasks(config: "Synthesize", numbers: Sequence[int]) -> list[tuple[int, Task]]:
    """The tasks alone, for a policy that plays elsewhere."""
    return [(number, _task(config, number)) for number in numbers]


def judge_chunk(config: "Synthesize", crew: Crew, played: Sequence[Played]) -> Chunk:
    """The judgement alone, of dialogues that an engine played."""

    def made(item: Played) -> tuple[Task, list[tuple[Trajectory, Entry]]]:
        number, task, dialogues = item
        return task, _judged(config, crew, (number, task, [_named(task, dialogue) for dialogue in dialogues]))

    return _chunk(config, _over(made, played, config.in_flight if crew.waits else 1))


def _over(make: Callable, items: Sequence, width: int) -> Iterable:
    """`make` of each item, in order, so many at once."""
    if width == 1:
        yield from map(make, items)
        return
    with ThreadPoolExecutor(width) as threads:
        yield from threads.map(make, items)


def _task(config: "Synthesize", number: int) -> Task:
    return config.tasks.task(number, run_seed=config.seed, split=config.split, verify=verify)


def _play(config: "Synthesize", crew: Crew, task: Task, rollout: int) -> Trajectory:
    extras: Any = {"run_seed": config.seed, "rollout": rollout, "troubles": config.troubles, "voice": crew.voice}
    if crew.policy is not None:
        return converse(task, crew.policy, config.policy.chat.turns, **extras)
    return demonstrate(task, config.policy, **extras)


def _named(task: Task, dialogue: Trajectory) -> Trajectory:
    """An engine's dialogue, with the id and the words about it that all rows have."""
    assert dialogue.outcome is not None
    said = about(task, dialogue.outcome) | {"policy": "engine"}
    return replace(dialogue, id=f"{task.id}-{dialogue.rollout}", metadata={**dialogue.metadata, **said})


def _judged(config: "Synthesize", crew: Crew, played: Played) -> list[tuple[Trajectory, Entry]]:
    number, task, dialogues = played
    judged = [_judge(config, crew, number, task, dialogue) for dialogue in dialogues]
    _keep_to_band(config, judged)
    for trajectory, entry in judged:
        if entry.reason is None and crew.decontaminator is not None:
            leak = crew.decontaminator.check(trajectory, task)
            if leak is not None:
                entry.reason, entry.detail = "contaminated", f"{leak.benchmark} {leak.item}: {leak.kind} {leak.overlap:.2f}"
    return judged


def _judge(
    config: "Synthesize", crew: Crew, number: int, task: Task, trajectory: Trajectory
) -> tuple[Trajectory, Entry]:
    """Programs first: the rubric's verdict, then the rules, and a judge model only where these found nothing."""
    outcome = trajectory.outcome
    assert outcome is not None
    reward = CompositeReward(config.rewards).score(task, outcome, trajectory)
    trajectory = replace(trajectory, reward=reward)
    blame = attribute(task, outcome, reward)
    entry = Entry(number, trajectory.rollout, trajectory.id, task.id, None, None, None, blame)
    verdicts = (*rubric_verdicts(reward), *rule_verdicts(trajectory, task, config.filters))
    models = dict(trajectory.provenance.models)
    if crew.voice is not None and sum(message.role == "user" for message in trajectory.messages) > 1:
        models["user"] = crew.voice.name  # the opening is the task's own
    is_disliked = False
    if not reward.valid:
        entry.reason = f"fault:{outcome.faults[0].source if outcome.faults else 'infrastructure'}"
        entry.detail = reward.cause
    elif config.judge.rubric.rows == "all" or not _failed(verdicts):
        for judge, judgement in _judgements(config, crew, task, trajectory, reward):
            if not config.judge.scripted:
                models["judge"] = judge
            verdicts += judgement.verdicts
            is_disliked |= judgement.passed is False
            if judgement.fault is not None:
                entry.reason, entry.detail = f"fault:{judgement.fault.source}", judgement.fault.message
                break
    if entry.reason is None:
        entry.label, why = _label(reward, verdicts, is_disliked)
        entry.reason = None if _is_wanted(config.keep, entry.label) else why
    metadata = {"number": number, **trajectory.metadata, "label": entry.label, "attribution": blame}
    provenance = replace(trajectory.provenance, licence=config.licence, models=models)
    return replace(trajectory, verdicts=verdicts, provenance=provenance, metadata=metadata), entry


def _judgements(
    config: "Synthesize", crew: Crew, task: Task, trajectory: Trajectory, reward: Reward
) -> Iterator[tuple[str, Judgement]]:
    """What models say, with their names: of the rubric, then of the last reply sentence by sentence."""
    if crew.judge is not None and crew.judge.wants(trajectory):
        yield crew.judge.name, wait_for(crew.judge.judge(task, trajectory))
    if crew.faithfulness is not None and (config.judge.rubric.rows == "all" or is_pass(reward)):
        assert trajectory.outcome is not None
        found, name = crew.faithfulness.verify(task, trajectory.outcome), crew.faithfulness.name
        if not found.valid:
            yield name, Judgement(None, fault=Fault("judge", (found.cause or "").removeprefix("judge: ")))
            return
        passed = found.value == 1.0
        why = found.cause or "every sentence that claims something is supported"
        yield name, Judgement(passed, (Verdict(name, "faithfulness", "pass" if passed else "fail", why),))


def _label(reward: Reward, verdicts: Sequence[Verdict], is_disliked: bool) -> tuple[str, str | None]:
    """What a judged dialogue is, and the reason to drop it where only passes are wanted. What the judge's rubric does not
    insist on may fail in a pass."""
    failed = _failed(verdicts)
    rules = [name for name in failed if name.startswith("rule:")]
    if is_pass(reward) and not rules and not is_disliked:
        return "pass", None
    why = "failed" if not is_pass(reward) else rules[0] if rules else "judge"
    passed = sum(verdict.verdict == "pass" for verdict in verdicts)
    return ("near_miss" if passed > len(failed) else "failure"), why


def is_pass(reward: Reward) -> bool:
    """Whether the verifier's own verdict, whatever settings add to it, is a pass."""
    return reward.components.get("pass") == 1.0


def _failed(verdicts: Iterable[Verdict]) -> list[str]:
    return [
        f"rule:{verdict.criterion}" if verdict.judge == "rules" else verdict.criterion
        for verdict in verdicts
        if verdict.verdict == "fail"
    ]


def _is_wanted(keep: str, label: str) -> bool:
    return label == "pass" or keep == "all" or (keep == "near_misses" and label == "near_miss")


def _keep_to_band(config: "Synthesize", judged: Sequence[tuple[Trajectory, Entry]]) -> None:
    """Tasks outside of the difficulty band lose all their dialogues."""
    verdicts = [is_pass(t.reward) for t, _ in judged if t.reward is not None and t.reward.valid]
    if not verdicts:
        return
    rate = sum(verdicts) / len(verdicts)
    reason = "too_hard" if rate < config.band.least else "too_easy" if rate > config.band.most else None
    for _, entry in judged:
        if reason is not None and entry.reason is None:
            entry.reason, entry.detail = reason, f"pass rate {rate:.2f} of {len(verdicts)}"


def _chunk(config: "Synthesize", made: Iterable[tuple[Task, list[tuple[Trajectory, Entry]]]]) -> Chunk:
    tasks, entries, rows, found = [], [], [], []
    for task, judged in made:
        tasks.append(to_row(task))
        for trajectory, entry in judged:
            entries.append(entry)
            if entry.reason is None:
                rows.append(to_row(trajectory))
                found.append(features(trajectory, task, config.dedup).to_bytes())
    return Chunk(to_batch(tasks, TASK_SCHEMA), entries, to_batch(rows, TRAJECTORY_SCHEMA), found)
