"""Formulas as trees: read from plain notation, valued exactly or to hundreds of digits, and differentiated.

A reader of our own, because the ones in libraries evaluate text. All is bounded: characters, depth, exponents and sizes; a
formula beyond the bounds is None, and so is one that has no value.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import mpmath

__all__ = ["FUNCTIONS", "Node", "derivative", "exact", "leaves", "nodes", "number", "plain", "real"]

FUNCTIONS: Final = frozenset({"sin", "cos", "tan", "exp", "ln", "sqrt", "abs", "atan", "asin"})

_MOST_CHARACTERS, _MOST_DEPTH, _MOST_DIGITS, _MOST_POWER, _MOST_BITS = 400, 24, 40, 200, 8192
_SMALLEST, _LARGEST, _NOISE = mpmath.mpf(10) ** -100, mpmath.mpf(10) ** 100, mpmath.mpf(10) ** -350
"""Of values on the way, other than 0, and of what rounding leaves of a difference that is 0: no term is too small to be seen."""

_TOKEN: Final = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]+)?|\.[0-9]+)|([A-Za-zπ]+)|(\*\*|[-+*/^()|×÷·−]))")
_SAME: Final = {"**": "^", "×": "*", "·": "*", "÷": "/", "−": "-"}
_ALIASES: Final = {"log": "ln", "arctan": "atan", "arcsin": "asin"}


@dataclass(frozen=True, slots=True)
class Node:
    """``number`` (its value), ``name`` (its letter), a function of one part, or one of ``+ - * / ^`` of two."""

    kind: str
    value: Fraction | str | None = None
    parts: tuple["Node", ...] = ()


class _Unreadable(Exception):
    pass


def number(value: int | Fraction) -> Node:
    return Node("number", Fraction(value))


def plain(text: str, names: Set[str] = frozenset()) -> Node | None:
    """The formula that `text` writes with ``+ - * / ^ ** ( )``, functions and the letters `names`; ``2x`` is a product.

    ``pi`` and ``e`` are the constants where `names` has any letter.
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    try:
        return _Reader(_tokens(text, names)).all()
    except _Unreadable:
        return None


def _tokens(text: str, names: Set[str]) -> list[str]:
    found: list[str] = []
    at, text = 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or len(match[1] or "") > _MOST_DIGITS:
            raise _Unreadable
        at = match.end()
        found.extend(_words(match[2], names) if match[2] else [match[1] or _SAME.get(match[3], match[3])])
    return found


def _words(run: str, names: Set[str]) -> Iterator[str]:
    """A run of letters as functions, constants and names: ``xsin`` is x times sin."""
    constants = {"e", "pi", "π"} if names else set()
    known = sorted(FUNCTIONS | _ALIASES.keys() | names | constants, key=len, reverse=True) if names else []
    while run:
        word = next((word for word in known if run.startswith(word)), None)
        if word is None:
            raise _Unreadable
        run = run[len(word) :]
        yield _ALIASES.get(word, "pi" if word == "π" else word)


