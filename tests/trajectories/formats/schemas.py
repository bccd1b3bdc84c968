"""Tool schemas as MCP servers publish them, of many makes; a function of the number, so that a failure can be repeated."""

import random
from typing import Any

from trajectories.messages import ToolSpec

_WORDS = ("path", "query", "größe", "名前", "limit", "Ωmega", "x-header", "$filter", "a.b", "emoji 🗂", "select", "id")
_FORMATS = ("date-time", "email", "uri", "uuid", "regex", "int64", "binary")
_DRAFTS = (
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2020-12/schema",
)


def tool(number: int) -> ToolSpec:
    rng = random.Random(number)
    schema = _object(rng, depth=rng.randrange(1, 5))
    if rng.random() < 0.3:
        schema["$schema"] = rng.choice(_DRAFTS)
    if rng.random() < 0.3:
        name = "definitions" if "draft-0" in schema.get("$schema", "") else "$defs"
        schema[name] = {"Point": _object(rng, 1), "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}}
        schema["properties"]["at"] = {"$ref": f"#/{name}/Point"}
    if rng.random() < 0.1:
        schema = rng.choice([{"type": "object"}, {}, {"type": "object", "properties": {}, "additionalProperties": False}])
    if number % 250 == 0:
        schema = {"type": "object", "properties": {f"field_{at}": _leaf(rng) for at in range(200)}}
    described = rng.choice(["", "Reads a file.", "Zeilen\numbruch, \"Anführung\", <|im_end|>", "説明 \u2028"])
    return ToolSpec(f"{rng.choice('abc')}_tool_{number}", described, schema)


def _object(rng: random.Random, depth: int) -> dict[str, Any]:
    names = rng.sample(_WORDS, rng.randrange(0, 5))
    properties = {name: _any(rng, depth - 1) for name in names}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if rng.random() < 0.7:
        schema["required"] = [name for name in names if rng.random() < 0.5]
    if rng.random() < 0.3:
        schema["additionalProperties"] = rng.choice([True, False, {"type": "string"}, {}])
    return schema


def _any(rng: random.Random, depth: int) -> Any:
    if depth <= 0:
        return _leaf(rng)
    return rng.choice(
        [
            lambda: _leaf(rng),
            lambda: _object(rng, depth),
            lambda: {rng.choice(["anyOf", "oneOf", "allOf"]): [_any(rng, depth - 1), {"type": "null"}]},
            lambda: {"type": "array", "items": _any(rng, depth - 1), "minItems": rng.randrange(3), "uniqueItems": True},
            lambda: {"type": "array", "prefixItems": [_leaf(rng), _leaf(rng)], "items": False},
            lambda: {"if": _leaf(rng), "then": _object(rng, 1), "else": {"not": {}}},
            lambda: {"type": "object", "patternProperties": {"^x-": _leaf(rng)}, "propertyNames": {"maxLength": 9}},
        ]
    )()


def _leaf(rng: random.Random) -> Any:
    return rng.choice(
        [
            lambda: {"type": "string", "format": rng.choice(_FORMATS), "default": ""},
            lambda: {"type": ["string", "null"], "default": None},
            lambda: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1, "multipleOf": 5},
            lambda: {"type": "number", "exclusiveMinimum": rng.choice([0.1, 1e-7, 0, True]), "maximum": 1e300},
            lambda: {"enum": ["a", 1, 1.5, None, True, [], {}, "1"]},
            lambda: {"const": rng.choice([0, False, None, "", [1, "1", 1.0]])},
            lambda: {"type": "boolean", "description": "ja oder nein?", "examples": [True, False]},
            lambda: rng.choice([True, False, {}]),
        ]
    )()
