"""A small language of programs, a subset of Python: written out by `source`, run by `Run`, never evaluated as text.

Values are whole numbers; ``//`` and ``%`` round as Python's do. Functions take one number and give one back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = [
    "Assign", "Binary", "Call", "Expression", "Function", "If", "Literal", "Loop", "Run", "Statement", "Variable", "lines_of",
    "source",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Literal:
    value: int


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    """One of ``+ - * // % < > ==``."""
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    argument: "Expression"


Expression = Literal | Variable | Binary | Call


@dataclass(frozen=True, slots=True)
class Assign:
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class If:
    condition: Expression
    then: tuple["Statement", ...]
    otherwise: tuple["Statement", ...] = ()


@dataclass(frozen=True, slots=True)
class Loop:
    """``for _ in range(times)``."""

    times: int
    body: tuple["Statement", ...]


Statement = Assign | If | Loop


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    parameter: str
    body: tuple[Statement, ...]
    result: Expression


def source(function: Function) -> str:
    """The function as Python text."""
    lines = [f"def {function.name}({function.parameter}):"]
    lines += [f"    {line}" for statement in function.body for line in lines_of(statement)]
    return "\n".join([*lines, f"    return {text_of(function.result)}"])


def lines_of(statement: Statement) -> Iterator[str]:
    if isinstance(statement, Assign):
        yield f"{statement.name} = {text_of(statement.value)}"
        return
    if isinstance(statement, Loop):
        yield f"for _ in range({statement.times}):"
        yield from _indented(statement.body)
        return
    yield f"if {text_of(statement.condition)}:"
    yield from _indented(statement.then)
    if statement.otherwise:
        yield "else:"
        yield from _indented(statement.otherwise)


def _indented(body: tuple[Statement, ...]) -> Iterator[str]:
    return (f"    {line}" for statement in body for line in lines_of(statement))


def text_of(expression: Expression) -> str:
    match expression:
        case Literal(value):
            return str(value)
        case Variable(name):
            return name
        case Call(function, argument):
            return f"{function}({text_of(argument)})"
        case Binary(operator, left, right):
            sides = [f"({text_of(side)})" if isinstance(side, Binary) else text_of(side) for side in (left, right)]
            return f"{sides[0]} {operator} {sides[1]}"


_MOST_STEPS: Final = 100_000
"""Of a run; generated programs take a few hundred."""


@dataclass
class Run:
    """An interpreter: `call` gives a function's result and notes every call that it took.

    Raises:
        ValueError: from `call`, for a program that does not end within `_MOST_STEPS` steps.
    """

    functions: Mapping[str, Function]
    called: list[tuple[str, int, int]] = field(default_factory=list)
    """Name, argument and result, in the order in which calls returned."""
    steps: int = 0

    def call(self, name: str, argument: int) -> int:
        function = self.functions[name]
        values = {function.parameter: argument}
        self.execute(function.body, values)
        result = self._value(function.result, values)
        self.called.append((name, argument, result))
        return result

    def execute(self, body: tuple[Statement, ...], values: dict[str, int]) -> None:
        """Runs the statements; `values` are the variables, which change."""
        for statement in body:
            self.steps += 1
            if self.steps > _MOST_STEPS:
                raise ValueError(f"long_context: a program took more than {_MOST_STEPS} steps")
            if isinstance(statement, Assign):
                values[statement.name] = self._value(statement.value, values)
            elif isinstance(statement, Loop):
                for _ in range(statement.times):
                    self.execute(statement.body, values)
            else:
                branch = statement.then if self._value(statement.condition, values) else statement.otherwise
                self.execute(branch, values)

    def _value(self, expression: Expression, values: Mapping[str, int]) -> int:
        match expression:
            case Literal(value):
                return value
            case Variable(name):
                return values[name]
            case Call(function, argument):
                return self.call(function, self._value(argument, values))
            case Binary(operator, left, right):
                return _OPERATORS[operator](self._value(left, values), self._value(right, values))


_OPERATORS: Final = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
    "//": int.__floordiv__,
    "%": int.__mod__,
    "<": int.__lt__,
    ">": int.__gt__,
    "==": int.__eq__,
}
