"""Reads the entities of a world: what records there are, what they hold, and what a fresh instance draws."""

from collections.abc import Mapping
from typing import Any, Final, cast

from simulators.worlds.document import Section
from simulators.worlds.fields import COUNTED, EntitySpec, FieldSpec, FieldType, is_date

__all__ = ["read_entities"]

SPARE: Final = 20
"""Records beyond `count` that an entity may grow by, unless its `capacity` says otherwise."""

KEYS_OF_TYPE: Final[Mapping[FieldType, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "enum": (("values",), ("unique", "draw")),
    "text": (("draw",), ("unique", "max_length")),
    "integer": (("minimum", "maximum"), ("unique", "draw")),
    "money": (("minimum", "maximum"), ("unique", "draw", "currency")),
    "quantity": (("minimum", "maximum", "unit"), ("unique", "draw")),
    "boolean": ((), ("draw",)),
    "date": (("earliest", "latest"), ("unique", "draw")),
    "reference": (("entity",), ("unique",)),
}
"""Per field type: required and optional keys besides `type`, `nullable` and `volatile`."""


def read_entities(section: Section) -> dict[str, EntitySpec]:
    names = [name for name, _ in section.named()]
    if not names:
        section.fail("a world has at least one entity")
    entities = {name: _read_entity(name, part, names) for name, part in section.named()}
    for name, part in section.named():
        for field in entities[name].fields.values():
            _check_draw(field, entities, entities[name].count, part.child("fields").child(field.name))
    return entities


def _read_entity(name: str, section: Section, names: list[str]) -> EntitySpec:
    section.check_keys(("count", "fields"), ("capacity", "digits"))
    digits = part.integer(1, 9) if (part := section.get("digits")) else 3
    room = 9 * 10 ** (digits - 1)
    count = section.child("count").integer(1, room)
    capacity = part.integer(count, room) if (part := section.get("capacity")) else min(count + SPARE, room)
    fields = {field: _read_field(field, part, names) for field, part in section.child("fields").named()}
    if all(field.volatile for field in fields.values()):
        section.child("fields").fail("an entity has at least one field that is not volatile")
    return EntitySpec(name, fields, count, capacity, digits)


def _read_field(name: str, section: Section, names: list[str]) -> FieldSpec:
    if "type" not in section.mapping():
        section.fail("missing key type")
    kind = cast(FieldType, section.child("type").one_of(list(KEYS_OF_TYPE), "field type"))
    required, optional = KEYS_OF_TYPE[kind]
    section.check_keys(("type", *required), (*optional, "nullable", "volatile"))
    settings: dict[str, Any] = {
        key: (part := section.get(key)) is not None and part.boolean() for key in ("unique", "nullable", "volatile")
    }
    if kind == "enum":
        settings["values"] = _read_values(section.child("values"))
    elif kind in COUNTED:
        settings["minimum"] = section.child("minimum").integer(-(2**53))
        settings["maximum"] = section.child("maximum").integer(settings["minimum"], 2**53)
        if kind != "integer":
            said = section.get("unit" if kind == "quantity" else "currency")
            settings["unit"] = "EUR" if said is None else said.text()
    elif kind == "date":
        settings["earliest"] = _read_date(section.child("earliest"))
        settings["latest"] = _read_date(section.child("latest"))
        if settings["latest"] < settings["earliest"]:
            section.child("latest").fail(f"must not be before {settings['earliest']}")
    elif kind == "text" and (part := section.get("max_length")):
        settings["max_length"] = part.integer(1, 10_000)
    elif kind == "reference":
        settings["entity"] = section.child("entity").one_of(names, "entity")
    if settings["nullable"] and settings["unique"]:
        section.child("nullable").fail("a unique field is never null")
    spec = FieldSpec(name, kind, **settings)
    default = {"enum": spec.values, "boolean": (False, True)}.get(kind, ())
    draw = _read_draw(section.child("draw"), spec) if "draw" in section.value else default
    return FieldSpec(name, kind, **settings, draw=draw)


def _read_date(section: Section) -> str:
    text = section.text()
    return text if is_date(text) else section.fail(f"must be a date as 2026-02-28, in quotes, not {text!r}")


def _read_values(section: Section) -> tuple[str, ...]:
    values = tuple(part.text() for part in section.elements())
    if not values or len(set(values)) != len(values):
        section.fail("needs at least one value, each once")
    return values


def _read_draw(section: Section, spec: FieldSpec) -> tuple[Any, ...]:
    for part in section.elements():
        if problem := spec.problem(part.value):
            part.fail(problem)
    if not section.value:
        section.fail("needs at least one value")
    return tuple(section.value)


def _check_draw(field: FieldSpec, entities: Mapping[str, EntitySpec], count: int, section: Section) -> None:
    if field.unique and field.available({name: entity.count for name, entity in entities.items()}) < count:
        section.fail(f"a unique field of {count} records needs as many different values to draw from, each given once")
