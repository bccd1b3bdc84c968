"""A further application of the operator `extend` that a model proposes: a field, on which entity, and what it means.

The field is read as the world language reads it, its name and its words are held to more, and the domain must grow with it:
the field brings its tools, no tool is thereby another one under a new name, and each is called and certified.
"""

import json
import re
from typing import Any, Final

from simulators.evolution.draft import Extension
from simulators.evolution.errands import Verify
from simulators.evolution.growing import Grown
from simulators.evolution.proposals.asking import Unacceptable
from simulators.evolution.proposals.domains import check_plain, require_sound
from simulators.worlds import WorldSpecError
from simulators.worlds.document import Section
from simulators.worlds.entities import read_entities
from trajectories.canonical import canonical_json
from trajectories.messages import Message

__all__ = ["EXTENSION", "asking_for_extension", "read_extension", "require_additive"]

MAX_CHARACTERS: Final = 2_000
LONGEST: Final = 60
"""Characters of a meaning."""
LONGEST_NAME: Final = 30
"""Characters of a field's name and of a value."""
_BOUNDS: Final[dict[str, dict[str, Any]]] = {
    "enum": {"values": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 6}},
    "boolean": {},
    "date": {"earliest": {"type": "string"}, "latest": {"type": "string"}},
    "integer": {"minimum": {"type": "integer"}, "maximum": {"type": "integer"}},
}
"""By type of a field: its further keys, and their JSON Schema."""
_FIELDS: Final = [
    {"type": "object", "properties": {"type": {"const": kind}, **bounds}, "required": ["type", *bounds],
     "additionalProperties": False}
    for kind, bounds in _BOUNDS.items()
]  # fmt: skip
_TEXTS: Final = {key: {"type": "string"} for key in ("entity", "field", "meaning")}
EXTENSION: Final[dict[str, Any]] = {
    "type": "object", "properties": {**_TEXTS, "document": {"anyOf": _FIELDS}},
    "required": ["entity", "field", "document", "meaning"], "additionalProperties": False,
}  # fmt: skip
"""JSON Schema of the answer."""

_NAME: Final = re.compile(r"[a-z]+(?:_[a-z0-9]+)*")
_OPENINGS: Final = ("how", "when", "where", "whether", "which", "who", "what")
_MEANING: Final = re.compile(rf"(?:{'|'.join(_OPENINGS)}) [A-Za-z0-9 '/%&+-]*[A-Za-z0-9%]")
_OWN: Final = ("id", "offset", "reason", "status")
"""Words of the tools' own, in any world."""
_ORDERING: Final = frozenset(("you", "must", "should", "instead", "tool", "tools", "call", "calls"))
"""Words that no clause about a record needs, and an order does."""
_ASKED: Final = """\
You propose one application of the operator `extend`, by which a world of tools grows: a further field of an entity, with the \
tools that set it and list by it. The user message is a JSON object: the `domain`, what it is for, its `entities` with their \
fields, and the names that are `taken`. Answer one JSON object and nothing else, {"entity": ..., "field": ..., "document": \
..., "meaning": ...}: an entity of the domain; the name of a field that its trade would keep there, in snake_case and not \
taken; what it holds, one of {"type": "enum", "values": [2 to 6 names]}, {"type": "boolean"}, {"type": "date", "earliest": \
"2025-01-01", "latest": "2025-12-31"} and {"type": "integer", "minimum": 0, "maximum": 9}, and no other field of the entity \
holds just the same; and a short clause that completes "Set the <field> of a <entity>: ...", such as "how urgent it is", which \
begins with how, when, where, whether, which, who or what, 60 characters at most and without punctuation."""


def asking_for_extension(grown: Grown) -> tuple[Message, ...]:
    """The dialogue that asks for one further field of a domain."""
    domain, entities = grown.domain, grown.world.source["entities"]
    asked = {
        "domain": domain.title,
        "role": domain.role,
        "entities": {
            name: {"about": entity.about, "fields": {key: _held(field) for key, field in entities[name]["fields"].items()}}
            for name, entity in domain.entities.items()
        },
        "taken": sorted(_taken(grown)),
    }
    return Message("system", _ASKED), Message("user", canonical_json(asked))


