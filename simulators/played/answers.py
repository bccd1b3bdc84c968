"""What the chat model may answer, and what becomes of it: a new state document, and the tool's result.

An answer is `{"state": ..., "result": ..., "is_error": ...}`. `state` is a JSON merge patch (RFC 7396): members that are
left out stay, null takes one away, so that an answer says no more than what changed and `{}` says that nothing did.
Nothing of an answer that breaks a rule is kept.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp import types

from services.chat import UnusableAnswer
from simulators.mcp.content import from_wire
from simulators.mcp.source import error_result, explained
from simulators.played.checking import SchemaCheck
from simulators.worlds import ToolResult
from trajectories.canonical import canonical_text, canonical_value
from trajectories.messages import ToolSpec

__all__ = ["ANSWER", "OPENING", "Answer", "InvalidAnswer", "check_state", "merge_patch", "read_answer", "read_opening"]

OPENING: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"state": {"type": "object"}},
    "required": ["state"],
    "additionalProperties": False,
}
"""JSON Schema of the answer that opens a session."""

ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"state": {"type": "object"}, "result": {}, "is_error": {"type": "boolean"}},
    "required": ["state", "result", "is_error"],
    "additionalProperties": False,
}
"""JSON Schema of the answer to a call; the tool's own schema of `result` is checked apart, since its references would
break in here."""

_CHECKS: Final = {"opening": SchemaCheck(OPENING), "answer": SchemaCheck(ANSWER)}


class InvalidAnswer(UnusableAnswer):
    """The model broke a rule."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that keeps the rules."""

    state: dict[str, Any]
    """The whole document after the call."""
    result: ToolResult


def read_opening(text: str, max_state_characters: int) -> dict[str, Any]:
    """The opening document that the model wrote.

    Raises:
        InvalidAnswer: it did not write one, or too long a one.
    """
    state = merge_patch({}, _decoded(text, "opening")["state"])
    check_state(state, max_state_characters)
    return state


def read_answer(
    text: str,
    tool: ToolSpec,
    output: SchemaCheck | None,
    state: Mapping[str, Any],
    *,
    max_state_characters: int,
    max_characters: int,
) -> Answer:
    """The answer to a call.

    Args:
        text: what the model wrote.
        output: the tool's `outputSchema`, compiled.
        state: the document before the call; not changed.
        max_state_characters: of the document after it, as canonical JSON.
        max_characters: of what the agent reads; the rest is cut.

    Raises:
        InvalidAnswer: a rule is broken.
    """
    answer = _decoded(text, "answer")
    after = merge_patch(state, answer["state"])
    if canonical_text(after) != canonical_text(dict(state)):
        if answer["is_error"]:
            raise InvalidAnswer("state: a call that ends in an error changes nothing, so state must be {}")
        if (tool.annotations or {}).get("readOnlyHint") is True:
            raise InvalidAnswer(f"state: {tool.name} is read-only and changes nothing, so state must be {{}}")
        check_state(after, max_state_characters)
    return Answer(after, _result(answer, output, max_characters))


def check_state(state: Mapping[str, Any], max_state_characters: int) -> None:
    """The document is no longer than it may be.

    Raises:
        InvalidAnswer: it is.
    """
    length = len(canonical_text(dict(state)))
    if length > max_state_characters:
        raise InvalidAnswer(
            f"state: the document would have {length} characters, and {max_state_characters} at most are allowed"
            " (max_state_characters); keep less in it"
        )


def merge_patch(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The document after the patch, by RFC 7396; neither is changed."""
    after = dict(document)
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        elif isinstance(value, Mapping):
            before = after.get(key)
            after[key] = merge_patch(before if isinstance(before, Mapping) else {}, value)
        else:
            after[key] = value
    return after


def _decoded(text: str, kind: str) -> dict[str, Any]:
    try:
        value = canonical_value(json.loads(text))
        canonical_text(value).encode()  # raises for half of a surrogate pair, which no wire can carry
    except (ValueError, RecursionError) as error:
        raise InvalidAnswer(f"it is not one JSON object and nothing else: {explained(error)}") from error
    problem = _CHECKS[kind].problem(value)
    if problem is not None:
        raise InvalidAnswer(problem)
    return value


def _result(answer: Mapping[str, Any], output: SchemaCheck | None, max_characters: int) -> ToolResult:
    result = answer["result"]
    if answer["is_error"]:
        if not isinstance(result, str) or not result or len(result) > max_characters:
            raise InvalidAnswer(f"result: an error is a text of 1 to {max_characters} characters")
        return error_result(result)
    problem = output.problem(result) if output is not None else None
    if problem is not None:
        raise InvalidAnswer(f"result: it is not as the tool's outputSchema has it: {problem}")
    if isinstance(result, str):
        return from_wire(types.CallToolResult(content=[types.TextContent(text=result)]), max_characters)
    return from_wire(types.CallToolResult(content=[], structured_content=result), max_characters)
