"""Typed access to JSON of unknown shape: the value, or an error that names the place."""

from collections.abc import Mapping
from typing import Any, Final

from trajectories.decontamination.benchmark import BenchmarkError, ToolSignature
from trajectories.decontamination.json_items import kind_of

__all__ = ["content_text", "items_of", "mapping", "text", "tool_signature", "tool_signatures"]

_JSON_TYPES: Final = {
    "dict": "object", "hashmap": "object", "float": "number", "double": "number", "long": "integer", "int": "integer",
    "tuple": "array", "list": "array", "arraylist": "array", "set": "array", "char": "string", "str": "string", "bool": "boolean",
}  # fmt: skip
"""Names of types that benchmarks write where JSON Schema has another."""


def text(value: Any, place: str) -> str:
    """Text, or nothing where the value is null."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BenchmarkError(f"{place}: is {kind_of(value)}, not text")
    return value


def mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BenchmarkError(f"{place}: is {kind_of(value)}, not an object")
    return value


def items_of(value: Any, place: str) -> list[Any]:
    """A list, or none where the value is null."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BenchmarkError(f"{place}: is {kind_of(value)}, not a list")
    return value


def content_text(value: Any, place: str) -> str:
    """The content of a chat message: text, or a list of parts, of which those of text count."""
    if not isinstance(value, list):
        return text(value, place)
    parts = (mapping(part, f"{place}[{i}]") for i, part in enumerate(value))
    return "\n".join(text(part.get("text"), f"{place}[{i}].text") for i, part in enumerate(parts))


def tool_signatures(value: Any, place: str) -> tuple[ToolSignature, ...]:
    """A list of tools, or a single one."""
    if isinstance(value, dict):
        return (tool_signature(value, place),)
    return tuple(tool_signature(tool, f"{place}[{i}]") for i, tool in enumerate(items_of(value, place)))


def tool_signature(value: Any, place: str) -> ToolSignature:
    """A tool in OpenAI's shape (with or without ``function`` around it), MCP's, or BFCL's with its names of types."""
    tool = mapping(value, place)
    if "function" in tool:
        tool, place = mapping(tool["function"], f"{place}.function"), f"{place}.function"
    if "name" not in tool:
        raise BenchmarkError(f"{place}.name: is missing; a tool has a name")
    key = next((key for key in ("parameters", "inputSchema", "input_schema") if tool.get(key) is not None), None)
    schema = mapping(tool[key], f"{place}.{key}") if key else {}
    properties = schema.get("properties")
    properties = mapping(properties, f"{place}.{key}.properties") if properties is not None else {}
    arguments = tuple((name, schema_type(properties[name])) for name in properties)
    return ToolSignature(text(tool["name"], f"{place}.name"), arguments)


def schema_type(schema: Any) -> str:
    """The JSON type that a schema names: ``a|b`` where it names several, ``any`` where none."""
    named = schema.get("type") if isinstance(schema, dict) else None
    names = sorted({_json_type(name) for name in (named if isinstance(named, list) else [named])} - {"null"})
    return "|".join(names) or "any"


def _json_type(name: Any) -> str:
    lowered = name.lower() if isinstance(name, str) else "any"
    return _JSON_TYPES.get(lowered, lowered)
