"""OpenAI's fine-tuning lines: ``{"messages": [...], "tools": [...], "parallel_tool_calls": false}``.

Fields as in the API reference's `FineTuneChatRequestInput` and `FineTuneChatCompletionRequestAssistantMessage`
(``weight``, 0 or 1). Arguments are the policy's own text. ``content`` is left out of assistant messages that only call,
where it would be "", and ``name`` out of tool messages, which have none there; ``parallel_tool_calls`` is true where
a message of the dialogue has several calls.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from trajectories.formats.arguments import check_arguments
from trajectories.formats.format import Format, Group, Made, Row, UnsayableError
from trajectories.formats.settings import FormatSettings

__all__ = ["FORMAT"]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_TOOLS = 128


def _make(group: Group, settings: FormatSettings) -> Made:
    (row,) = group.rows
    messages = [json.loads(text) for text in row["messages"]]
    tools = [json.loads(text) for text in row["tools"]]
    _check_tools(tools)
    _check_answers(messages)
    if not any(message["role"] == "assistant" for message in messages):
        raise UnsayableError("there is no assistant message, so nothing to learn")
    unlearnt = _answered_by_errors(row, messages) if settings.openai.weights == "no_errors" else set[int]()
    line: dict[str, Any] = {
        "messages": [_message(message, at in unlearnt, settings) for at, message in enumerate(messages)]
    }
    if tools:
        line["tools"] = tools
        line["parallel_tool_calls"] = any(len(message.get("tool_calls") or ()) > 1 for message in messages)
    return Made(rows=[line])


def _message(message: dict[str, Any], unlearnt: bool, settings: FormatSettings) -> dict[str, Any]:
    check_arguments(message, settings.arguments)
    made = dict(message)
    if made.pop("reasoning_content", None) is not None and settings.reasoning == "refuse":
        raise UnsayableError("there is no place for reasoning_content; details.reasoning=leave_out leaves it out")
    if made["role"] == "tool":
        made.pop("name", None)
    if made["role"] == "assistant":
        if not made["content"]:
            if not made.get("tool_calls"):
                raise UnsayableError("an assistant message has neither content nor calls")
            del made["content"]
        if unlearnt:
            made["weight"] = 0
    return made


def _check_tools(tools: Sequence[dict[str, Any]]) -> None:
    if len(tools) > _MOST_TOOLS:
        raise UnsayableError(f"{len(tools)} tools; OpenAI takes {_MOST_TOOLS}")
    for tool in tools:
        _check_name(tool["function"]["name"])


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UnsayableError(f"the function name {name!r} is not 1 to 64 of a-z, A-Z, 0-9, _ and -")


def _check_answers(messages: Sequence[dict[str, Any]]) -> None:
    """Every call is answered before anybody else speaks, unless the dialogue ends with it."""
    open_calls: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise UnsayableError(f"a tool message answers {message.get('tool_call_id')!r}, which is not open")
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            raise UnsayableError(f"the call {open_calls[0]!r} is not answered")
        for call in message.get("tool_calls") or ():
            _check_name(call["function"]["name"])
            open_calls.append(call["id"])


def _answered_by_errors(row: Row, messages: Sequence[dict[str, Any]]) -> set[int]:
    """Which assistant messages made a call that was answered by an error."""
    made = [at for at, message in enumerate(messages) for _ in message.get("tool_calls") or ()]
    calls = json.loads(row["outcome"])["calls"] if row["outcome"] is not None else []
    if len(made) != len(calls):
        raise UnsayableError(f"{len(made)} calls in the messages, {len(calls)} in the outcome; use openai.weights=all")
    return {at for at, call in zip(made, calls, strict=True) if call["is_error"]}


FORMAT = Format(name="openai", make=_make, columns=("id", "messages", "tools", "outcome"), typed=None, keep="passes")
