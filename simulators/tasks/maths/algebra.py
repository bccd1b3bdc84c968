"""Algebra and calculus with answers that are formulas or exact numbers."""

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.forms import listed
from simulators.tasks.maths.formulas import added, joined, multiplied, polynomial, term
from simulators.tasks.maths.phrases import phrase

__all__ = ["ALGEBRA"]


def _nonzero(rng: random.Random, most: int) -> int:
    return rng.choice((-1, 1)) * rng.randint(1, most)


def _coefficients(rng: random.Random, degree: int, most: int) -> list[int]:
    return [rng.randint(-most, most) for _ in range(degree)] + [_nonzero(rng, most)]


def _draw_expand(level: int, rng: random.Random) -> Problem:
    degrees = {1: (1, 2), 2: (2, 3), 3: (1, 2, 3)}[level]
    factors = []
    for degree in degrees:
        factor = _coefficients(rng, degree, (15, 25, 30)[level - 1])
        factor[0] = factor[0] or _nonzero(rng, 9)
        factors.append(factor)
    return {"factors": sorted(factors, key=len)}


def _put_expand(problem: Problem, language: str) -> Question:
    shown = "*".join(f"({polynomial(factor)})" for factor in problem["factors"])
    product: Any = [1]
    for factor in problem["factors"]:
        product = multiplied(product, factor)
    answer = polynomial(product)
    key = {"kind": "expression", "answer": answer, "variables": ["x"], "expanded": True}
    return Question(phrase("algebra", language, "expand").format(f=shown), key, answer)


# A term of calculus is [coefficient, kind, a, power]: c x^power, c x^power e^(a x), c sin(a x), c cos(a x), c ln x, c/(x + a).
_TERMS: Final = {
    1: ("power",),
    2: ("power", "sin", "cos", "exp"),
    3: ("power", "sin", "cos", "exp", "ln", "inverse", "power_exp"),
}


def _draw_terms(level: int, rng: random.Random) -> Problem:
    kinds = ["power"] + [rng.choice(_TERMS[level]) for _ in range(level + 1)]
    if level > 1:
        kinds[-1] = rng.choice(_TERMS[level][1:])
    terms: list[Any] = []
    for kind in kinds:
        power = {"power": rng.randint(0, 2 + level * 2), "power_exp": rng.randint(1, 2)}.get(kind, 0)
        terms.append([_nonzero(rng, 40), kind, rng.randint(2, 9), power])
    if all(kind == "power" and power < 2 for _, kind, _, power in terms):
        terms[0][3] = rng.randint(2, 5)
    return {"terms": terms}


def _x(power: int) -> str:
    return "" if power == 0 else "x" if power == 1 else f"x^{power}"


def _times(*parts: str) -> str:
    return "*".join(part for part in parts if part)


def _shown(terms: list[Any]) -> list[str]:
    bodies = {
        "power": lambda a, n: _x(n),
        "power_exp": lambda a, n: _times(_x(n), f"exp({a}*x)"),
        "exp": lambda a, n: f"exp({a}*x)",
        "sin": lambda a, n: f"sin({a}*x)",
        "cos": lambda a, n: f"cos({a}*x)",
        "ln": lambda a, n: "ln(x)",
        "inverse": lambda a, n: f"1/(x + {a})",
    }
    return [
        f"{'-' if c < 0 else '+'} {abs(c)}/(x + {a})" if kind == "inverse" else term(c, bodies[kind](a, n))
        for c, kind, a, n in terms
    ]


def _derived(c: int, kind: str, a: int, n: int) -> list[str]:
    match kind:
        case "power":
            return [term(c * n, _x(n - 1))] if n else []
        case "exp":
            return [term(c * a, f"exp({a}*x)")]
        case "power_exp":
            return [term(c * a, _times(_x(n), f"exp({a}*x)")), term(c * n, _times(_x(n - 1), f"exp({a}*x)"))]
        case "sin":
            return [term(c * a, f"cos({a}*x)")]
        case "cos":
            return [term(-c * a, f"sin({a}*x)")]
        case "ln":
            return [f"{'-' if c < 0 else '+'} {abs(c)}/x"]
    return [f"{'-' if c > 0 else '+'} {abs(c)}/(x + {a})^2"]


def _integrated(c: int, kind: str, a: int, n: int) -> list[str]:
    match kind:
        case "power":
            return [term(Fraction(c, n + 1), _x(n + 1))]
        case "exp":
            return [term(Fraction(c, a), f"exp({a}*x)")]
        case "power_exp":  # by parts, n times
            found, factor = [], Fraction(c, a)
            for power in range(n, -1, -1):
                found.append(term(factor, _times(_x(power), f"exp({a}*x)")))
                factor *= Fraction(-power, a)
            return found
        case "sin":
            return [term(Fraction(-c, a), f"cos({a}*x)")]
        case "cos":
            return [term(Fraction(c, a), f"sin({a}*x)")]
        case "ln":
            return [term(c, "x*ln(x)"), term(-c, "x")]
    return [term(c, f"ln(x + {a})")]


def _put_derivative(problem: Problem, language: str) -> Question:
    terms = problem["terms"]
    answer = joined([part for one in terms for part in _derived(*one)])
    text = phrase("algebra", language, "derivative").format(f=joined(_shown(terms)))
    return Question(text, {"kind": "expression", "answer": answer, "variables": ["x"]}, answer)


