"""How a search finds its candidates: by index where one of its conditions pins a field down, else by looking at every
record.

The index only narrows: every candidate is still tested against all conditions, so that a search finds the same records
in the same order either way.
"""

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.worlds.aggregates import compile_totals
from simulators.worlds.expressions import (
    All,
    Any_,
    ArgumentOf,
    Arithmetic,
    Compare,
    Condition,
    Expression,
    FieldOf,
    Frame,
    KeyOf,
    Literal,
    Not,
    compile_condition,
    compile_expression,
)  # fmt: skip
from simulators.worlds.spec import OperationSpec
from simulators.worlds.transaction import Records, Transaction

__all__ = ["compile_search"]

Named = tuple[str, Callable[[Frame], Any]]
Search = Callable[[Records, Transaction], dict[str, Any]]
Hits = Callable[[Records, Transaction], Iterator[str]]


@dataclass(frozen=True, slots=True)
class _Test:
    """One condition of a search."""

    holds: Callable[[Frame], bool]
    needs: frozenset[str]
    """Optional arguments; without one of them the condition is satisfied."""
    pinned: "_Pinned | None"
    """How the condition narrows the candidates down, if it does."""


@dataclass(frozen=True, slots=True)
class _Pinned:
    """Candidates are those whose field has the value, perhaps by way of references: ``(entity, field)`` from the value
    to the candidate."""

    steps: tuple[tuple[str, str], ...]
    value: Callable[[Frame], Any]

    def candidates(self, records: Records, frame: Frame) -> Iterable[str]:
        (entity, field), *others = self.steps
        keys = records.find_by(entity, field, self.value(frame))
        for entity, field in others:
            keys = sorted(key for target in keys for key in records.find_by(entity, field, target))
        return keys


def compile_search(operation: OperationSpec) -> Search:
    """A function that gives the result of a search, a list or a computation."""
    hits = _compile_hits(operation)
    returns = _compiled(operation.returns)

    def row(transaction: Transaction) -> dict[str, Any]:
        return {name: value(transaction) for name, value in returns}

    if operation.kind == "compute":
        totals = compile_totals(operation.totals)
        return lambda records, transaction: totals(transaction for _ in hits(records, transaction))
    if operation.kind == "list":
        return _compile_list(operation, hits, row)
    limit = operation.limit

    def search(records: Records, transaction: Transaction) -> dict[str, Any]:
        return {"found": [row(transaction) for _ in itertools.islice(hits(records, transaction), limit)]}

    return search


def _compile_list(operation: OperationSpec, hits: Hits, row: Callable[[Transaction], dict[str, Any]]) -> Search:
    size = operation.page_size
    by = compile_expression(operation.sort.by) if operation.sort is not None else None
    descending = operation.sort is not None and operation.sort.descending

    def page(records: Records, transaction: Transaction) -> dict[str, Any]:
        found = [(by(transaction) if by is not None else None, row(transaction)) for _ in hits(records, transaction)]
        if by is not None:  # stable, so that what is alike stays in the order of keys
            found.sort(key=operator.itemgetter(0), reverse=descending)
        start = transaction.arguments.get("offset", 0)
        items = [made for _, made in found[start : start + size]]
        left = start + size < len(found)
        return {"items": items, "total": len(found), "next_offset": start + size if left else None}

    return page


def _compile_hits(operation: OperationSpec) -> Hits:
    """A function that binds one matching record after the other, in the order of their keys, and gives the keys."""
    entity = operation.entity
    first = tuple(binding for binding in operation.records if not _records_of(binding.key))
    once = tuple((item.name, item.entity, compile_expression(item.key)) for item in first)
    each = tuple(
        (item.name, item.entity, compile_expression(item.key)) for item in operation.records if item not in first
    )
    optional = {name for name, argument in operation.arguments.items() if argument.optional}
    tests = tuple(
        _Test(compile_condition(part), arguments_of(part) & optional, _pinned(part, operation))
        for part in operation.match
    )

    def hits(records: Records, transaction: Transaction) -> Iterator[str]:
        given = transaction.arguments.keys()
        due = [test for test in tests if test.needs <= given]
        for name, other, key_of in once:
            transaction.bind(name, other, key_of(transaction))
        pinned = next((test.pinned for test in due if test.pinned is not None), None)
        for key in records.keys(entity) if pinned is None else pinned.candidates(records, transaction):
            transaction.bind(entity, entity, key)
            for name, other, key_of in each:
                transaction.bind(name, other, key_of(transaction))
            if all(test.holds(transaction) for test in due):
                yield key

    return hits


def arguments_of(part: Condition | Expression) -> frozenset[str]:
    """Names of the arguments that a condition or an expression uses."""
    match part:
        case ArgumentOf(name):
            return frozenset((name,))
        case Arithmetic(_, left, right) | Compare(left, _, right):
            return arguments_of(left) | arguments_of(right)
        case All(conditions) | Any_(conditions):
            return frozenset().union(*(arguments_of(inner) for inner in conditions))
        case Not(inner):
            return arguments_of(inner)
        case _:
            return frozenset()


def _compiled(expressions: Mapping[str, Expression]) -> tuple[Named, ...]:
    return tuple((name, compile_expression(expression)) for name, expression in expressions.items())


def _records_of(expression: Expression) -> frozenset[str]:
    """Names of the records that an expression uses."""
    match expression:
        case FieldOf(record, _) | KeyOf(record):
            return frozenset((record,))
        case Arithmetic(_, left, right):
            return _records_of(left) | _records_of(right)
        case _:
            return frozenset()


def _pinned(condition: Condition, operation: OperationSpec) -> _Pinned | None:
    """For ``field equal value`` where the value does not depend on the candidate, and the field is reached from it
    through references."""
    if not isinstance(condition, Compare) or condition.operator != "equal":
        return None
    for side, other in ((condition.left, condition.right), (condition.right, condition.left)):
        if isinstance(side, FieldOf) and isinstance(other, ArgumentOf | Literal):
            steps = _steps(side, operation)
            if steps is not None:
                return _Pinned(steps, compile_expression(other))
    return None


def _steps(field: FieldOf, operation: OperationSpec) -> tuple[tuple[str, str], ...] | None:
    if field.record == operation.entity:
        return ((operation.entity, field.field),)
    binding = next(binding for binding in operation.records if binding.name == field.record)
    if not isinstance(binding.key, FieldOf):
        return None
    onward = _steps(binding.key, operation)
    return None if onward is None else ((binding.entity, field.field), *onward)
