"""Physics and chemistry with units: values drawn with few digits, results exact to the digits that are asked for.

The questions stand in phrases.yaml. Every formula is computed in floats from the numbers that the text shows; an answer may be
off by one part in 200, because what is asked for are three significant digits (a rounding error of at most one part in 200).
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.phrases import phrase
from simulators.tasks.maths.units import accepted

__all__ = ["STEM"]

_RELATIVE: Final = "0.0051"


@dataclass(frozen=True, slots=True)
class _Formula:
    level: int
    unit: str
    ranges: Mapping[str, tuple[float, float]]
    """Of each number, which is drawn with four significant digits."""
    value: Callable[..., float]


_PHYSICS: Final[Mapping[str, _Formula]] = {
    "fall": _Formula(1, "m", {"v": (1, 30), "t": (0.5, 9)}, lambda v, t: v * t + 9.81 * t * t / 2),
    "kinetic": _Formula(1, "J", {"m": (2, 900), "v": (5, 200)}, lambda m, v: m * (v / 3.6) ** 2 / 2),
    "ohm": _Formula(1, "W", {"r": (10, 900), "i": (10, 950)}, lambda r, i: r * (i / 1000) ** 2),
    "density": _Formula(1, "kg/m3", {"a": (1.2, 20), "m": (5, 5000)}, lambda a, m: m / 1000 / (a / 100) ** 3),
    "parallel": _Formula(
        2, "A", {"a": (10, 500), "b": (10, 500), "c": (5, 300), "u": (3, 240)}, lambda a, b, c, u: u / (a * b / (a + b) + c)
    ),
    "lens": _Formula(2, "cm", {"f": (4, 45), "d": (0.6, 6)}, lambda f, d: 1 / (1 / f - 1 / (100 * d))),
    "mixing": _Formula(
        2, "°C", {"a": (0.2, 9), "b": (0.2, 9), "s": (50, 95), "t": (5, 30)}, lambda a, b, s, t: (a * s + b * t) / (a + b)
    ),
    "throw": _Formula(2, "m", {"v": (3, 60), "w": (12, 78)}, lambda v, w: v * v * math.sin(math.radians(2 * w)) / 9.81),
    "buoyancy": _Formula(2, "N", {"m": (20, 90), "v": (0.5, 12)}, lambda m, v: (m - v) * 9.81),
    "incline": _Formula(
        3,
        "m/s",
        {"w": (31, 70), "s": (2, 80), "k": (0.05, 0.45)},
        lambda w, s, k: math.sqrt(2 * 9.81 * s * (math.sin(math.radians(w)) - k * math.cos(math.radians(w)))),
    ),
    "collision": _Formula(
        3, "kJ", {"a": (500, 9000), "b": (500, 9000), "u": (4, 40)}, lambda a, b, u: a * b / (a + b) * (u / 3.6) ** 2 / 2000
    ),
    "heating": _Formula(
        3,
        "min",
        {"p": (500, 3000), "e": (55, 95), "m": (0.3, 5), "s": (5, 25), "t": (60, 99)},
        lambda p, e, m, s, t: 4186 * m * (t - s) / (p * e / 100) / 60,
    ),
    "orbit": _Formula(
        3,
        "min",
        {"h": (200, 9000), "r": (3000, 9000), "m": (1, 9)},
        lambda h, r, m: 2 * math.pi * math.sqrt(((r + h) * 1000) ** 3 / (6.674e-11 * m * 1e24)) / 60,
    ),
}

_MASSES: Final = {
    "H2O": 18.015,
    "CO2": 44.009,
    "NaCl": 58.44,
    "NaOH": 39.997,
    "CaCO3": 100.086,
    "H2SO4": 98.072,
    "C6H12O6": 180.156,
    "NH3": 17.031,
    "KMnO4": 158.032,
}
_OF_SUBSTANCES: Final = ("moles", "grams", "solution")
_GIVEN_MASS: Final = {"en": "molar mass of {f}: {m} g/mol", "zh": "{f} 的摩尔质量：{m} g/mol"}

_CHEMISTRY: Final[Mapping[str, _Formula]] = {
    "moles": _Formula(1, "mol", {"a": (2, 900)}, lambda a, m: a / m),
    "grams": _Formula(1, "g", {"n": (5, 950)}, lambda n, m: n * m / 1000),
    "dilution": _Formula(1, "mol/L", {"v": (5, 400), "c": (0.1, 12), "w": (0.5, 5)}, lambda v, c, w: v / 1000 * c / w),
    "solution": _Formula(2, "mol/L", {"a": (1, 60), "v": (100, 950)}, lambda a, v, m: a / m / (v / 1000)),
    "gas": _Formula(2, "mol", {"v": (0.5, 90), "p": (40, 900), "t": (5, 95)}, lambda v, p, t: p * v / (8.314 * (t + 273.15))),
    "titration": _Formula(2, "mol/L", {"v": (5, 60), "w": (5, 90), "c": (0.05, 2)}, lambda v, w, c: c * w / v / 2),
    "decay": _Formula(3, "mg", {"h": (2, 90), "a": (5, 900), "t": (1, 200)}, lambda h, a, t: a * 0.5 ** (t / h)),
    "limiting": _Formula(3, "g", {"a": (0.5, 30), "b": (2, 300)}, lambda a, b: 18.015 * min(a / 2.016, 2 * b / 31.998)),
    "lime": _Formula(
        3,
        "L",
        {"p": (60, 98), "t": (10, 90), "q": (80, 300), "a": (5, 900)},
        lambda p, t, q, a: a * p / 100 / 100.086 * 8.314 * (t + 273.15) / q,
    ),
}


def _draw(formulas: Mapping[str, _Formula], level: int, rng: random.Random) -> Problem:
    name = rng.choice([name for name, formula in formulas.items() if formula.level == level])
    formula = formulas[name]
    values = {letter: _rounded(rng.uniform(low, high)) for letter, (low, high) in formula.ranges.items()}
    problem: dict[str, object] = {"formula": name, "values": values}
    if name in _OF_SUBSTANCES:
        problem["substance"] = rng.choice(sorted(_MASSES))
    return problem


def _rounded(value: float) -> float:
    """To four significant digits, as the text shows it."""
    return float(f"{value:.4g}")


def _put(field: str, formulas: Mapping[str, _Formula], problem: Problem, language: str) -> Question:
    formula, words = formulas[problem["formula"]], {letter: f"{value:g}" for letter, value in problem["values"].items()}
    numbers = dict(problem["values"])
    if "substance" in problem:
        numbers["m"] = _MASSES[problem["substance"]]
        words |= {"f": problem["substance"], "mass": _GIVEN_MASS[language].format(f=problem["substance"], m=numbers["m"])}
    text = phrase(field, language, problem["formula"]).format(**words)
    answer = f"{formula.value(**numbers):.6g}"
    units = accepted(formula.unit)
    shown = formula.unit.replace("m3", "m³")
    key = {"kind": "number", "answer": answer, "relative": _RELATIVE, "units": dict(units)}
    return Question(text, key, answer, phrase("digits", language).format(unit=shown))


def _family(about: str, tag: str, formulas: Mapping[str, _Formula]) -> Family:
    return Family(
        about,
        ("stem", tag),
        lambda level, rng: _draw(formulas, level, rng),
        lambda problem, language: _put(tag, formulas, problem, language),
    )


STEM: Final[Mapping[str, Family]] = {
    "physics": _family("Mechanics, heat, electricity and optics, with units", "physics", _PHYSICS),
    "chemistry": _family("Amounts, solutions, gases and reactions, with units", "chemistry", _CHEMISTRY),
}
