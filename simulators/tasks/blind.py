"""Cheats that need nothing but the task and its world, whatever the form of its sub-goals: they take its gold and leave out
the looking.

Like the others they are given what only the oracle knows: who says the right answer without looking is stronger than
whoever guesses it, be it by the most frequent value.
"""

from collections.abc import Iterator
from typing import Any

from simulators.tasks import wording
from simulators.tasks.leaks import answers
from simulators.tasks.oracle import Plan
from simulators.worlds import WorldSpec
from trajectories.tasks import GoldCall, Task
from trajectories.words import stands_in

__all__ = ["blind_plans", "idle_calls"]


def blind_plans(task: Task, world: WorldSpec, told: str) -> Iterator[tuple[str, Plan]]:
    """Names and plans of those that this task can be tried with.

    - ``claim``: no call at all, and the oracle's words.
    - ``one_call``: one decision and nothing before it, where what was told beforehand is enough to write it.
    - ``recite``: the oracle, but it answers with everything that any record is or holds.

    Args:
        told: system prompt and opening, which the agent reads before its first turn.
    """
    reply = task.gold.reply
    yield "claim", Plan((), reply)
    last = next((call for call in reversed(task.gold.calls) if call.tool in world.operations), None)
    if last is not None and _decides_blindly(last, world, told):
        yield "one_call", Plan.one_by_one([last], reply)
    if answers(task):
        yield "recite", Plan.one_by_one(task.gold.calls, f"{reply} {', '.join(_everything(task, world))}")


def idle_calls(task: Task, world: WorldSpec) -> Iterator[str]:
    """Changes of the gold that change nothing: what the user wants is so already, and whoever sees that fails."""
    state = world.instantiate(task.seed, task.gold.initialise)
    for call in task.gold.calls:
        operation = world.operations.get(call.tool or "")
        if operation is None:
            continue
        before = state.digest()
        result = state.call(operation.name, call.arguments)
        if operation.changes_state and not result.isError and state.digest() == before:
            yield f"{operation.name} changes nothing"


def _decides_blindly(call: GoldCall, world: WorldSpec, told: str) -> bool:
    """Whether it changes or declines something, and its arguments were told before anything was looked up."""
    operation = world.operations[call.tool or ""]
    decides = operation.changes_state or operation.kind == "decline"
    return decides and all(_is_told(value, told) for value in call.arguments.values())


def _is_told(value: Any, told: str) -> bool:
    """Whether a value, or each of a list, was said, as it is or as people say it; yes and no need not be."""
    if isinstance(value, list | tuple):
        return all(_is_told(item, told) for item in value)
    if value is None or isinstance(value, bool):
        return True
    return any(stands_in(text, told) for text in {str(value), wording.spoken(value)})


def _everything(task: Task, world: WorldSpec) -> dict[str, None]:
    """Every key, and every value that the records hold or could hold by their type, as the oracle would say them."""
    state = world.instantiate(task.seed, task.gold.initialise)
    values: list[Any] = []
    for entity, spec in world.entities.items():
        values += [value for field in spec.fields.values() for value in field.values]
        for key, record in state.records(entity).items():
            values += [key, *record.values()]
    return dict.fromkeys(map(wording.spoken, values))
