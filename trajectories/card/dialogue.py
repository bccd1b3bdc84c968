"""Messages and tools of a row in whatever columns it has them: ours, TRL's, verl's, JSON text or structs.

Exports put the same dialogue under other names: as ``messages``; as ``prompt`` with ``completion`` or ``chosen``; as a ``prompt``
alone, where the answer is what training will sample. What they keep in ``extra_info`` and the like is looked for there.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["NESTED", "arguments_of", "as_object", "called_tools", "lifted", "messages_of", "text_of", "tool_name", "tools_of"]

Row = Mapping[str, Any]

NESTED: Final = {
    "extra_info": {"task_id": "task_id", "world": "world", "tools": "tools"},
    "verifier_metadata": {"task_id": "task_id", "world": "world"},
    "responses_create_params": {"input": "prompt", "tools": "tools"},
}
"""Column to the keys in it that mean what our own columns, or ``prompt``, mean."""


def lifted(row: Row) -> dict[str, Any]:
    """The row with what other formats keep inside `NESTED` columns under our own names too."""
    found = dict(row)
    for column, names in NESTED.items():
        if inner := as_object(row.get(column)):
            found.update({ours: inner[theirs] for theirs, ours in names.items() if theirs in inner and found.get(ours) is None})
    return found


def as_object(value: Any) -> Mapping[str, Any]:
    """A JSON object, as text or parsed already; empty where it is anything else."""
    value = _parsed(value)
    return value if isinstance(value, dict) else {}


def messages_of(row: Row) -> list[dict[str, Any]]:
    """The dialogue as OpenAI's messages; text that is no dialogue becomes one message. Empty where the row has none."""
    if row.get("messages") is not None:
        return _messages(row["messages"], "user")
    answer = next((row[name] for name in ("completion", "chosen") if row.get(name) is not None), None)
    spoken = _messages(row.get("prompt"), "user")
    said = _messages(answer, "assistant")
    return said if said[: len(spoken)] == spoken else spoken + said


def tools_of(row: Row) -> list[dict[str, Any]]:
    """The tools that the row declares, as objects."""
    return [item for item in map(_parsed, _items(row.get("tools"))) if isinstance(item, dict)]


def tool_name(tool: Mapping[str, Any]) -> str:
    """Of a tool in OpenAI's or MCP's shape."""
    function = tool.get("function")
    return str((function if isinstance(function, dict) else tool).get("name") or "")


def arguments_of(call: Mapping[str, Any]) -> str:
    """A call's arguments as text; JSON of those that a format keeps as an object."""
    arguments = (call.get("function") or call).get("arguments")
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def called_tools(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the tools that the agent called, in order."""
    return [tool_name(call) for message in messages if "tool_calls" in message for call in message["tool_calls"] or ()]


def _messages(value: Any, role: str) -> list[dict[str, Any]]:
    items = _items(value)
    if isinstance(value, str) and not all(isinstance(item, Mapping) and "role" in item for item in items or [None]):
        return [{"role": role, "content": value}]
    return [_message(item, role) for item in map(_parsed, items)]


def _message(item: Any, role: str) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"role": role, "content": item if isinstance(item, str) else json.dumps(item)}
    message = {key: value for key, value in item.items() if value is not None}
    message["role"] = str(message.get("role") or role)
    message["content"] = text_of(message.get("content"))
    if (calls := message.get("tool_calls")) is not None:
        message["tool_calls"] = [call for call in map(_parsed, _items(calls)) if isinstance(call, Mapping)]
    return message


def text_of(content: Any) -> str:
    """A message's content as text; of one that comes in parts, the text parts."""
    if isinstance(content, list | tuple):
        return "".join(str(part.get("text") or "") if isinstance(part, Mapping) else str(part) for part in content)
    return "" if content is None else str(content)


def _items(value: Any) -> list[Any]:
    value = _parsed(value)
    return list(value) if isinstance(value, list | tuple) else []


def _parsed(value: Any) -> Any:
    """JSON text as its value; what is no JSON array or object, as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
