"""The four things an operation can do to the world, as data.

They write into a `Transaction`, never into a state: whatever goes wrong in the middle, nothing was changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulators.worlds.expressions import Expression, compile_expression, compile_named

if TYPE_CHECKING:
    from simulators.worlds.transaction import Transaction

__all__ = ["Add", "Create", "Delete", "Effect", "Set", "compile_effect"]


@dataclass(frozen=True, slots=True)
class Set:
    """Fields of a bound record get new values."""

    record: str
    fields: Mapping[str, Expression]


@dataclass(frozen=True, slots=True)
class Add:
    """An integer field of a bound record grows by `amount`, which may be negative."""

    record: str
    field: str
    amount: Expression


@dataclass(frozen=True, slots=True)
class Create:
    """A new record of `entity` with a free key, bound to the name `record` from here on."""

    record: str
    entity: str
    fields: Mapping[str, Expression]


@dataclass(frozen=True, slots=True)
class Delete:
    """A bound record goes; refused while another record refers to it."""

    record: str


Effect = Set | Add | Create | Delete


def compile_effect(effect: Effect) -> Callable[["Transaction"], None]:
    """A function that applies the effect to a transaction; it raises `Refused` where the world's rules forbid that."""
    match effect:
        case Set(record, fields):
            values = compile_named(fields)
            return lambda transaction: transaction.update(record, _evaluate(values, transaction))
        case Add(record, field, amount):
            compute = compile_expression(amount)
            return lambda transaction: transaction.update(
                record, {field: transaction.fields(record)[field] + compute(transaction)}
            )
        case Create(record, entity, fields):
            values = compile_named(fields)
            return lambda transaction: transaction.create(record, entity, _evaluate(values, transaction))
        case Delete(record):
            return lambda transaction: transaction.delete(record)


def _evaluate(values: tuple[tuple[str, Callable[[Any], Any]], ...], transaction: "Transaction") -> dict[str, Any]:
    return {name: compute(transaction) for name, compute in values}
