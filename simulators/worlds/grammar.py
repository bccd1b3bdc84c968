"""Reads expressions, conditions and effects from a document, and checks every name and type in them.

The forms: a literal; `{argument: name}`; `{field: record.field}`; `{key: record}`; an arithmetic form over two, `{sum: [a, b]}`;
`{left: a, op: equal, right: b}`; `{all: [...]}`, `{any: [...]}`, `{not: ...}`; and the effects `{set: ...}`,
`{add: ...}`, `{create: ...}`, `{delete: ...}`. What passes here evaluates without error later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.worlds.aggregates import FORMS, Form, Sort, Total
from simulators.worlds.document import Section
from simulators.worlds.effects import Add, Create, Delete, Effect, Set
from simulators.worlds.expressions import (
    ARITHMETIC,
    COMPARISONS,
    All,
    Any_,
    ArgumentOf,
    Arithmetic,
    Compare,
    Condition,
    Expression,
    FieldOf,
    KeyOf,
    Literal,
    Not,
)  # fmt: skip
from simulators.worlds.fields import EntitySpec, FieldSpec, base_type, is_date, is_numeric
from simulators.worlds.spec import ArgumentSpec

__all__ = ["Scope", "read_condition", "read_effect", "read_expression", "read_sort", "read_totals", "read_typed"]

ORDERINGS: Final = ("less", "at_most", "greater", "at_least")
MEMBERSHIPS: Final = ("in", "not_in")
SCALARS: Final[Mapping[type, str]] = {str: "string", int: "integer", bool: "boolean", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that may be used at one place of a document."""

    entities: Mapping[str, EntitySpec]
    arguments: Mapping[str, ArgumentSpec] = field(default_factory=dict)
    records: dict[str, EntitySpec] = field(default_factory=dict)
    """Bound records; reading a binding or a `create` adds to it."""
    deleted: set[str] = field(default_factory=set)
    """Bound records that an effect above deletes: their fields can no longer be used."""
    keys_known: bool = True
    """Whether `{key: record}` may be used here; a policy sees fields only."""
    optional_arguments: bool = False
    """Whether optional arguments may be used here."""

    def field_of(self, section: Section) -> tuple[str, FieldSpec]:
        """The record and the field that a text of the form `record.field` names."""
        record, dot, name = section.text().partition(".")
        if not dot:
            section.fail(f"must have the form record.field, not {record!r}")
        if record in self.deleted:
            section.fail(f"{record} is deleted above")
        entity = self.entity_of(record, section)
        if name not in entity.fields:
            section.fail(f"undefined field {name!r}; {entity.name} has {', '.join(entity.fields)}")
        return record, entity.fields[name]

    def entity_of(self, record: str, section: Section) -> EntitySpec:
        if record not in self.records:
            section.fail(f"undefined record {record!r}; bound here: {', '.join(self.records) or 'none'}")
        return self.records[record]


def read_expression(section: Section, scope: Scope) -> tuple[Expression, str]:
    """An expression and its static type, see `FieldSpec.value_type`; that of null is ``null``."""
    value = section.value
    if not isinstance(value, dict):
        if type(value) not in SCALARS:
            section.fail(f"must be a string, an integer, true, false, null, or an expression, not {value!r}")
        return Literal(value), SCALARS[type(value)]
    if len(value) != 1:
        section.fail(f"an expression has one key, one of argument, field, key, {', '.join(ARITHMETIC)}")
    form = next(iter(section.mapping()))
    inner = section.child(form)
    if form == "argument":
        return _read_argument(inner, scope)
    if form == "field":
        record, spec = scope.field_of(inner)
        return FieldOf(record, spec.name), spec.value_type
    if form == "key":
        if not scope.keys_known:
            inner.fail("a policy is about the fields of a record, not its key")
        return KeyOf(inner.text()), f"key:{scope.entity_of(inner.text(), inner).name}"
    if form in ARITHMETIC:
        return _read_arithmetic(form, inner, scope)
    inner.fail(f"unknown expression; known: argument, field, key, {', '.join(ARITHMETIC)}")


