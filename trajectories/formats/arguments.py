"""Tool-call arguments as objects, for chat templates, and as text, as the policy wrote them and as OpenAI has them.

Text becomes an object only where nothing is lost but white space and the spelling of numbers: one JSON object, no key
twice, no number that readers of JSON columns cannot hold.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from trajectories.formats.format import UnsayableError
from trajectories.json_text import CodecError, JsonText, json_text

__all__ = ["check_arguments", "exact_object", "with_object_arguments"]


def exact_object(text: str) -> dict[str, Any]:
    """The object that `text` spells.

    Raises:
        ValueError: not JSON, not an object, a key twice, or a number that a JSON column cannot hold.
    """
    value = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__}, not an object")
    json_text(value, "arguments")
    return value


def with_object_arguments(
    messages: Sequence[JsonText], arguments: Literal["refuse", "keep"], row: int = 0
) -> list[JsonText | dict[str, Any]]:
    """The messages with the arguments of every tool call as an object; messages without calls stay unread.

    Raises:
        UnsayableError: arguments that are no exact object, and `arguments` is ``refuse``.
    """
    return [_with_objects(message, arguments, row) if '"tool_calls"' in message else message for message in messages]


def check_arguments(message: Mapping[str, Any], arguments: Literal["refuse", "keep"], row: int = 0) -> None:
    """Raises as `with_object_arguments` does; the text stays the policy's own."""
    if arguments == "refuse":
        for call in message.get("tool_calls") or ():
            _object_or_text(call, arguments, row)


def _with_objects(text: JsonText, arguments: Literal["refuse", "keep"], row: int) -> dict[str, Any]:
    message = json.loads(text)
    for call in message.get("tool_calls") or ():
        call["function"]["arguments"] = _object_or_text(call, arguments, row)
    return message


def _object_or_text(call: Mapping[str, Any], arguments: Literal["refuse", "keep"], row: int) -> Any:
    text = call["function"]["arguments"]
    try:
        return exact_object(text)
    except (ValueError, RecursionError) as error:
        if arguments == "keep":
            return text
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        problem = str(error).removeprefix("arguments")
        raise UnsayableError(
            f"the arguments of {call['id']} are {shown!r} ({problem.strip('.: ')});"
            " details.arguments=keep keeps such text as it is, refused=drop leaves the row out",
            row,
        ) from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is there twice")
    return made


def _refuse_constant(name: str) -> Any:
    raise CodecError(f"JSON has no {name}")
