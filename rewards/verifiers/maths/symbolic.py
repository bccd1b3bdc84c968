"""Whether a formula is the right one: the same values to hundreds of digits at several points, so that its form is free.

A tolerance of ordinary floats lets a small wrong term pass. Here no value on the way may be smaller than 1e-100 (unless it is
0), so that a wrong term always shows in 350 digits.
"""

from collections.abc import Iterator, Mapping, Set
from fractions import Fraction
from typing import Any, Final

import mpmath

from rewards.verifiers.maths.expressions import Node, derivative, nodes, number, plain, real
from rewards.verifiers.maths.latex import latex

__all__ = ["is_formula", "read", "same"]

_DIGITS, _AGREE = 400, 350
_MOST_DEPTH, _MOST_NODES = 40, 150
_POINTS: Final = (Fraction(37, 101), Fraction(127, 103), Fraction(307, 107), Fraction(601, 109), Fraction(887, 113))
_CONSTANTS: Final = ("C", "c")
_LEFT_SIDES: Final = frozenset(("y", "y'", "f(x)", "f'(x)", "F(x)", "f^{\\prime}(x)", "f^\\prime(x)", "dy/dx", "\\frac{dy}{dx}"))


def is_formula(text: str, key: Mapping[str, Any]) -> bool:
    """Whether `text` is the formula of `key`.

    Key: ``answer`` (in plain notation), ``variables``; ``up_to``: the variable by which the derivatives must be equal, for
    antiderivatives; ``expanded``: no products or powers of sums, like terms collected.
    """
    names = set(key["variables"])
    up_to = key.get("up_to")
    wanted = plain(key["answer"], names)
    found = read(_right_side(text), names | set(_CONSTANTS if up_to else ()))
    if wanted is None:
        raise ValueError(f"the key's answer cannot be read: {key['answer'][:80]}")
    if found is None or (key.get("expanded") and not _is_expanded(found, wanted)):
        return False
    if up_to:
        return same(derivative(found, up_to), derivative(wanted, up_to), names | set(_CONSTANTS))
    return same(found, wanted, names)


def read(text: str, names: Set[str]) -> Node | None:
    """A formula in plain notation or in LaTeX; None, too, for one that is larger than any that is asked for."""
    found = latex(text, names) if "\\" in text else plain(text.replace("{", "(").replace("}", ")"), names)
    return found if found is not None and _depth(found) <= _MOST_DEPTH and sum(1 for _ in nodes(found)) <= _MOST_NODES else None


def _depth(node: Node) -> int:
    return 1 + max(map(_depth, node.parts), default=0)


def _right_side(text: str) -> str:
    """``y = 2x`` and ``f'(x) = 2x`` as ``2x``; any other equation as it is, which no reader takes."""
    left, equals, right = text.partition("=")
    left = left.replace(" ", "")
    named = left in _LEFT_SIDES or (left.startswith("\\int") and len(left) < 100)
    return right.strip() if equals and named and "=" not in right else text


def same(a: Node, b: Node, names: Set[str]) -> bool:
    """Whether both have the same real value wherever it is tried; where `b` has none nothing is tried."""
    context = mpmath.MPContext()
    context.dps = _DIGITS
    tried = 0
    for turn in range(len(_POINTS)):
        point = {name: _value(context, turn + shift) for shift, name in enumerate(sorted(names))}
        wanted = real(b, point, context)
        if wanted is None:
            continue
        found = real(a, point, context)
        tried += 1
        if found is None or abs(found - wanted) > (1 + abs(wanted)) * context.mpf(10) ** -_AGREE:
            return False
    return tried >= 2


def _value(context: Any, turn: int) -> Any:
    point = _POINTS[turn % len(_POINTS)] + turn // len(_POINTS)
    return context.mpf(point.numerator) / point.denominator


def _is_expanded(node: Node, wanted: Node) -> bool:
    """A sum of as many terms as the wanted one, in none of which anything is added."""
    terms = list(_terms(node))
    return len(terms) <= len(list(_terms(wanted))) and not any(
        inner.kind in ("+", "-") and not _is_negative(inner) for term in terms for inner in nodes(term)
    )


def _terms(node: Node) -> Iterator[Node]:
    if node.kind in ("+", "-"):
        for part in node.parts[1:] if _is_negative(node) else node.parts:
            yield from _terms(part)
    else:
        yield node


def _is_negative(node: Node) -> bool:
    """Whether it is a sign and what follows, which the reader writes as a difference from 0."""
    return node.kind == "-" and node.parts[0] == number(0)
