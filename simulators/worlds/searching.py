"""How a search finds its candidates: by index where one of its conditions pins a field down, else by looking at every
record.

The index only narrows: every candidate is still tested against all conditions, so that a search finds the same records
in the same order either way.
"""

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from simulators.worlds.aggregates import compile_totals
from simulators.worlds.expressions import (
    ArgumentOf,
    Compare,
    Condition,
    Expression,
    FieldOf,
    Frame,
    KeyOf,
    Literal,
    compile_condition,
    compile_expression,
    compile_named,
    walk,
)  # fmt: skip
from simulators.worlds.spec import Binding, OperationSpec
from simulators.worlds.transaction import Records, Transaction

__all__ = ["compile_bindings", "compile_search"]

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
    returns = compile_named(operation.returns)

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


def compile_bindings(bindings: tuple[Binding, ...]) -> tuple[tuple[str, str, Callable[[Frame], Any]], ...]:
    """Name, entity and the function that gives the key, of each record that is bound."""
    return tuple((binding.name, binding.entity, compile_expression(binding.key)) for binding in bindings)


def _compile_hits(operation: OperationSpec) -> Hits:
    """A function that binds one matching record after the other, in the order of their keys, and gives the keys."""
    entity = operation.entity
    first = tuple(binding for binding in operation.records if not _is_about_records(binding.key))
    once = compile_bindings(first)
    each = compile_bindings(tuple(binding for binding in operation.records if binding not in first))
    optional = {name for name, argument in operation.arguments.items() if argument.optional}
    tests = tuple(
        _Test(compile_condition(part), _arguments_of(part) & optional, _pinned(part, operation))
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


def _is_about_records(expression: Expression) -> bool:
    return any(isinstance(node, FieldOf | KeyOf) for node in walk(expression))


def _arguments_of(condition: Condition) -> frozenset[str]:
    return frozenset(node.name for node in walk(condition) if isinstance(node, ArgumentOf))


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
