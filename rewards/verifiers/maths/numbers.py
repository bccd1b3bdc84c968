"""Numbers as people write them, read exactly: whole ones, decimals, fractions, powers of ten, and a unit behind them.

One number or nothing: a list of candidates, a percentage where none was asked for, or an unfinished calculation is not a number.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

__all__ = ["MOST_DIGITS", "fraction", "is_lowest", "quantity", "unwrapped"]

MOST_DIGITS: Final = 400
"""Of a number; a longer one is not read."""

_MOST_EXPONENT: Final = 400

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_DECIMAL = re.compile(rf"({_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)")
_POWER = re.compile(
    r"[eE]([+-]?[0-9]{1,6})|(?:×|\*|·|\\times|\\cdot) ?10(?:\^|\*\*) ?(?:\{ ?([+-]?[0-9]{1,6}) ?\}|\(? ?([+-]?[0-9]{1,6}) ?\)?)"
)
_FRACTION = re.compile(r"([0-9]+) ?/ ?([0-9]+)|\\[dt]?frac ?\{ ?(-?[0-9]+) ?\} ?\{ ?([0-9]+) ?\}|\\[dt]?frac([0-9])([0-9])")
_SIGN = re.compile(r"([+-]?) ?")
_WRAPS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("`", "`"), ("**", "**"), ("\\boxed{", "}"))
_BREAK = re.compile(r"[ \t\u00a0\u202f\u3000]+")


def unwrapped(text: str) -> str:
    """`text` without the marks that people put around an answer: dollar signs, ``\\boxed{}``, a full stop at the end."""
    text = _BREAK.sub(" ", text).strip()
    for _ in range(4):
        if len(text) > 1 and text[-1] in ".。" and not text.endswith(".."):
            text = text[:-1].rstrip()
        for start, end in _WRAPS:
            if text.startswith(start) and text.endswith(end) and len(text) > len(start) + len(end):
                inner = text[len(start) : -len(end)].strip()
                if start not in inner and _balanced(inner):
                    text = inner
                    break
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def fraction(text: str) -> Fraction | None:
    """The value of a number that stands alone; None for anything else."""
    value, rest = _leading(text)
    return value if not rest else None


def quantity(text: str, units: Mapping[str, str]) -> Fraction | None:
    """The value of a number with one of `units` behind it, in the unit that is asked for, or with none.

    Args:
        units: by spelling, what one of it is in the unit that is asked for, as a fraction.
    """
    value, rest = _leading(text)
    if value is None or not rest:
        return value
    factor = units.get(_unit(rest))
    return None if factor is None else value * Fraction(factor)


def is_lowest(text: str) -> bool:
    """Whether `text` is a whole number, or a fraction in lowest terms that is none."""
    value, found = fraction(text), _FRACTION.search(text)
    if value is None:
        return False
    return (value.denominator == 1 and found is None) or (found is not None and value.denominator == max(
        int(part) for part in (found[2], found[4], found[6]) if part
    ) and value.denominator > 1)  # fmt: skip


def _leading(text: str) -> tuple[Fraction | None, str]:
    """The number that `text` begins with, and what follows."""
    if len(text) > MOST_DIGITS:
        return None, text
    text = text.replace("−", "-").replace("{,}", ",").replace("\\,", " ").replace("\\ ", " ")
    signed = _SIGN.match(text)
    sign = -1 if signed and signed[1] == "-" else 1
    at = signed.end() if signed else 0
    if found := _FRACTION.match(text, at):
        above, below = (part for part in found.groups() if part is not None)
        return (sign * Fraction(int(above), int(below)) if int(below) else None), text[found.end() :].strip()
    if not (found := _DECIMAL.match(text, at)):
        return None, text
    digits = found[1].replace(",", "")
    value = Fraction(digits + "0" if digits.endswith(".") else digits)
    end = found.end()
    spaces = end + (text[end : end + 1] == " ")
    if power := _POWER.match(text, spaces):
        exponent = int(next(part for part in power.groups() if part is not None))
        if abs(exponent) > _MOST_EXPONENT:
            return None, text
        value, end = value * Fraction(10) ** exponent, power.end()
    return sign * value, text[end:].strip()


_SUPERSCRIPTS: Final = str.maketrans({"²": "2", "³": "3", "⁻": "-", "¹": "1", "⋅": "*", "·": "*", "µ": "μ"})
_TEXT: Final = re.compile(r"\\(?:text|mathrm|rm|operatorname)\s*")


def _unit(text: str) -> str:
    """A unit's spelling without what makes no difference: ``\\text{m/s^2}`` and ``m/s²`` are one."""
    text = _TEXT.sub("", text[:60]).translate(_SUPERSCRIPTS).replace("\\cdot", "*").replace("\\circ", "°").replace("\\%", "%")
    return "".join(character for character in text if character not in "{}^ \\()")
