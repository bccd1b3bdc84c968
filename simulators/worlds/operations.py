"""Reads the operations of a world: their kinds, records, preconditions, effects and results."""

from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from simulators.worlds.aggregates import Total
from simulators.worlds.document import Section
from simulators.worlds.effects import Create, Delete, Effect
from simulators.worlds.expressions import Expression, Literal
from simulators.worlds.fields import EntitySpec, object_schema, type_schema
from simulators.worlds.grammar import (
    Scope,
    read_condition,
    read_effect,
    read_expression,
    read_sort,
    read_totals,
    read_typed,
)  # fmt: skip
from simulators.worlds.operands import input_schema, read_arguments
from simulators.worlds.shorthands import read_shorthand
from simulators.worlds.spec import ArgumentSpec, Binding, Kind, OperationSpec, Requirement

__all__ = ["read_operations"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
KEYS_OF_KIND: Final[Mapping[Kind, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "read": (("returns",), ("records", "require")),
    "search": (("match", "returns"), ("records", "limit")),
    "list": (("returns",), ("match", "records", "sort", "page_size")),
    "compute": (("totals",), ("match", "records")),
    "create": (("effects", "returns"), ("records", "require")),
    "reserve": (("reserve", "effects", "returns"), ("records", "require")),
    "update": (("effects", "returns"), ("records", "require")),
    "transition": (("transition", "returns"), ("records", "require", "effects")),
    "transfer": (("transfer", "returns"), ("records", "require", "effects")),
    "notify": (("effects", "returns"), ("records", "require")),
    "delete": (("effects", "returns"), ("records", "require")),
    "batch": (("effects", "returns"), ("records", "require")),
    "decline": ((), ()),
}
"""Per kind: required and optional keys besides `kind`, `entity`, `description` and `arguments`."""
OVER_CANDIDATES: Final[tuple[Kind, ...]] = ("search", "list", "compute")
"""Kinds that look at every record of their entity."""
WITHOUT_SUBJECT: Final[tuple[Kind, ...]] = (*OVER_CANDIDATES, "create", "reserve")
PAGE: Final = 10
"""Records on a page of a list, unless it says otherwise."""


def read_operations(
    section: Section, entities: Mapping[str, EntitySpec], reasons: tuple[str, ...]
) -> dict[str, OperationSpec]:
    return {name: _read_operation(name, part, entities, reasons) for name, part in section.named()}


def _read_operation(
    name: str, section: Section, entities: Mapping[str, EntitySpec], reasons: tuple[str, ...]
) -> OperationSpec:
    if "kind" not in section.mapping():
        section.fail("missing key kind")
    kind = cast(Kind, section.child("kind").one_of(KINDS, "kind"))
    required, optional = KEYS_OF_KIND[kind]
    section.check_keys(("kind", "entity", "description", "arguments", *required), optional)
    entity = section.child("entity").one_of(list(entities), "entity")
    arguments = read_arguments(section.child("arguments"), kind, entities, reasons)
    subject = None if kind in WITHOUT_SUBJECT else _subject(section, kind, entity, arguments)
    scope = Scope(entities, arguments)
    records = _read_records(section, kind, entity, subject, scope)
    matching = Scope(entities, arguments, scope.records, optional_arguments=True)
    match = tuple(read_condition(part, matching) for part in _elements(section, "match"))
    needs, does = read_shorthand(section, kind, entity, scope)
    require = (*needs, *(_read_requirement(part, scope) for part in _elements(section, "require")))
    effects = (*does, *_read_effects(section, kind, entity, scope))
    returns, totals, output = _read_results(section, kind, scope)
    return OperationSpec(
        name=name, kind=kind, entity=entity, description=section.child("description").text(), arguments=arguments,
        inputSchema=input_schema(arguments), outputSchema=output, annotations=_annotations(kind, effects),
        subject_argument=subject, records=records, match=match,
        limit=part.integer(1) if (part := section.get("limit")) else 5,
        page_size=part.integer(1, 1000) if (part := section.get("page_size")) else PAGE,
        sort=read_sort(part, scope) if (part := section.get("sort")) else None,
        totals=totals, require=require, effects=effects, returns=returns,
    )  # fmt: skip


def _elements(section: Section, key: str) -> list[Section]:
    """The elements of the list under `key`; none where it is absent."""
    return part.elements() if (part := section.get(key)) else []


def _subject(section: Section, kind: Kind, entity: str, arguments: Mapping[str, ArgumentSpec]) -> str:
    """The first argument that is a key of the operation's entity; of a batch, the one with the keys."""
    form = "keys" if kind == "batch" else "key"
    for argument in arguments.values():
        if argument.kind == form and argument.entity == entity:
            return argument.name
    section.child("arguments").fail(
        f"needs an argument with {form}_of: {entity}, the record that the operation is about"
    )


def _read_records(section: Section, kind: Kind, entity: str, subject: str | None, scope: Scope) -> tuple[Binding, ...]:
    """The bound records in order of look-up; adds them to the scope. Candidates, and the records of a batch, are bound by
    whoever goes through them."""
    bindings = []
    if kind not in ("create", "reserve"):
        scope.records[entity] = scope.entities[entity]
    if subject is not None and kind != "batch":
        bindings.append(Binding(entity, entity, read_typed(Section({"argument": subject}, ""), scope, f"key:{entity}")))
    records = section.get("records")
    for name, part in records.named() if records else ():
        part.check_keys(("entity", "key"))
        if name in scope.records:
            part.fail(f"{name} is already bound; choose another name")
        other = part.child("entity").one_of(list(scope.entities), "entity")
        bindings.append(Binding(name, other, read_typed(part.child("key"), scope, f"key:{other}")))
        scope.records[name] = scope.entities[other]
    return tuple(bindings)


def _read_requirement(section: Section, scope: Scope) -> Requirement:
    """A condition with the key `error` beside its own."""
    if "error" not in section.mapping():
        section.fail("missing key error: what the caller is told when the condition does not hold")
    condition = {key: value for key, value in section.mapping().items() if key != "error"}
    bare = Section(condition, section.source, section.path, section.lines)
    return Requirement(read_condition(bare, scope), section.child("error").text())


def _read_effects(section: Section, kind: Kind, entity: str, scope: Scope) -> tuple[Effect, ...]:
    part = section.get("effects")
    if part is None:
        return ()
    effects = tuple(read_effect(element, scope) for element in part.elements())
    if not effects:
        part.fail(f"an operation of kind {kind} has at least one effect")
    creates = [effect.entity for effect in effects if isinstance(effect, Create)]
    deletes = any(isinstance(effect, Delete) and effect.record == entity for effect in effects)
    if kind == "notify":
        if len(effects) != 1 or len(creates) != 1 or entity in creates:
            part.fail(f"kind notify creates one record of another entity than {entity}, and does nothing else")
    elif kind != "batch" and ((entity in creates) != (kind in ("create", "reserve")) or deletes != (kind == "delete")):
        part.fail(
            f"kinds create and reserve create a new {entity}, kind delete deletes its {entity}, and of the others only"
            " batch does"
        )
    return effects


def _read_results(
    section: Section, kind: Kind, scope: Scope
) -> tuple[dict[str, Expression], dict[str, Total], dict[str, Any]]:
    """What a call returns: expressions, or totals, and the JSON Schema."""
    if kind == "decline":
        return {"declined": Literal(True)}, {}, object_schema({"declined": {"type": "boolean"}})
    if kind == "compute":
        totals, types = read_totals(section.child("totals"), scope)
        return {}, totals, object_schema({name: type_schema(value_type) for name, value_type in types.items()})
    returns, types = _read_returns(section.child("returns"), scope)
    row = object_schema({name: type_schema(value_type) for name, value_type in types.items()})
    if kind == "search":
        return returns, {}, object_schema({"found": {"type": "array", "items": row}})
    if kind == "batch":
        return returns, {}, object_schema({"done": {"type": "array", "items": row}})
    if kind == "list":
        page: dict[str, dict[str, Any]] = {
            "items": {"type": "array", "items": row},
            "total": {"type": "integer"},
            "next_offset": {"type": ["integer", "null"]},
        }
        return returns, {}, object_schema(page)
    return returns, {}, row


def _read_returns(section: Section, scope: Scope) -> tuple[dict[str, Expression], dict[str, str]]:
    """The expressions and their types."""
    read = {name: read_expression(part, scope) for name, part in section.named()}
    if not read:
        section.fail("needs at least one result")
    return {name: expression for name, (expression, _) in read.items()}, {name: kind for name, (_, kind) in read.items()}


def _annotations(kind: Kind, effects: tuple[Effect, ...]) -> dict[str, Any]:
    """MCP's hints about what the tool does to its surroundings."""
    if not effects:
        return {"readOnlyHint": True}
    return {"readOnlyHint": False, "destructiveHint": any(isinstance(effect, Delete) for effect in effects)}
