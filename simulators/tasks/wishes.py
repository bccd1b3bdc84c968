"""Reads a task back into its sub-goals: what the oracle does for each, and what an agent who errs would do instead.

Only the task and its world are needed, so stored tasks can be played by teachers and cheats without composing them
again. Checkpoints whose names end in the same number belong to one sub-goal, and `before` names what it decides about.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby

from simulators.worlds import WorldSpec
from trajectories.tasks import Checkpoint, GoldCall, Task, ToolPattern

__all__ = ["Wish", "wishes", "without"]


@dataclass(frozen=True, slots=True)
class Wish:
    """One sub-goal of a task, or a change of mind about one."""

    finding: tuple[GoldCall, ...]
    """Searches and questions that find the record; before them the words that hand over, where the wish comes later."""
    looks: tuple[GoldCall, ...]
    """What must come before the decision: readings, the question whether to go on, or, for a change of mind, the words
    that hand over."""
    done: tuple[GoldCall, ...]
    """What is right: acts, or the refusal; nothing for a question, and where the user does not confirm."""
    asked: tuple[GoldCall, ...]
    """What the user asked for, allowed or not; of a branch both sides."""
    subject: tuple[str, str] | None
    """The decline tool's argument for the record, and the record's key; None for a question."""
    refused: bool
    answer: str | None
    """What is to be said; None unless it is a question."""
    rivals: tuple[str, ...]
    """What must not be said."""

    @property
    def read(self) -> GoldCall | None:
        """The reading of the record; None for a change of mind, whose record has been read."""
        return next(iter(self.readings), None)

    @property
    def confirmation(self) -> GoldCall | None:
        """The question whether to go on."""
        return next((call for call in self.looks if call.ask is not None), None)

    @property
    def readings(self) -> tuple[GoldCall, ...]:
        """What is read before the decision."""
        return tuple(call for call in self.looks if call.tool is not None)

    @property
    def act(self) -> GoldCall | None:
        """What the user asked for first; None for a question."""
        return self.asked[0] if self.asked else None

    @property
    def decision(self) -> GoldCall | None:
        """The first act, or the refusal; None where nothing is to be done."""
        return self.done[0] if self.done else None

    @property
    def wrong(self) -> tuple[GoldCall, ...]:
        """What was asked for and is not right."""
        return tuple(call for call in self.asked if call not in self.done)

    @property
    def at_once(self) -> tuple[GoldCall, ...]:
        """What somebody does who neither looks nor asks: all that was asked for, or the first of two sides."""
        return self.asked[:1] if self.branches else self.asked

    @property
    def branches(self) -> bool:
        """Whether one of two acts is right."""
        return bool(self.done) and not self.refused and bool(self.wrong)

    @property
    def calls(self) -> tuple[GoldCall, ...]:
        return (*self.finding, *self.looks, *self.done)


def wishes(task: Task, world: WorldSpec) -> tuple[Wish, ...]:
    """The sub-goals of `task`, in the order in which its gold calls do them.

    Raises:
        ValueError: when the gold calls do not have the form that `compose` gives them.
    """
    found, rest = [], list(task.gold.calls)
    confirmations = {fact.slot for fact in task.ledger.facts if fact.kind == "confirmation"}
    for number, group in groupby(task.rubric.checkpoints, key=_number):
        checkpoints = list(group)
        finding: list[GoldCall] = []
        looks: list[GoldCall] = []
        for checkpoint in checkpoints:
            passed = looks if looks else finding
            while rest and not _reaches(rest[0], checkpoint, confirmations):
                passed.append(rest.pop(0))
            if not rest:
                raise ValueError(f"task {task.id}: no gold call reaches checkpoint {checkpoint.name}")
            looks.append(rest.pop(0))
        deciding = {pattern.tool for checkpoint in checkpoints for pattern in checkpoint.before}
        done = []
        while rest and rest[0].tool in deciding:
            done.append(rest.pop(0))
        found.append(_wish(task, world, number, checkpoints, tuple(finding), tuple(looks), tuple(done)))
    if rest:
        raise ValueError(f"task {task.id}: {len(rest)} gold calls after the last checkpoint")
    return tuple(found)


def without(calls: Iterable[GoldCall], left_out: Collection[GoldCall | None]) -> tuple[GoldCall, ...]:
    """The calls but those that are left out."""
    return tuple(call for call in calls if call not in left_out)


def _number(checkpoint: Checkpoint) -> str:
    return checkpoint.name.rpartition("_")[2]


def _reaches(call: GoldCall, checkpoint: Checkpoint, confirmations: Collection[str]) -> bool:
    """Whether this gold call is the one that the checkpoint speaks of; the user's words confirm, or come when the agent
    hands over."""
    pattern = checkpoint.pattern
    if pattern is None:
        return call.tool is None and (call.ask is None or call.ask in confirmations)
    return call.tool == pattern.tool and dict(call.arguments) == dict(pattern.arguments)


def _wish(
    task: Task, world: WorldSpec, number: str, checkpoints: list[Checkpoint],
    finding: tuple[GoldCall, ...], looks: tuple[GoldCall, ...], done: tuple[GoldCall, ...],
) -> Wish:  # fmt: skip
    before: list[ToolPattern] = []
    for pattern in (pattern for checkpoint in checkpoints for pattern in checkpoint.before):
        if pattern not in before:
            before.append(pattern)
    declining = [pattern for pattern in before if world.operations[pattern.tool].kind == "decline"]
    acting = [pattern for pattern in before if pattern not in declining]
    if not before:
        texts = next((item.expected for item in task.rubric.criteria if item.name == f"says_{number}"), ())
        answer = next((text for text in texts if not text.startswith("not:")), None)
        rivals = tuple(text.removeprefix("not:") for text in texts if text.startswith("not:"))
        return Wish(finding, looks, (), (), None, False, answer, rivals)
    if not declining or not acting:
        raise ValueError(f"task {task.id}: checkpoint {checkpoints[0].name} names no act and no refusal")
    asked = tuple(GoldCall(item.tool, item.arguments) for item in acting if not any(_narrower(other, item) for other in acting))
    refused = bool(done) and done[0].tool == declining[0].tool
    return Wish(finding, looks, done, asked, next(iter(declining[0].arguments.items())), refused, None, ())


def _narrower(pattern: ToolPattern, other: ToolPattern) -> bool:
    """Whether `pattern` says all that `other` says, and more."""
    return pattern != other and pattern.tool == other.tool and pattern.arguments.items() >= other.arguments.items()
