"""The same call again and again, with nothing changed in between.

A call counts as made again when tool and arguments (as canonical JSON) are the same, the answer is the same, and since the
last time neither the user spoke nor did a call that may change something succeed. Calls that met a trouble (`ToolTrouble`) are
not counted: to try again is right.
"""

import json
from collections import Counter
from collections.abc import Collection

from rewards.filters.config import FilterConfig
from rewards.filters.finding import Finding
from trajectories.canonical import canonical_json
from trajectories.messages import ToolCall
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["repeated_call"]


def repeated_call(trajectory: Trajectory, task: Task | None, config: FilterConfig) -> Finding | None:
    messages = trajectory.messages
    times = Counter(call.name for message in messages for call in message.tool_calls)
    if max(times.values(), default=0) < config.max_repeats + 2:
        return None
    troubled = _troubled(trajectory)
    reads = {tool.name for tool in trajectory.tools if (tool.annotations or {}).get("readOnlyHint") is True}
    made: dict[tuple[str, str], tuple[str, int]] = {}  # to the answer, and how often it was given again
    number = -1
    for at, message in enumerate(messages):
        if message.role == "user":
            made.clear()
        for index, call in enumerate(message.tool_calls):
            number += 1
            answer = messages[at + 1 + index].content if at + 1 + index < len(messages) else ""
            key = (call.name, _canonical(call))
            before, repeats = made.get(key, (None, -1))
            if number in troubled:
                if call.name not in reads:
                    made.clear()  # perhaps it was done, and looking again is right
            elif answer == before:
                made[key] = (answer, repeats + 1)
                if repeats + 1 > config.max_repeats:
                    where = f"messages[{at}].tool_calls[{index}]"
                    problem = f"call number {repeats + 2} of its kind, with nothing changed in between"
                    return Finding(where, problem, f"{call.name} {call.arguments}")
            else:
                if call.name not in reads and not answer.startswith('{"error"'):
                    made.clear()
                made[key] = (answer, 0)
    return None


def _troubled(trajectory: Trajectory) -> Collection[int]:
    """Positions of calls that met a trouble; calls are executed in the order in which they are written."""
    outcome = trajectory.outcome
    if outcome is None:
        return ()
    return {number for number, call in enumerate(outcome.calls) if call.trouble is not None}


def _canonical(call: ToolCall) -> str:
    try:
        return canonical_json(json.loads(call.arguments))
    except (ValueError, RecursionError):
        return call.arguments
