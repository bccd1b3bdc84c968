"""Formulas in LaTeX, read by math-verify's parser behind a gate.

That parser evaluates while it reads (``9^{9^9}``), adds numbers that stand side by side (``1 2`` is 3 to it), takes ``2^3^2``
from the left, and reads ``sin(x)`` as a product of letters. So only text of known words, of bounded depth and with small literal
exponents reaches it, never through its extraction of answers; its result is turned into our own tree, or refused.
"""

import re
from collections.abc import Set
from fractions import Fraction
from functools import reduce
from typing import Any, Final

import sympy
from latex2sympy2_extended import latex2sympy

from rewards.verifiers.maths.expressions import FUNCTIONS, Node, number

__all__ = ["latex"]

_MOST_CHARACTERS, _MOST_DEPTH, _MOST_GROWTH, _MOST_POWER = 300, 8, 10_000, 200

_MOST_BARS: Final = 4
"""Which bar opens and which closes costs the parser exponential time."""

_SYMBOLS: Final = frozenset(("frac", "dfrac", "tfrac", "sqrt", "left", "right", "cdot", "times", "pi"))
_WORDS: Final = _SYMBOLS | {"sin", "cos", "tan", "exp", "ln", "log", "arctan", "arcsin"}
_TOKEN: Final = re.compile(r"\\([A-Za-z]+)|([0-9]{1,15}(?:\.[0-9]{1,15})?)|([A-Za-z])|([-+*/^()|{} ])")
_UNSURE: Final = re.compile(r"[0-9.] +[0-9.]|\^ *(?:[^{ ]|\{[^{}]*\}) *\^")
"""Numbers side by side, and towers of powers without brackets."""
_BARE: Final = re.compile(r"(?<![\\A-Za-z])(sin|cos|tan|exp|ln|log)(?![A-Za-z])")
"""Functions without their backslash, which the parser would take for products of letters."""
_LITERAL: Final = re.compile(r"\^ *(?:\{ *-?([0-9]{1,6}) *\}|([0-9]))")


def latex(text: str, names: Set[str]) -> Node | None:
    """The formula that `text` writes in LaTeX with the letters `names`; None for anything that is not surely one."""
    text = (
        _BARE.sub(r"\\\1", text[: _MOST_CHARACTERS + 1])
        .replace("\\,", " ")
        .replace("\\;", " ")
        .replace("\\!", "")
        .replace("\\ ", " ")
    )
    if not _harmless(text, names):
        return None
    try:
        found = latex2sympy(text.replace("\\log", "\\ln"))
    except Exception:  # whatever it cannot read is not an answer
        return None
    return _tree(found, names) if isinstance(found, sympy.Expr) else None


def _harmless(text: str, names: Set[str]) -> bool:
    """Whether reading `text` is short work, and means one thing."""
    if len(text) > _MOST_CHARACTERS or text.count("|") > _MOST_BARS or _UNSURE.search(text):
        return False
    at, depth = 0, 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or (token[1] and token[1] not in _WORDS) or (token[3] and token[3] not in names | {"e"}):
            return False
        depth += (token[4] in ("(", "{")) - (token[4] in (")", "}")) if token[4] else 0
        if not 0 <= depth <= _MOST_DEPTH:
            return False
        at = token.end()
    return depth == 0 and _exponents(text)


def _exponents(text: str) -> bool:
    """Whether exponents stay small: literal ones do where they meet, others only stand on a letter."""
    growth = 1
    for at in (index for index, character in enumerate(text) if character == "^"):
        on_letter = text[:at].rstrip()[-1:].isalpha()
        literal = _LITERAL.match(text, at)
        if literal is None:
            if not on_letter:
                return False
            continue
        power = int(literal[1] or literal[2])
        growth *= 1 if on_letter else max(power, 1)
        if power > _MOST_POWER:
            return False
    return growth <= _MOST_GROWTH


_NAMES: Final = {"log": "ln", "Abs": "abs"}


def _tree(found: Any, names: Set[str]) -> Node | None:
    """sympy's tree as ours; None where it holds anything that ours does not."""
    if isinstance(found, sympy.Rational):
        return number(Fraction(int(found.p), int(found.q)))
    if isinstance(found, sympy.Float):
        return number(Fraction(str(found)))
    if found in (sympy.pi, sympy.E):
        return Node("name", "pi" if found == sympy.pi else "e")
    if isinstance(found, sympy.Symbol):  # the parser writes a capital as a small letter
        name = next((name for name in names if name.lower() == found.name.lower()), None)
        return None if name is None else Node("name", name)
    kind = {sympy.Add: "+", sympy.Mul: "*", sympy.Pow: "^"}.get(found.func)
    if kind is None:
        name = _NAMES.get(found.func.__name__, found.func.__name__)
        if name not in FUNCTIONS or len(found.args) not in (1, 2) or (len(found.args) == 2 and found.args[1] != sympy.E):
            return None
        inner = _tree(found.args[0], names)
        return None if inner is None else Node(name, None, (inner,))
    parts = [_tree(argument, names) for argument in found.args]
    known = [part for part in parts if part is not None]
    return reduce(lambda a, b: Node(kind, None, (a, b)), known) if len(known) == len(parts) else None
