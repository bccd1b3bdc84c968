"""Whether stored messages are a dialogue as OpenAI's chat shape has it, which every trainer and chat template takes for granted.

What a policy did wrong is no damage: a call of a tool that does not exist, or with arguments that are no JSON object, is found
only where the world did not answer it with an error.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from trajectories.outcomes import Outcome

__all__ = ["dialogue_problems", "is_dialogue"]

Wire = Mapping[str, Any]

_KEYS: Final[dict[str, tuple[set[str], set[str]]]] = {
    "system": ({"content"}, set()),
    "user": ({"content"}, set()),
    "assistant": ({"content"}, {"tool_calls", "reasoning_content"}),
    "tool": ({"content", "tool_call_id"}, {"name"}),
}
"""By role: keys that a message has beside the role, and those that it may have."""


def dialogue_problems(messages: Sequence[Wire], tools: Sequence[Wire], outcome: Outcome | None) -> Iterator[str]:
    """What is wrong with a dialogue.

    Args:
        messages: in OpenAI's shape, as stored.
        tools: OpenAI's tools list.
        outcome: says which calls ended in an error, and whether the dialogue was cut off; None where nobody knows.
    """
    shapes = [problem for number, message in enumerate(messages) for problem in _shape(number, message)]
    shapes += list(_declarations(tools))
    yield from shapes
    if not messages:
        yield "there are no messages"
    elif not shapes:
        yield from _turns(messages, outcome)
        yield from _calls(messages, {tool["function"]["name"] for tool in tools}, outcome)


def is_dialogue(messages: Any) -> bool:
    """Whether each message has OpenAI's shape, whatever their order."""
    return isinstance(messages, list) and not any(_shape(number, message) for number, message in enumerate(messages))


def _shape(number: int, message: Wire) -> list[str]:
    return list(_shape_problems(number, message))


def _shape_problems(number: int, message: Wire) -> Iterator[str]:
    role = message.get("role") if isinstance(message, Mapping) else None
    if not isinstance(role, str) or role not in _KEYS:
        yield f"message {number}: role {role!r} is none of {', '.join(_KEYS)}"
        return
    required, optional = _KEYS[role]
    keys = set(message) - {"role"}
    if missing := sorted(required - keys):
        yield f"message {number} ({role}): lacks {', '.join(missing)}"
    if unknown := sorted(keys - required - optional):
        yield f"message {number} ({role}): has {', '.join(unknown)}, which such a message has not"
    for key in sorted((keys & (required | optional)) - {"tool_calls"}):
        if not isinstance(message[key], str):
            yield f"message {number} ({role}): {key} is {type(message[key]).__name__}, not a string"
    calls = message.get("tool_calls", ())
    for call in calls if isinstance(calls, list | tuple) else [None]:
        if not _is_call(call):
            yield f"message {number} ({role}): {str(call)[:80]} is no tool call of OpenAI's shape"


def _is_call(call: Any) -> bool:
    if not isinstance(call, Mapping) or set(call) != {"id", "type", "function"} or call["type"] != "function":
        return False
    function = call["function"]
    return (
        isinstance(call["id"], str)
        and isinstance(function, Mapping)
        and set(function) == {"name", "arguments"}
        and all(isinstance(value, str) for value in function.values())
    )


def _declarations(tools: Sequence[Wire]) -> Iterator[str]:
    seen = set()
    for number, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            yield f"tool {number} has not OpenAI's shape"
            continue
        if not isinstance(function.get("parameters"), Mapping):
            yield f"tool {number} ({function['name']}): its parameters are no JSON schema"
        if function["name"] in seen:
            yield f"tool {number}: {function['name']} is declared twice"
        seen.add(function["name"])


def _turns(messages: Sequence[Wire], outcome: Outcome | None) -> Iterator[str]:
    """Who speaks when, and which result answers which call."""
    if messages[0]["role"] != "system":
        yield f"message 0 is of role {messages[0]['role']}; the system prompt comes first"
    seen: set[str] = set()
    due: list[Wire] = []
    for number, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            yield from _result(number, message, due)
            continue
        if due:
            yield f"message {number}: {role} speaks before {_ids(due)} has a result"
            due = []
        if role == "system" and number:
            yield f"message {number}: a system prompt within the dialogue"
        elif number and messages[number - 1]["role"] == role:
            yield f"message {number}: {role} speaks twice"
        elif number == 1 and role == "assistant":
            yield "message 1: the assistant speaks before the user"
        for call in message.get("tool_calls") or ():
            if call["id"] in seen:
                yield f"message {number}: the call id {call['id']} was used before"
            seen.add(call["id"])
            due.append(call)
    if due and not (outcome is not None and outcome.ending in ("token_limit", "malformed", "fault")):
        yield f"{_ids(due)} has no result, and the dialogue was not cut off"


def _result(number: int, message: Wire, due: list[Wire]) -> Iterator[str]:
    call = next((call for call in due if call["id"] == message["tool_call_id"]), None)
    if call is None:
        yield f"message {number}: a result of {message['tool_call_id']}, for which no call waits"
        return
    if call is not due[0]:
        yield f"message {number}: the result of {call['id']} where that of {due[0]['id']} is due"
    if message.get("name", call["function"]["name"]) != call["function"]["name"]:
        yield f"message {number}: the result is named {message['name']}, its call {call['function']['name']}"
    due.remove(call)


def _calls(messages: Sequence[Wire], declared: set[str], outcome: Outcome | None) -> Iterator[str]:
    records = () if outcome is None else outcome.calls
    calls = [(number, call) for number, message in enumerate(messages) for call in message.get("tool_calls") or ()]
    for index, (number, call) in enumerate(calls):
        executed = outcome is None or index < len(records)
        if not executed or (outcome is not None and records[index].is_error):
            continue
        function = call["function"]
        if function["name"] not in declared:
            yield f"message {number}: {call['id']} calls {function['name']}, which is not declared"
        try:
            arguments = json.loads(function["arguments"])
        except (ValueError, RecursionError) as error:
            yield f"message {number}: the arguments of {call['id']} are no JSON: {error}"
            continue
        if not isinstance(arguments, dict):
            yield f"message {number}: the arguments of {call['id']} are {type(arguments).__name__}, not an object"


def _ids(calls: Sequence[Wire]) -> str:
    return ", ".join(call["id"] for call in calls)