def read_typed(section: Section, scope: Scope, expected: str) -> Expression:
    """An expression that may stand where the type `expected` is needed."""
    expression, actual = read_expression(section, scope)
    if not _fits(expression, actual, expected):
        section.fail(f"has type {actual} where {expected} is needed")
    return expression


def _fits(expression: Expression, actual: str, expected: str) -> bool:
    """Whole numbers are written as they are, and dates as text: a literal takes the type that is needed."""
    if actual == expected or (expected.endswith("?") and actual in (base_type(expected), "null")):
        return True
    if not isinstance(expression, Literal):
        return False
    plain = base_type(expected)
    if actual == "integer":
        return is_numeric(plain)
    return actual == "string" and plain == "date" and is_date(expression.value)


def _read_arithmetic(form: str, section: Section, scope: Scope) -> tuple[Expression, str]:
    sides = section.elements()
    if len(sides) != 2:
        section.fail("needs a list of two expressions")
    first, second = sides
    if form in ("days_after", "days_between"):
        other, result = ("integer", "date") if form == "days_after" else ("date", "integer")
        return Arithmetic(form, read_typed(first, scope, "date"), read_typed(second, scope, other)), result
    left, left_type = read_expression(first, scope)
    if form in ("product", "percent"):
        if not is_numeric(left_type):
            first.fail(f"has type {left_type} where a number is needed")
        return Arithmetic(form, left, read_typed(second, scope, "integer")), left_type
    right, right_type = read_expression(second, scope)
    wanted = right_type if isinstance(left, Literal) else left_type
    for side, expression, actual in ((first, left, left_type), (second, right, right_type)):
        if not is_numeric(actual):
            side.fail(f"has type {actual} where a number is needed")
        if not _fits(expression, actual, wanted):
            side.fail(f"has type {actual} where {wanted} is needed")
    return Arithmetic(form, left, right), wanted


def read_condition(section: Section, scope: Scope) -> Condition:
    mapping = section.mapping()
    if "left" in mapping or "op" in mapping or "right" in mapping:
        return _read_comparison(section, scope)
    if len(mapping) != 1 or next(iter(mapping)) not in ("all", "any", "not"):
        section.fail("a condition has the keys left, op and right, or one of all, any, not")
    form = next(iter(mapping))
    inner = section.child(form)
    if form == "not":
        return Not(read_condition(inner, scope))
    parts = tuple(read_condition(part, scope) for part in inner.elements())
    if not parts:
        inner.fail("needs at least one condition")
    return All(parts) if form == "all" else Any_(parts)


def read_effect(section: Section, scope: Scope) -> Effect:
    mapping = section.mapping()
    if len(mapping) != 1 or next(iter(mapping)) not in ("set", "add", "create", "delete"):
        section.fail("an effect has one key, one of set, add, create, delete")
    form = next(iter(mapping))
    inner = section.child(form)
    if form == "delete":
        inner.check_keys(("record",))
        record = _read_record(inner, scope)
        scope.deleted.add(record)
        return Delete(record)
    if form == "add":
        inner.check_keys(("record", "field", "amount"))
        record = _read_record(inner, scope)
        fields = scope.records[record].fields
        counters = [name for name, spec in fields.items() if is_numeric(spec.value_type)]
        name = inner.child("field").one_of(counters, "numeric field")
        return Add(record, name, read_typed(inner.child("amount"), scope, fields[name].value_type))
    if form == "set":
        inner.check_keys(("record", "fields"))
        record = _read_record(inner, scope)
        return Set(record, _read_fields(inner.child("fields"), scope, scope.records[record]))
    return _read_create(inner, scope)


def read_sort(section: Section, scope: Scope) -> Sort:
    """``{by: expression, descending: true}``."""
    section.check_keys(("by",), ("descending",))
    by, value_type = read_expression(section.child("by"), scope)
    if not _has_order(value_type):
        section.child("by").fail(f"has type {value_type}, which has no order")
    return Sort(by, (part := section.get("descending")) is not None and part.boolean())