def _put_antiderivative(problem: Problem, language: str) -> Question:
    terms = problem["terms"]
    answer = joined([part for one in terms for part in _integrated(*one)])
    text = phrase("algebra", language, "antiderivative").format(f=joined(_shown(terms)))
    return Question(text, {"kind": "expression", "answer": answer, "variables": ["x"], "up_to": "x"}, answer)


def _draw_integral(level: int, rng: random.Random) -> Problem:
    a = rng.randint(-6, 5)
    return {"f": _coefficients(rng, level + 1, 20), "a": a, "b": a + rng.randint(2, 6)}


def _put_integral(problem: Problem, language: str) -> Question:
    value = sum(Fraction(c, n + 1) * (problem["b"] ** (n + 1) - problem["a"] ** (n + 1)) for n, c in enumerate(problem["f"]))
    text = phrase("algebra", language, "integral").format(f=polynomial(problem["f"]), a=problem["a"], b=problem["b"])
    return Question(text, {"kind": "number", "answer": str(value), "form": "exact"}, str(value))


def _draw_system(level: int, rng: random.Random) -> Problem:
    """As many equations as unknowns, with one solution that is whole at levels 1 and 2, and may be a fraction at level 3."""
    size = (2, 3, 3)[level - 1]
    while True:
        rows = [[_nonzero(rng, (9, 9, 12)[level - 1]) for _ in range(size)] for _ in range(size)]
        below = _determinant(rows)
        if below:
            break
    values = [rng.randint(-25, 25) for _ in range(size)]
    right = [sum(c * v for c, v in zip(row, values, strict=True)) + (rng.randint(-9, 9) if level == 3 else 0) for row in rows]
    return {"rows": rows, "right": right}


def _determinant(rows: list[list[int]]) -> int:
    if len(rows) == 1:
        return rows[0][0]
    return sum((-1) ** c * rows[0][c] * _determinant([row[:c] + row[c + 1 :] for row in rows[1:]]) for c in range(len(rows)))


def _put_system(problem: Problem, language: str) -> Question:
    rows, right, names = problem["rows"], problem["right"], "xyz"[: len(problem["rows"])]
    lines = [
        f"{joined([term(c, name) for c, name in zip(row, names, strict=True)])} = {r}" for row, r in zip(rows, right, strict=True)
    ]
    below = _determinant(rows)
    swapped = [[[*row[:c], r, *row[c + 1 :]] for row, r in zip(rows, right, strict=True)] for c in range(len(rows))]
    answer = [str(Fraction(_determinant(one), below)) for one in swapped]  # Cramer's rule
    key = {"kind": "sequence", "item": "number", "answer": answer, "names": list(names)}
    text = phrase("algebra", language, "system").format(f="\n".join(lines))
    return Question(text, key, listed(answer), phrase("algebra", language, "in_order").format(names=listed(names)))


def _draw_roots(level: int, rng: random.Random) -> Problem:
    """A polynomial from its linear factors, each [a, b] for a x - b; at level 3 with a quadratic factor without real roots."""
    factors = [[rng.randint(1, 3 + 2 * level), _nonzero(rng, 30)] for _ in range((2, 3, 3)[level - 1])]
    return {"factors": sorted(factors), "other": [rng.randint(1, 9), 0, 1] if level == 3 else [1]}


def _put_roots(problem: Problem, language: str) -> Question:
    product: Any = problem["other"]
    for a, b in problem["factors"]:
        product = multiplied(product, [-b, a])
    roots = [str(root) for root in sorted({Fraction(b, a) for a, b in problem["factors"]})]
    key = {"kind": "sequence", "item": "number", "answer": roots, "unordered": True, "names": ["x"]}
    text = phrase("algebra", language, "roots").format(f=polynomial(added(product, [0])))
    return Question(text, key, listed(roots), phrase("algebra", language, "all"))


def _draw_determinant(level: int, rng: random.Random) -> Problem:
    size, most = {1: (2, 60), 2: (3, 15), 3: (4, 9)}[level]
    return {"rows": [[rng.randint(-most, most) for _ in range(size)] for _ in range(size)]}


def _put_determinant(problem: Problem, language: str) -> Question:
    answer = str(_determinant(problem["rows"]))
    text = phrase("algebra", language, "determinant").format(f=str(problem["rows"]))
    return Question(text, {"kind": "number", "answer": answer, "form": "integer"}, answer)


ALGEBRA: Final[Mapping[str, Family]] = {
    "expansion": Family("Products of polynomials, expanded", ("algebra", "symbolic"), _draw_expand, _put_expand),
    "derivative": Family("Derivatives", ("calculus", "symbolic"), _draw_terms, _put_derivative),
    "antiderivative": Family("Antiderivatives", ("calculus", "symbolic"), _draw_terms, _put_antiderivative),
    "definite_integral": Family("Integrals of polynomials, exactly", ("calculus",), _draw_integral, _put_integral),
    "linear_system": Family("Systems of two or three linear equations", ("algebra",), _draw_system, _put_system),
    "roots": Family("Rational roots of polynomials", ("algebra",), _draw_roots, _put_roots),
    "determinant": Family("Determinants", ("algebra", "matrices"), _draw_determinant, _put_determinant),
}
