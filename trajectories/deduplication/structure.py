"""The plan of a dialogue without its values: what two rows share that do the same thing to different records.

World, successful calls in order with each value replaced by its number in order of first appearance, ending. The reason that
a refusal gives stays as it is, for it is a choice; so do true, false and null. A task of another domain than tool_use is a
question: what it asks is its structure too, or all questions that need no tool would have one.
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from trajectories.canonical import canonical_json
from trajectories.deduplication.dialogue import hashed
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["structure_of"]

_TEXT: Final = r'"(?:[^"\\]|\\.)*"'
_KEY_OR_VALUE: Final = re.compile(rf"({_TEXT}:)|{_TEXT}|-?\d[\d.eE+-]*", re.DOTALL)
"""Of canonical JSON; what nests is never walked through, for a policy may nest as deeply as it likes."""


def structure_of(trajectory: Trajectory, task: Task | None) -> bytes:
    """8 bytes that are equal for equal structures.

    Without an outcome every call counts as successful and no ending is known; without a task no tool is known to refuse, and
    a reason is a value as any other.
    """
    provenance, outcome = trajectory.provenance, trajectory.outcome
    world = provenance.world_fingerprint or provenance.world or (task.world if task is not None else "")
    refusing = _refusing_tools(task)
    numbers: dict[str, int] = {}
    plan = [_step(name, arguments, name in refusing, numbers) for name, arguments in _successful_calls(trajectory)]
    asked = [task.ledger.opening] if task is not None and task.domain != "tool_use" else []
    return hashed([world, plan, "" if outcome is None else outcome.ending, *asked], 8)


def _successful_calls(trajectory: Trajectory) -> list[tuple[str, Mapping[str, Any] | str]]:
    if trajectory.outcome is not None:
        return [(call.name, call.arguments) for call in trajectory.outcome.calls if not call.is_error]
    calls = [call for message in trajectory.messages for call in message.tool_calls]
    return [(call.name, _object_or_text(call.arguments)) for call in calls]


def _refusing_tools(task: Task | None) -> set[str]:
    criteria = () if task is None else task.rubric.criteria
    return {tool for criterion in criteria if criterion.kind == "no_refusal" for tool in criterion.expected}


def _step(name: str, arguments: Mapping[str, Any] | str, refuses: bool, numbers: dict[str, int]) -> list[str]:
    """Name, arguments without values, and the reason of a refusal."""

    def numbered(value: str) -> str:
        return f"#{numbers.setdefault(value, len(numbers))}"

    if isinstance(arguments, str):
        return [name, numbered(arguments), ""]
    rest = {key: value for key, value in arguments.items() if not (refuses and key == "reason")}
    reason = _text(arguments["reason"]) if len(rest) < len(arguments) else ""
    return [name, _KEY_OR_VALUE.sub(lambda found: found[1] or numbered(found[0]), _text(rest)), reason]


def _object_or_text(arguments: str) -> Mapping[str, Any] | str:
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


def _text(value: Any) -> str:
    """Canonical JSON, or as Python spells it where it holds NaN; what nests too deep for both has no text of its own."""
    for write in (canonical_json, partial(json.dumps, sort_keys=True)):
        try:
            return write(value)
        except (ValueError, RecursionError):
            continue
    return "[...]"