def read_extension(text: str, grown: Grown) -> Extension:
    """The extension in an answer, for a domain as it has grown so far.

    Raises:
        Unacceptable: there is none, or it breaks a rule; whether the domain grows with it `require_additive` says.
    """
    try:
        value = json.loads(text) if len(text) <= MAX_CHARACTERS else None
    except (ValueError, RecursionError) as error:
        raise Unacceptable("it is not one JSON object and nothing else") from error
    if not isinstance(value, dict):
        raise Unacceptable(f"it is not one JSON object of {MAX_CHARACTERS} characters at most")
    try:
        return _read(Section(value, "extension"), grown)
    except WorldSpecError as error:
        raise Unacceptable(str(error)) from error


def require_additive(before: Grown, extensions: tuple[Extension, ...], seed: int, verify: Verify) -> None:
    """A domain grows with its extensions as a domain must, and the last of them adds its tools and makes no two alike.

    Args:
        before: the domain as it has grown with all extensions but the last.

    Raises:
        Unacceptable: otherwise.
    """
    new = extensions[-1]
    rows, about = require_sound(before.domain, seed, verify, extensions), f"{new.entity}.{new.name}"
    steps = [step for step in rows.steps if step["operator"] == "extend" and step["about"] == about]
    if sum(len(step["added"]) for step in steps) < 2:
        raise Unacceptable(f"{about}: tools of this name are there already, or it is too long for theirs; choose another")
    dropped = {tool for step in before.steps if step.operator == "drop_doubles" for tool in step.removed}
    doubles = [tool for step in rows.steps if step["operator"] == "drop_doubles" for tool in step["removed"]]
    if fresh := [tool for tool in doubles if tool not in dropped]:
        raise Unacceptable(f"{about}: with it, {fresh[0]} is another tool under a new name; let it hold something else")


def _read(top: Section, grown: Grown) -> Extension:
    top.check_keys(("entity", "field", "document", "meaning"))
    entity = top.child("entity").one_of(list(grown.domain.entities), "entity")
    name = _plain_name(top.child("field"))
    if name in _taken(grown) or name.endswith(("_id", "_ids")):
        top.child("field").fail(f"{name} is taken, or a word of the tools' own; choose another")
    part = top.child("document")
    if "type" not in part.mapping():
        part.fail("missing key type")
    kind = part.child("type").one_of(list(_BOUNDS), "type")
    part.check_keys(("type", *_BOUNDS[kind]))
    fields = Section({entity: {"count": 1, "fields": {name: part.value}}}, "extension")
    field = read_entities(fields)[entity].fields[name]
    document: dict[str, Any] = {"type": kind}
    if kind == "enum":
        if not 2 <= len(field.values) <= 6:
            part.child("values").fail(f"2 to 6 are asked for, not {len(field.values)}")
        document["values"] = [_plain_name(value) for value in part.child("values").elements()]
    elif kind != "boolean":
        low, high = _BOUNDS[kind]
        document |= {low: getattr(field, low), high: getattr(field, high)}
        if document[low] == document[high]:
            part.child(high).fail("is above the first bound")
    return Extension(entity, name, document, _meaning(top.child("meaning")))


def _plain_name(section: Section) -> str:
    name = section.name()
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        section.fail(f"{name!r} is no name in snake_case, of {LONGEST_NAME} characters at most")
    _check_words(section, name.replace("_", " "))
    return name


def _meaning(section: Section) -> str:
    text = section.text()
    _check_words(section, text)
    if not _MEANING.fullmatch(text):
        section.fail(f"{text!r} is not one clause that begins with {', '.join(_OPENINGS)} and has no punctuation")
    return text


def _check_words(section: Section, text: str) -> None:
    check_plain(section.path, text, LONGEST)
    if ordering := _ORDERING & set(text.lower().split()):
        section.fail(f"{text!r} speaks to its reader: {', '.join(sorted(ordering))}")


def _taken(grown: Grown) -> frozenset[str]:
    """Names of the world: of entities and their fields, and of what tools take and return."""
    world, names = grown.world.source, {*_OWN}
    for entity in grown.domain.entities.values():
        names |= {entity.name, entity.plural, *entity.states}
    for name, part in world["entities"].items():
        names |= {name, *part["fields"]}
    for tool in world["operations"].values():
        names |= {*tool.get("arguments", {}), *tool.get("returns", {}), *tool.get("totals", {})}
    return frozenset(names)


def _held(field: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in field.items() if key not in ("draw", "max_length")}