class _Reader:
    """Recursive descent, the sign below the power: ``-x^2`` is ``-(x^2)``."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0

    def all(self) -> Node:
        found = self.sum()
        if self.at < len(self.tokens):
            raise _Unreadable
        return found

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.peek()
        if wanted and token not in wanted:
            raise _Unreadable
        self.at += 1
        return token

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > _MOST_DEPTH:
            raise _Unreadable
        found = self.product()
        while self.peek() in ("+", "-"):
            found = Node(self.take(), None, (found, self.product()))
        self.depth -= 1
        return found

    def product(self) -> Node:
        found = self.signed()
        while (token := self.peek()) and token not in ")+-|^":
            if token in "*/":
                found = Node(self.take(), None, (found, self.signed()))
            elif token[0].isdigit() or token[0] == ".":
                raise _Unreadable  # "2 3" is no product
            else:
                found = Node("*", None, (found, self.power()))
        return found

    def signed(self) -> Node:
        signs = 0
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.take() == "-"
            signs += 1
            if signs > 2:
                raise _Unreadable
        found = self.power()
        return Node("-", None, (number(0), found)) if negative else found

    def power(self) -> Node:
        base = self.atom()
        if self.peek() != "^":
            return base
        self.take()
        self.depth += 1
        if self.depth > _MOST_DEPTH:
            raise _Unreadable
        found = Node("^", None, (base, self.signed()))
        self.depth -= 1
        return found

    def atom(self) -> Node:
        token = self.take()
        if token in ("(", "|"):
            inner = self.sum()
            self.take(")" if token == "(" else "|")
            return inner if token == "(" else Node("abs", None, (inner,))
        if token in FUNCTIONS:
            return self.function(token)
        if not token or not (token[0].isalnum() or token[0] == "."):
            raise _Unreadable
        return number(Fraction(token)) if token[0].isdigit() or token[0] == "." else Node("name", token)

    def function(self, name: str) -> Node:
        """``sin(x)``, ``sin^2(x)`` and ``sin(x)^2``; without brackets, ``ln x``, only one letter is taken."""
        power = None
        if self.peek() == "^":
            self.take()
            power = number(Fraction(self.take(*"23456789")))
        if self.peek() == "(":
            self.take()
            inner = self.sum()
            self.take(")")
        elif self.peek() == "|":
            inner = self.atom()
        else:
            inner = self.atom()
            if inner.kind != "name" or self.peek() == "^":
                raise _Unreadable
        found = Node(name, None, (inner,))
        return found if power is None else Node("^", None, (found, power))


def nodes(node: Node) -> Iterator[Node]:
    """`node` and everything below it."""
    yield node
    for part in node.parts:
        yield from nodes(part)


def leaves(node: Node) -> list[Fraction]:
    """All numbers of a formula, from left to right; the zero before a sign is none."""
    if node.kind == "number":
        return [node.value] if isinstance(node.value, Fraction) else []
    parts = node.parts[1:] if node.kind == "-" and node.parts[0] == number(0) else node.parts
    return [leaf for part in parts for leaf in leaves(part)]


def exact(node: Node) -> Fraction | None:
    """The value of a formula of numbers and ``+ - * / ^``; None where it has none, or one that is too large."""
    if node.kind == "number" and isinstance(node.value, Fraction):
        return node.value
    if len(node.parts) != 2:
        return None
    a, b = exact(node.parts[0]), exact(node.parts[1])
    if a is None or b is None:
        return None
    if node.kind == "^":
        if b.denominator != 1 or abs(b) > _MOST_POWER or (a == 0 and b < 0):
            return None
        found = a ** int(b)
    elif node.kind == "/":
        if b == 0:
            return None
        found = a / b
    else:
        found = a + b if node.kind == "+" else a - b if node.kind == "-" else a * b
    return found if max(found.numerator.bit_length(), found.denominator.bit_length()) <= _MOST_BITS else None


def real(node: Node, point: Mapping[str, Any], context: Any) -> Any:
    """The value where the letters have the values `point`, in an mpmath context; None where it is not a finite real number."""
    if node.kind == "number" and isinstance(node.value, Fraction):
        return context.mpf(node.value.numerator) / node.value.denominator
    if node.kind == "name":
        return point.get(str(node.value), {"pi": +context.pi, "e": +context.e}.get(str(node.value)))
    parts = [real(part, point, context) for part in node.parts]
    if any(part is None for part in parts):
        return None
    try:
        found = _apply(node.kind, parts, context)
    except (ValueError, ZeroDivisionError, OverflowError, mpmath.libmp.ComplexResult):
        return None
    if not isinstance(found, context.mpf) or not context.isfinite(found):
        return None
    if node.kind in ("+", "-") and abs(found) < _NOISE * max(abs(part) for part in parts):
        return context.mpf(0)
    return found if found == 0 or _SMALLEST < abs(found) < _LARGEST else None


def _apply(kind: str, parts: list[Any], context: Any) -> Any:
    a, b = parts[0], parts[-1]
    match kind:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b
        case "^":
            if b == int(b) and abs(b) <= _MOST_POWER:
                return a ** int(b)
            return context.exp(b * context.ln(a)) if a > 0 and abs(b) <= _MOST_POWER else None
        case "exp":
            return context.exp(a) if abs(a) <= _MOST_POWER * 2 else None
        case "ln":
            return context.ln(a) if a > 0 else None
        case "abs":
            return abs(a)
        case _:
            return getattr(context, kind)(a)


def derivative(node: Node, name: str) -> Node:
    """By `name`; other letters are constants."""
    zero, one = number(0), number(1)
    if node.kind in ("number", "name"):
        return one if node == Node("name", name) else zero
    a, b = node.parts[0], node.parts[-1]
    da = derivative(a, name)
    db = da if b is a else derivative(b, name)

    def of(kind: str, *parts: Node) -> Node:
        return Node(kind, None, parts)

    match node.kind:
        case "+" | "-":
            return of(node.kind, da, db)
        case "*":
            return of("+", of("*", da, b), of("*", a, db))
        case "/":
            return of("/", of("-", of("*", da, b), of("*", a, db)), of("^", b, number(2)))
        case "^" if db == zero or all(part != Node("name", name) for part in nodes(b)):
            return of("*", of("*", b, of("^", a, of("-", b, one))), da)
        case "^":
            return of("*", node, of("+", of("*", db, of("ln", a)), of("/", of("*", b, da), a)))
    outer = {
        "sin": lambda: of("cos", a),
        "cos": lambda: of("-", zero, of("sin", a)),
        "tan": lambda: of("+", one, of("^", node, number(2))),
        "exp": lambda: node,
        "ln": lambda: of("/", one, a),
        "sqrt": lambda: of("/", number(Fraction(1, 2)), node),
        "abs": lambda: of("/", a, node),
        "atan": lambda: of("/", one, of("+", one, of("^", a, number(2)))),
        "asin": lambda: of("/", one, of("sqrt", of("-", one, of("^", a, number(2))))),
    }[node.kind]()
    return of("*", outer, da)
