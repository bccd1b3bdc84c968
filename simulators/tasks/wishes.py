"""Reads a task back into its sub-goals: what the oracle does for each, and what an agent who errs would do instead.

Only the task and its world are needed, so stored tasks can be played by teachers and cheats without composing them
again.
"""

from dataclasses import dataclass

from simulators.worlds import WorldSpec
from trajectories.tasks import Checkpoint, GoldCall, Task, ToolPattern

__all__ = ["Wish", "wishes"]


@dataclass(frozen=True, slots=True)
class Wish:
    """One sub-goal of a task."""

    finding: tuple[GoldCall, ...]
    """Searches and questions that find the record."""
    read: GoldCall
    decision: GoldCall | None
    """The act or the refusal; None for a question."""
    act: GoldCall | None
    """What the user asked for, allowed or not; None for a question."""
    subject: tuple[str, str] | None
    """The decline tool's argument for the record, and the record's key; None for a question."""
    answer: str | None
    """What is to be said; None unless it is a question."""
    rivals: tuple[str, ...]
    """What must not be said."""

    @property
    def refused(self) -> bool:
        return self.decision is not None and self.decision != self.act

    @property
    def calls(self) -> tuple[GoldCall, ...]:
        return (*self.finding, self.read, *((self.decision,) if self.decision is not None else ()))


def wishes(task: Task, world: WorldSpec) -> tuple[Wish, ...]:
    """The sub-goals of `task`, in the order in which its gold calls do them.

    Raises:
        ValueError: when the gold calls do not have the form that `compose` gives them.
    """
    found, rest = [], list(task.gold.calls)
    for checkpoint in task.rubric.checkpoints:
        finding = []
        while rest and not _is_reading(rest[0], checkpoint):
            finding.append(rest.pop(0))
        if not rest:
            raise ValueError(f"task {task.id}: no gold call reaches checkpoint {checkpoint.name}")
        read = rest.pop(0)
        decides = bool(rest) and rest[0].tool is not None and any(p.tool == rest[0].tool for p in checkpoint.before)
        found.append(_wish(task, world, checkpoint, tuple(finding), read, rest.pop(0) if decides else None))
    if rest:
        raise ValueError(f"task {task.id}: {len(rest)} gold calls after the last checkpoint")
    return tuple(found)


def _is_reading(call: GoldCall, checkpoint: Checkpoint) -> bool:
    pattern = checkpoint.pattern
    return pattern is not None and call.tool == pattern.tool and dict(call.arguments) == dict(pattern.arguments)


def _wish(
    task: Task,
    world: WorldSpec,
    checkpoint: Checkpoint,
    finding: tuple[GoldCall, ...],
    read: GoldCall,
    decision: GoldCall | None,
) -> Wish:
    if decision is None:
        texts = _says(task, checkpoint)
        answer = next((text for text in texts if not text.startswith("not:")), None)
        return Wish(finding, read, None, None, None, answer, tuple(t[4:] for t in texts if t.startswith("not:")))
    declining = [pattern for pattern in checkpoint.before if _kind(world, pattern) == "decline"]
    acting = [pattern for pattern in checkpoint.before if _kind(world, pattern) != "decline"]
    if not declining or not acting:
        raise ValueError(f"task {task.id}: checkpoint {checkpoint.name} names no act and no refusal")
    act = max(acting, key=lambda pattern: len(pattern.arguments))
    subject = next(iter(declining[0].arguments.items()))
    return Wish(finding, read, decision, GoldCall(act.tool, act.arguments), subject, None, ())


def _says(task: Task, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Texts of the criterion with the checkpoint's number."""
    number = checkpoint.name.rpartition("_")[2]
    return next((item.expected for item in task.rubric.criteria if item.name == f"says_{number}"), ())


def _kind(world: WorldSpec, pattern: ToolPattern) -> str:
    return world.operations[pattern.tool].kind
