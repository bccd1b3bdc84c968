"""The dialogue as the judge reads it: passages between lines that nothing inside of them can imitate.

Every passage begins with a line that holds a fence, sixteen hexadecimal digits of the digest of all passages. Whoever wrote
one of them could only write that line if he knew a digest of what he writes; where the digits stand in a passage all the same,
the next digest is taken. So a tool's result cannot end itself, and cannot speak as anybody else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

from trajectories.canonical import digest
from trajectories.messages import ToolSpec
from trajectories.trajectory import Trajectory

__all__ = ["Passage", "fence_of", "passages", "read_shown", "shown"]

PassageKind = Literal["tools", "system", "user", "assistant", "call", "result"]

_HEADER: Final = "=={fence}== "
_END: Final = "end"
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of the dialogue: what one party said, one tool call (name and arguments), or one result."""

    kind: PassageKind
    text: str


def passages(trajectory: Trajectory, max_shown: int) -> tuple[Passage, ...]:
    """The tools and the dialogue, and nothing else of the row: no outcome, no reward, no verdicts, no hidden reasoning."""
    return tuple(Passage(item.kind, _cut(_sendable(item.text), max_shown)) for item in _passages(trajectory))


def fence_of(exhibit: Sequence[Passage]) -> str:
    """Digits that stand in no passage."""
    texts = [[item.kind, item.text] for item in exhibit]
    for salt in count():
        fence = digest([salt, texts])[:_DIGITS]
        if not any(fence in item.text for item in exhibit):
            return fence
    raise AssertionError("count() is endless")


def shown(exhibit: Sequence[Passage]) -> str:
    """The passages as one text, which `read_shown` reads back exactly."""
    header = _HEADER.format(fence=fence_of(exhibit))
    parts = [f"{header}{number} {item.kind}\n{item.text}\n" for number, item in enumerate(exhibit)]
    return "".join(parts) + header + _END


def read_shown(text: str) -> tuple[Passage, ...]:
    """The passages of a text that `shown` made."""
    header = text[: len(_HEADER.format(fence="0" * _DIGITS))]
    found = []
    for part in text.split(header)[1:-1]:
        title, _, body = part.partition("\n")
        kind: PassageKind = title.split(" ")[1]  # type: ignore[assignment]
        found.append(Passage(kind, body.removesuffix("\n")))
    return tuple(found)


def _passages(trajectory: Trajectory) -> Iterator[Passage]:
    yield Passage("tools", "\n".join(_described(tool) for tool in trajectory.tools))
    for message in trajectory.messages:
        if message.role == "tool":
            yield Passage("result", message.content)
        elif message.content or not message.tool_calls:
            yield Passage(message.role, message.content)
        for call in message.tool_calls:
            yield Passage("call", f"{call.name} {call.arguments}")


def _described(tool: ToolSpec) -> str:
    changes = "" if (tool.annotations or {}).get("readOnlyHint") is True else " (may change something)"
    return f"- {tool.name}({', '.join(tool.inputSchema.get('properties', {}))}){changes}: {tool.description}"


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters are left out]\n{text[-half:]}"


def _sendable(text: str) -> str:
    """Half of a surrogate pair becomes a question mark: no request can carry it."""
    return text.encode("utf-8", "replace").decode()
