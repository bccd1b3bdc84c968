"""Parts of the grammar that holds a turn's tool calls to the declared tools (the enforcer of Kimi K2, arXiv 2507.20534).

Grammars are Lark as llguidance reads it. Special tokens stand in them by id and never by spelling, so that no text can
pass for markup, and free text is every other token, whatever it spells.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from trajectories.canonical import canonical_json
from trajectories.messages import ToolSpec

__all__ = ["MOST_CALLS", "arguments_rules", "enforceable", "literal", "token_set"]

MOST_CALLS = 8
"""Calls of one turn that a grammar has room for: every turn's grammar is compiled anew, and costs by its length."""

_LARGEST = 10**15
"""Bound of numbers that a schema leaves unbounded: read by any JSON reader without loss, and they come to an end."""

_SPACING = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
"""Compact JSON, or a space after commas and colons. With any white space allowed, a policy could write it for ever."""


def token_set(ids: Iterable[int]) -> str:
    """One token out of `ids`, as ranges."""
    ranges: list[list[int]] = []
    for token in sorted(set(ids)):
        if ranges and ranges[-1][1] == token - 1:
            ranges[-1][1] = token
        else:
            ranges.append([token, token])
    return "<[" + ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges) + "]>"


def literal(text: str) -> str:
    """Exactly this text, however it is cut into tokens."""
    return json.dumps(text, ensure_ascii=False)


def arguments_rules(tools: Iterable[ToolSpec]) -> list[str]:
    """A rule ``arguments_N`` for each tool.

    Raises:
        ValueError: for a schema that cannot be enforced; names the tool.
    """
    rules = []
    for index, tool in enumerate(tools):
        try:
            rules.append(f"arguments_{index}: {_arguments(json.dumps(dict(tool.inputSchema)))}")
        except ValueError as error:
            raise ValueError(f"the arguments of tool {tool.name} cannot be held to a grammar: {error}") from error
    return rules


@lru_cache(maxsize=4096)
def _arguments(schema: str) -> str:
    from llguidance import LLMatcher

    declared = enforceable(json.loads(schema)) | {"x-guidance": _SPACING}
    orders = [json.dumps(declared, ensure_ascii=False)]
    names = list(declared.get("properties") or ())
    if names != sorted(names):
        # A grammar has one order of properties: as declared, which models tend to follow, or sorted, as teachers here write.
        orders.append(canonical_json(declared))
    written = " | ".join(f"%json {order}" for order in orders)
    if problem := LLMatcher.validate_grammar(f"start: {written}"):
        raise ValueError(problem.splitlines()[0])
    return written


_VALUES = frozenset({"const", "enum", "default", "examples"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_COMPOSED = frozenset({"allOf", "anyOf", "oneOf", "$ref", "dependentSchemas"})
"""Where several schemas may each say a part of what there is to say of one object."""
_PARTS = _COMPOSED | {"$defs", "definitions"}


def enforceable(schema: Mapping[str, Any], *, whole: bool = True) -> dict[str, Any]:
    """A schema that takes nothing which `schema` does not take, and nothing without an end.

    Where `schema` says nothing of them, properties that it does not name are left out and numbers get bounds.

    Args:
        whole: whether `schema` says everything of the value; a part (one of ``allOf``, say) is never closed.
    """
    within = {key: _within(key, value, whole and key not in _PARTS) for key, value in schema.items()}
    if whole and isinstance(schema.get("properties"), Mapping) and _COMPOSED.isdisjoint(schema):
        within.setdefault("additionalProperties", False)
    kinds = schema.get("type")
    if {"integer", "number"} & set([kinds] if isinstance(kinds, str) else kinds or ()):
        if "exclusiveMinimum" not in schema:
            within.setdefault("minimum", -_LARGEST)
        if "exclusiveMaximum" not in schema:
            within.setdefault("maximum", _LARGEST)
    return within


def _within(key: str, value: Any, whole: bool) -> Any:
    if key in _VALUES:
        return value
    if key in _NAMED and isinstance(value, Mapping):
        return {name: _within("", part, whole) for name, part in value.items()}
    if isinstance(value, Mapping):
        return enforceable(value, whole=whole)
    return [_within("", part, whole) for part in value] if isinstance(value, list) else value
