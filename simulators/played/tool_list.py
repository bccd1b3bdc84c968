"""Tools from a file: the result of MCP's tools/list as JSON or YAML, checked before any of them is offered to an agent."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from mcp import types
from mcp.shared.tool_name_validation import validate_tool_name
from pydantic import ValidationError

from simulators.played.checking import SchemaCheck
from simulators.worlds import WorldSpecError
from simulators.worlds.document import read_document, read_json
from trajectories.messages import ToolSpec

__all__ = ["ToolListError", "load_tools", "parse_tools"]

_FIELDS: Final = frozenset(str(field.alias) for field in types.Tool.model_fields.values())


class ToolListError(ValueError):
    """A list of tools that cannot be used; names the file, the tool and the field."""


def load_tools(path: str | Path) -> tuple[ToolSpec, ...]:
    """The tools in a .json, .yaml or .yml file: a list of them, or an object whose `tools` is one.

    Raises:
        ToolListError: the file cannot be read, or as `parse_tools`.
    """
    path = Path(path)
    try:
        document = read_json(path) if path.suffix == ".json" else read_document(path)
    except WorldSpecError as error:
        raise ToolListError(str(error)) from error
    return parse_tools(document.value, str(path))


def parse_tools(document: Any, source: str = "tools") -> tuple[ToolSpec, ...]:
    """The tools of a document that is loaded already; `source` names it in errors.

    Raises:
        ToolListError: it holds none, or one of them is not as MCP has it, has a schema that is none, or a name that
            another has.
    """
    if isinstance(document, Mapping):
        if document.get("nextCursor"):
            raise ToolListError(f"{source}: nextCursor is set: this is one page of several; put all tools in one list")
        document = document.get("tools")
    if not isinstance(document, Sequence) or isinstance(document, str) or not document:
        raise ToolListError(f"{source}: must be a list of MCP tools that is not empty, or an object whose `tools` is one")
    tools: dict[str, ToolSpec] = {}
    for number, wire in enumerate(document, 1):
        tool = _read_tool(wire, f"{source}: {_called(wire, number)}")
        if tool.name in tools:
            raise ToolListError(f"{source}: {_called(wire, number)}: name: another tool has it already")
        tools[tool.name] = tool
    return tuple(tools.values())


def _read_tool(wire: Any, where: str) -> ToolSpec:
    if not isinstance(wire, Mapping):
        raise ToolListError(f"{where}: must be an object, not {type(wire).__name__}")
    for key in wire:
        if key not in _FIELDS:
            close = get_close_matches(str(key), _FIELDS, n=1, cutoff=0.8)
            raise ToolListError(
                f"{where}: {key}: MCP's tools have no such field" + (f"; did you mean {close[0]}?" if close else "")
            )
    try:
        tool = types.Tool.model_validate(dict(wire), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        raise ToolListError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    checked = validate_tool_name(tool.name)
    if not checked.is_valid:
        raise ToolListError(f"{where}: name: {checked.warnings[-1]}")
    for field in ("inputSchema", "outputSchema"):
        if wire.get(field) is not None:
            _check_schema(wire[field], f"{where}: {field}")
    return ToolSpec.from_mcp(wire)


def _check_schema(schema: Mapping[str, Any], where: str) -> None:
    if schema.get("type") != "object":
        raise ToolListError(f"{where}.type: must be object, not {json.dumps(schema.get('type'))}")
    try:
        SchemaCheck(schema)
    except ValueError as error:
        raise ToolListError(f"{where}.{error}") from error


def _called(wire: Any, number: int) -> str:
    name = wire.get("name") if isinstance(wire, Mapping) else None
    return f"tool {name[:40]}" if isinstance(name, str) and name else f"tool number {number}"
