"""Expressions and conditions as data, and what they mean in a frame of named records and checked arguments.

There is no text to evaluate: every node is a frozen record, its operator is one of a closed table, and its types were
checked when the world was loaded, so that evaluating a loaded expression cannot raise.
"""

import datetime
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

__all__ = [
    "ARITHMETIC", "COMPARISONS", "All", "Any_", "ArgumentOf", "Arithmetic", "Compare", "Condition", "Expression",
    "FieldOf", "Frame", "KeyOf", "Literal", "Not", "RecordFrame", "compile_condition", "compile_expression",
    "compile_named", "holds", "settled", "walk",
]  # fmt: skip


class Frame(Protocol):
    """What an expression is evaluated in."""

    arguments: Mapping[str, Any]

    def fields(self, record: str) -> Mapping[str, Any]:
        """The current fields of the record that is bound to this name."""
        ...

    def key(self, record: str) -> str:
        """The key of the record that is bound to this name."""
        ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, an integer, a boolean, null, or a tuple of them (only to the right of `in` and `not_in`)."""

    value: Any


@dataclass(frozen=True, slots=True)
class ArgumentOf:
    name: str


@dataclass(frozen=True, slots=True)
class FieldOf:
    record: str
    field: str


@dataclass(frozen=True, slots=True)
class KeyOf:
    record: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`operator` is a key of `ARITHMETIC`."""

    operator: str
    left: "Expression"
    right: "Expression"


Expression = Literal | ArgumentOf | FieldOf | KeyOf | Arithmetic


@dataclass(frozen=True, slots=True)
class Compare:
    """`operator` is a key of `COMPARISONS`."""

    left: Expression
    operator: str
    right: Expression


@dataclass(frozen=True, slots=True)
class All:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Any_:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


Condition = Compare | All | Any_ | Not

def _days_after(date: str, days: int) -> str:
    """The calendar ends at the years 1 and 9999: what lies beyond is its first or last day."""
    day = datetime.date.fromisoformat(date).toordinal() + days
    return datetime.date.fromordinal(min(max(day, 1), datetime.date.max.toordinal())).isoformat()


def _days_between(first: str, second: str) -> int:
    return datetime.date.fromisoformat(second).toordinal() - datetime.date.fromisoformat(first).toordinal()


ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "sum": operator.add, "difference": operator.sub, "product": operator.mul,
    "percent": lambda whole, share: whole * share // 100,
    "days_after": _days_after, "days_between": _days_between,
}  # fmt: skip
"""`percent` of a whole, rounded down; `days_after` a date, so many; `days_between` two dates, below 0 when the second is
the earlier one."""

COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "at_most": operator.le, "greater": operator.gt,
    "at_least": operator.ge, "in": lambda left, right: left in right, "not_in": lambda left, right: left not in right,
}  # fmt: skip


class RecordFrame:
    """A frame with one record and no arguments: what a policy's condition sees."""

    __slots__ = ("_fields", "_record", "arguments")

    def __init__(self, record: str, fields: Mapping[str, Any]) -> None:
        self._record, self._fields = record, fields
        self.arguments: Mapping[str, Any] = {}

    def fields(self, record: str) -> Mapping[str, Any]:
        return self._fields

    def key(self, record: str) -> str:
        raise LookupError(f"a policy sees the fields of {self._record}, not its key")


def walk(part: Condition | Expression) -> Iterator[Condition | Expression]:
    """The node itself and every one beneath it."""
    yield part
    match part:
        case Arithmetic(_, left, right) | Compare(left, _, right):
            yield from walk(left)
            yield from walk(right)
        case All(conditions) | Any_(conditions):
            for inner in conditions:
                yield from walk(inner)
        case Not(inner):
            yield from walk(inner)


def holds(condition: Condition, frame: Frame) -> bool:
    """Whether `condition` is true in `frame`."""
    return compile_condition(condition)(frame)


def settled(condition: Condition, frame: Frame, unknown: Collection[str]) -> bool | None:
    """As `holds`, for somebody who does not know the fields of the records that are bound to `unknown`; None where it
    hangs on them (Kleene's three values)."""
    match condition:
        case Compare():
            hidden = any(isinstance(node, FieldOf) and node.record in unknown for node in walk(condition))
            return None if hidden else holds(condition, frame)
        case All(conditions) | Any_(conditions):
            values = [settled(part, frame, unknown) for part in conditions]
            decisive = isinstance(condition, Any_)
            return decisive if decisive in values else None if None in values else not decisive
        case Not(inner):
            value = settled(inner, frame, unknown)
            return None if value is None else not value


def compile_expression(expression: Expression) -> Callable[[Frame], Any]:
    """A function of the frame that gives the expression's value."""
    match expression:
        case Literal(value):
            return lambda frame: value
        case ArgumentOf(name):
            return lambda frame: frame.arguments[name]
        case FieldOf(record, field):
            return lambda frame: frame.fields(record)[field]
        case KeyOf(record):
            return lambda frame: frame.key(record)
        case Arithmetic(name, left, right):
            compute, first, second = ARITHMETIC[name], compile_expression(left), compile_expression(right)
            return lambda frame: compute(first(frame), second(frame))


def compile_named(expressions: Mapping[str, Expression]) -> tuple[tuple[str, Callable[[Frame], Any]], ...]:
    """Each name with the function that gives its value, in order."""
    return tuple((name, compile_expression(expression)) for name, expression in expressions.items())


def compile_condition(condition: Condition) -> Callable[[Frame], bool]:
    """A function of the frame that says whether the condition holds."""
    match condition:
        case Compare(left, name, right):
            compare, first, second = COMPARISONS[name], compile_expression(left), compile_expression(right)
            return lambda frame: compare(first(frame), second(frame))
        case All(conditions):
            parts = tuple(compile_condition(part) for part in conditions)
            return lambda frame: all(part(frame) for part in parts)
        case Any_(conditions):
            parts = tuple(compile_condition(part) for part in conditions)
            return lambda frame: any(part(frame) for part in parts)
        case Not(inner):
            negated = compile_condition(inner)
            return lambda frame: not negated(frame)