def read_totals(section: Section, scope: Scope) -> tuple[dict[str, Total], dict[str, str]]:
    """``{name: {count: true}}``, ``{name: {sum: expression}}``, least, most; with the type of each."""
    totals, types = {}, {}
    for name, part in section.named():
        if len(part.mapping()) != 1 or next(iter(part.mapping())) not in FORMS:
            part.fail(f"a total has one key, one of {', '.join(FORMS)}")
        form: Form = next(form for form in FORMS if form in part.mapping())
        inner = part.child(form)
        if form == "count":
            if not inner.boolean():
                inner.fail("must be true")
            totals[name], types[name] = Total(form, Literal(1)), "integer"
            continue
        expression, value_type = read_expression(inner, scope)
        if not (is_numeric(value_type) if form == "sum" else _has_order(value_type)):
            inner.fail(f"has type {value_type}, of which there is no {form}")
        totals[name], types[name] = Total(form, expression), value_type if form == "sum" else f"{value_type}?"
    if not totals:
        section.fail("needs at least one total")
    return totals, types


def _read_argument(section: Section, scope: Scope) -> tuple[Expression, str]:
    argument = scope.arguments[section.one_of(list(scope.arguments), "argument")]
    if argument.optional and not scope.optional_arguments:
        section.fail(f"argument {argument.name} is optional, and an optional argument may only be used in match")
    return ArgumentOf(argument.name), argument.value_type


def _read_comparison(section: Section, scope: Scope) -> Condition:
    section.check_keys(("left", "op", "right"))
    name = section.child("op").one_of(list(COMPARISONS), "op")
    left, left_type = read_expression(section.child("left"), scope)
    right = section.child("right")
    if name in MEMBERSHIPS:
        values = tuple(_read_member(element, left_type) for element in right.elements())
        _check_enum_values(section.child("left"), values, right, scope)
        return Compare(left, name, Literal(values))
    if left_type == "null":
        section.child("left").fail("null is compared from the right")
    if name in ORDERINGS and not (is_numeric(left_type) or left_type == "date"):
        section.child("left").fail(f"has type {left_type}, and {name} compares numbers or dates")
    expression = read_typed(right, scope, left_type)
    if isinstance(expression, Literal):
        _check_enum_values(section.child("left"), (expression.value,), right, scope)
    return Compare(left, name, expression)


def _read_member(section: Section, expected: str) -> Any:
    actual = SCALARS.get(type(section.value), "")
    if not _fits(Literal(section.value), actual, base_type(expected)):
        section.fail(f"must be a literal of type {expected}, not {section.value!r}")
    return section.value


def _check_enum_values(left: Section, values: tuple[Any, ...], right: Section, scope: Scope) -> None:
    """A comparison of an enum field with a value that it never has is a slip of the pen."""
    if not isinstance(left.value, dict) or "field" not in left.value:
        return
    _, spec = scope.field_of(left.child("field"))
    for value in values:
        if spec.type == "enum" and value is not None and value not in spec.values:
            right.fail(f"{value!r} is no value of {left.value['field']}; it has {', '.join(spec.values)}")


def _read_record(section: Section, scope: Scope) -> str:
    return section.child("record").one_of([name for name in scope.records if name not in scope.deleted], "record")


def _read_fields(section: Section, scope: Scope, entity: EntitySpec) -> dict[str, Expression]:
    fields: dict[str, Expression] = {}
    for name, part in section.named():
        if name not in entity.fields:
            part.fail(f"undefined field; {entity.name} has {', '.join(entity.fields)}")
        spec = entity.fields[name]
        fields[name] = read_typed(part, scope, spec.value_type)
        problem = spec.problem(part.value) if isinstance(fields[name], Literal) else None
        if problem:
            part.fail(problem)
    if not fields:
        section.fail("needs at least one field")
    return fields


def _read_create(section: Section, scope: Scope) -> Create:
    section.check_keys(("record", "entity", "fields"))
    entity = scope.entities[section.child("entity").one_of(list(scope.entities), "entity")]
    record = section.child("record").text()
    if record in scope.records:
        section.child("record").fail(f"{record} is already bound; choose another name")
    fields = _read_fields(section.child("fields"), scope, entity)
    missing = [name for name in entity.fields if name not in fields]
    if missing:
        section.child("fields").fail(f"a new {entity.name} needs every field; missing: {', '.join(missing)}")
    scope.records[record] = entity
    return Create(record, entity.name, fields)


def _has_order(value_type: str) -> bool:
    return is_numeric(value_type) or value_type in ("date", "string")
