"""Formulas as texts, and polynomials as lists of coefficients: what the families of algebra and calculus are built from."""

from collections.abc import Sequence
from fractions import Fraction

__all__ = ["Polynomial", "added", "joined", "multiplied", "polynomial", "term"]

Polynomial = Sequence[int | Fraction]
"""Coefficients from the constant on."""


def term(coefficient: int | Fraction, rest: str) -> str:
    """A product as a signed text: ``+ 3*x``, ``- x/2``, ``+ 4``."""
    value = Fraction(coefficient)
    above, below = abs(value.numerator), value.denominator
    body = rest if above == 1 and rest else f"{above}*{rest}" if rest else str(above)
    return f"{'-' if value < 0 else '+'} {body}{f'/{below}' if below > 1 else ''}"


def joined(terms: Sequence[str]) -> str:
    """A sum of signed texts."""
    text = " ".join(terms) or "0"
    return text[2:] if text.startswith("+ ") else "-" + text[2:] if text.startswith("- ") else text


def polynomial(coefficients: Polynomial, name: str = "x") -> str:
    powers = ["", name, *(f"{name}^{power}" for power in range(2, len(coefficients)))]
    return joined([term(c, rest) for c, rest in reversed(list(zip(coefficients, powers, strict=False))) if c])


def multiplied(a: Polynomial, b: Polynomial) -> list[int | Fraction]:
    found: list[int | Fraction] = [0] * (len(a) + len(b) - 1)
    for i, one in enumerate(a):
        for j, two in enumerate(b):
            found[i + j] += one * two
    return found


def added(a: Polynomial, b: Polynomial) -> list[int | Fraction]:
    size = max(len(a), len(b))
    return [(a[i] if i < len(a) else 0) + (b[i] if i < len(b) else 0) for i in range(size)]
