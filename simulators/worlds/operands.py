"""Reads the arguments of an operation and writes their JSON Schema."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from jsonschema_rs import ValidationError, validator_for

from simulators.worlds.document import Section
from simulators.worlds.fields import EntitySpec, base_type
from simulators.worlds.grammar import Scope
from simulators.worlds.spec import ArgumentSpec, Kind

__all__ = ["OFFSET", "input_schema", "read_arguments"]

OFFSET: Final = ArgumentSpec(
    "offset",
    "free",
    {"type": "integer", "minimum": 0, "maximum": 1_000_000, "description": "How many records to skip."},
    optional=True,
)
"""What every list takes besides its own arguments."""
WITH_OPTIONAL: Final[tuple[Kind, ...]] = ("search", "list", "compute")
FORMS: Final = ("key_of", "keys_of", "value_of", "reason", "schema")
MOST_KEYS: Final = 100
KEYS_OF_SCHEMA: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "string": (("maxLength",), ("minLength", "pattern", "enum")),
    "integer": (("minimum", "maximum"), ("enum",)),
    "boolean": ((), ()),
}
"""Per type of a free argument: required and optional keys besides `type`."""


def read_arguments(
    section: Section, kind: Kind, entities: Mapping[str, EntitySpec], reasons: tuple[str, ...]
) -> dict[str, ArgumentSpec]:
    arguments = {name: _read_argument(name, part, kind, entities, reasons) for name, part in section.named()}
    if kind == "decline" and sorted(argument.kind for argument in arguments.values()) != ["key", "reason"]:
        section.fail("declining takes two arguments, one key_of the entity and one with reason: true")
    if kind == "list":
        if OFFSET.name in arguments:
            section.child(OFFSET.name).fail("every list has this argument by itself")
        arguments[OFFSET.name] = OFFSET
    return arguments


def _read_argument(
    name: str, section: Section, kind: Kind, entities: Mapping[str, EntitySpec], reasons: tuple[str, ...]
) -> ArgumentSpec:
    """One of `{key_of: entity}`, `{keys_of: entity, maximum: n}`, `{value_of: entity.field}`, `{reason: true}` and
    `{schema: {...}}`."""
    forms = [form for form in FORMS if form in section.mapping()]
    if len(forms) != 1:
        section.fail(f"an argument has exactly one of {', '.join(FORMS)}")
    if forms[0] == "keys_of":
        return _read_keys(name, section, kind, entities)
    section.check_keys((forms[0],), ("description", "optional"))
    argument = _read_form(name, section.child(forms[0]), forms[0], kind, entities, reasons)
    if (part := section.get("optional")) and part.boolean():
        if kind not in WITH_OPTIONAL:
            part.fail(f"only operations of kind {', '.join(WITH_OPTIONAL)} have optional arguments")
        argument = replace(argument, optional=True)
    if part := section.get("description"):
        argument = replace(argument, schema={**argument.schema, "description": part.text()})
    return argument


def _read_keys(name: str, section: Section, kind: Kind, entities: Mapping[str, EntitySpec]) -> ArgumentSpec:
    section.check_keys(("keys_of", "maximum"), ("description",))
    if kind != "batch":
        section.fail("only a batch takes several keys at once")
    entity = entities[section.child("keys_of").one_of(list(entities), "entity")]
    most = section.child("maximum").integer(1, MOST_KEYS)
    schema: dict[str, Any] = {
        "type": "array", "items": entity.key_schema(), "minItems": 1, "maxItems": most, "uniqueItems": True,
    }  # fmt: skip
    if part := section.get("description"):
        schema["description"] = part.text()
    return ArgumentSpec(name, "keys", schema, entity.name, type=f"keys:{entity.name}")


def _read_form(
    name: str, section: Section, form: str, kind: Kind, entities: Mapping[str, EntitySpec], reasons: tuple[str, ...]
) -> ArgumentSpec:
    if form == "key_of":
        entity = entities[section.one_of(list(entities), "entity")]
        return ArgumentSpec(name, "key", entity.key_schema(), entity.name)
    if form == "value_of":
        entity_name, field = Scope(entities, records=dict(entities)).field_of(section)
        if field.type == "reference":
            section.fail(f"{field.name} holds keys; use key_of: {field.entity}")
        return ArgumentSpec(name, "value", field.schema(), entity_name, field.name, type=base_type(field.value_type))
    if form == "reason":
        if kind != "decline" or not section.boolean():
            section.fail("must be true, and only declining takes a reason")
        return ArgumentSpec(name, "reason", {"type": "string", "enum": list(reasons)})
    return ArgumentSpec(name, "free", _read_schema(section))


def _read_schema(section: Section) -> dict[str, Any]:
    """A JSON Schema of one bounded scalar; nothing in it may lead elsewhere, as `$ref` would."""
    if "type" not in section.mapping():
        section.fail("missing key type")
    required, optional = KEYS_OF_SCHEMA[section.child("type").one_of(list(KEYS_OF_SCHEMA), "type")]
    section.check_keys(("type", *required), optional)
    try:
        validator_for(section.mapping())
    except (ValidationError, ValueError) as error:
        section.fail(f"not a JSON Schema: {error}")
    return section.mapping()


def input_schema(arguments: Mapping[str, ArgumentSpec]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: dict(argument.schema) for name, argument in arguments.items()},
        "required": [name for name, argument in arguments.items() if not argument.optional],
        "additionalProperties": False,
    }
