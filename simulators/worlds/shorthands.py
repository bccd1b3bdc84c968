"""Kinds of operations that say in a line what preconditions and effects would say in five, and cannot say it wrongly.

    transition: {field: status, from: [open, held], to: closed}       an enum field moves along a declared edge
    transfer: {from: payer, to: payee, field: balance, amount: ...}   what one record loses another gains
    reserve: {record: flight, field: seats, amount: 1}                a stock goes down when a new record is created

Each becomes plain requirements and effects, so that whoever runs or studies an operation need not know of them.
"""

from simulators.worlds.document import Section
from simulators.worlds.effects import Add, Effect, Set
from simulators.worlds.expressions import Arithmetic, Compare, FieldOf, KeyOf, Literal
from simulators.worlds.fields import is_numeric
from simulators.worlds.grammar import Scope, read_typed
from simulators.worlds.spec import Kind, Requirement

__all__ = ["read_shorthand"]

Plain = tuple[tuple[Requirement, ...], tuple[Effect, ...]]


def read_shorthand(section: Section, kind: Kind, entity: str, scope: Scope) -> Plain:
    """The requirements and effects that the operation's kind brings with it; none for most kinds."""
    if kind == "transition":
        return _read_transition(section.child("transition"), entity, scope)
    if kind == "transfer":
        return _read_transfer(section.child("transfer"), scope)
    if kind == "reserve":
        return _read_reserve(section.child("reserve"), scope)
    return (), ()


def _read_transition(section: Section, entity: str, scope: Scope) -> Plain:
    section.check_keys(("field", "from", "to"))
    fields = scope.entities[entity].fields
    enums = [name for name, spec in fields.items() if spec.type == "enum"]
    name = section.child("field").one_of(enums, "enum field")
    values = list(fields[name].values)
    start = tuple(part.one_of(values, f"value of {entity}.{name}") for part in section.child("from").elements())
    end = section.child("to").one_of(values, f"value of {entity}.{name}")
    if not start or end in start:
        section.child("from").fail(f"needs at least one value, and not {end}, which it becomes")
    field = FieldOf(entity, name)
    need = Requirement(Compare(field, "in", Literal(start)), f"{name} must be {' or '.join(start)} to become {end}")
    return (need,), (Set(entity, {name: Literal(end)}),)


def _read_transfer(section: Section, scope: Scope) -> Plain:
    section.check_keys(("from", "to", "field", "amount"))
    giver, taker = (section.child(key).one_of(list(scope.records), "record") for key in ("from", "to"))
    entity = scope.records[giver]
    if scope.records[taker] != entity or taker == giver:
        section.child("to").fail(f"must be another record of {entity.name}, bound under a name of its own")
    name = _numeric_field(section, scope, giver)
    value_type = entity.fields[name].value_type
    amount = read_typed(section.child("amount"), scope, value_type)
    needs = (
        Requirement(Compare(KeyOf(giver), "not_equal", KeyOf(taker)), f"both are the same {entity.name}"),
        Requirement(Compare(amount, "greater", Literal(0)), "the amount must be above 0"),
        Requirement(Compare(FieldOf(giver, name), "at_least", amount), f"not enough {name}"),
    )
    loss = Arithmetic("difference", Literal(0), amount)
    return needs, (Add(giver, name, loss), Add(taker, name, amount))


def _read_reserve(section: Section, scope: Scope) -> Plain:
    section.check_keys(("record", "field", "amount"))
    record = section.child("record").one_of(list(scope.records), "record")
    name = _numeric_field(section, scope, record)
    amount = read_typed(section.child("amount"), scope, scope.records[record].fields[name].value_type)
    needs = (
        Requirement(Compare(amount, "greater", Literal(0)), "the amount must be above 0"),
        Requirement(Compare(FieldOf(record, name), "at_least", amount), f"not enough {name}"),
    )
    return needs, (Add(record, name, Arithmetic("difference", Literal(0), amount)),)


def _numeric_field(section: Section, scope: Scope, record: str) -> str:
    fields = scope.records[record].fields
    return section.child("field").one_of(
        [name for name, spec in fields.items() if is_numeric(spec.value_type)], "numeric field"
    )
