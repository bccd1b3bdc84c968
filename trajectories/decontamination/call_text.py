"""Calls written as Python text (``mv(source='a', destination='b')``), as BFCL's multi-turn answers have them."""

import ast
from collections.abc import Mapping
from typing import Any, Final

from trajectories.decontamination.benchmark import GoldCallSpec, ToolSignature

__all__ = ["parse_call"]

_LONGEST: Final = 20_000
"""Characters of a call; Python's parser needs much memory for more."""
_UNREADABLE: Final = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)


def parse_call(text: str, tools: Mapping[str, ToolSignature]) -> GoldCallSpec | None:
    """The call, or None where the text is none (an answer in words, say).

    Args:
        tools: by name, for the names of positional arguments; these are numbered where the tool is unknown.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body if len(text) <= _LONGEST else None
        if not isinstance(node, ast.Call):
            return None
        name = ast.unparse(node.func)
        declared = tools[name].arguments if name in tools else ()
        names = [declared[i][0] if i < len(declared) else str(i) for i in range(len(node.args))]
        arguments = {key: (_value(value),) for key, value in zip(names, node.args, strict=True)}
        arguments |= {keyword.arg or "**": (_value(keyword.value),) for keyword in node.keywords}
    except _UNREADABLE:
        return None
    return GoldCallSpec(name, arguments)


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except _UNREADABLE:
        return ast.unparse(node)
