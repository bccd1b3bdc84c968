"""A dialogue as what it says: two that differ in nothing but bookkeeping have the same text.

Not content, and left out: ids, seeds and rollout numbers of the row; ids of calls (which call a result answers is kept, by
its place); the name that a result repeats from its call; key order, white space and the spelling of numbers in JSON; the
order in which tools are declared.
"""

import hashlib
import json
import marshal
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from trajectories.canonical import canonical_text, canonical_value, digest
from trajectories.messages import Message, ToolSpec
from trajectories.tasks import Task

__all__ = ["Turn", "course_of", "dialogue_of", "hashed", "json_or_text", "turns_of"]


class Turn(NamedTuple):
    """One message without its bookkeeping."""

    role: str
    content: str
    """Of a tool, canonical JSON where it is a JSON object or list."""
    calls: tuple[tuple[str, str], ...]
    """Name and arguments, canonical JSON where they are JSON."""
    answers: int | str | None
    """Of a tool: the place of the call among those of the dialogue, or the tool's name where no call has that id."""
    reasoning: str | None


def turns_of(messages: Iterable[Message]) -> list[Turn]:
    """The messages of a dialogue, system prompt included."""
    turns, places, number = [], dict[str, int](), 0
    for message in messages:
        for call in message.tool_calls:
            places[call.id] = number  # of two calls with one id, a result answers the later
            number += 1
        tool = message.role == "tool"
        turns.append(
            Turn(
                message.role,
                json_or_text(message.content) if tool else message.content,
                tuple((call.name, json_or_text(call.arguments)) for call in message.tool_calls),
                places.get(message.tool_call_id or "", message.name) if tool else None,
                message.reasoning_content,
            )
        )
    return turns


def dialogue_of(turns: Sequence[Turn], tools: Iterable[ToolSpec]) -> bytes:
    """16 bytes that are equal for equal dialogues: messages and tools."""
    return hashed([turns, sorted(_tool_digest(tool) for tool in tools)], 16)


def course_of(turns: Iterable[Turn], task: Task | None) -> bytes:
    """8 bytes that are equal for dialogues with the same speakers in turn and the same calls, on tasks with the same tags.

    The tags say what was wanted, where a refusal would hide it: what is declined is done by no call.
    """
    tags = [] if task is None else sorted(task.tags)
    return hashed([tags, [[turn.role, turn.calls] for turn in turns if turn.role != "system"]], 8)


def json_or_text(text: str) -> str:
    """The canonical JSON of `text` where it is a JSON object or list, else `text` itself."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return canonical_text(_decode(text))
    except (ValueError, RecursionError):  # no JSON, NaN, or nested deeper than any parser goes
        return text


def hashed(value: Any, size: int) -> bytes:
    """BLAKE2b of a value of lists, texts and whole numbers."""
    return hashlib.blake2b(canonical_text(value).encode("utf-8", "surrogatepass"), digest_size=size).digest()


def _number(spelling: str) -> float | int:
    value: float | int = canonical_value(float(spelling))
    return value


def _no_number(spelling: str) -> None:
    raise ValueError(f"{spelling} is not a JSON number")


_decode: Final = json.JSONDecoder(parse_float=_number, parse_constant=_no_number).decode
"""What it reads is canonical already: a walk through every value would cost as much again."""


def _tool_digest(tool: ToolSpec) -> str:
    try:
        return _known_tool_digest(marshal.dumps([tool.name, tool.description, tool.inputSchema], 2))
    except ValueError:  # a mapping that is no dict
        return digest(tool.to_openai())


@lru_cache(maxsize=4096)
def _known_tool_digest(marshalled: bytes) -> str:
    """Rows of a world declare the same tools, each of which is read once."""
    name, description, schema = marshal.loads(marshalled)
    return digest(ToolSpec(name, description, schema).to_openai())
