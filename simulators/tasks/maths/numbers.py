"""Number theory, counting and chances, with exact answers."""

import math
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.phrases import phrase

__all__ = ["NUMBERS"]


def _integer(kind: str, language: str, value: int, **words: Any) -> Question:
    text = phrase("numbers", language, kind).format(**words)
    return Question(text, {"kind": "number", "answer": str(value), "form": "integer", "names": ["x"]}, str(value))


def _draw_gcd(level: int, rng: random.Random) -> Problem:
    """A planted divisor, which is rarely small, times numbers without another in common."""
    divisor = rng.randint(12, (150, 3000, 60000)[level - 1])
    count = 2 + (level == 3)
    while True:
        factors = rng.sample(range(2, (60, 500, 3000)[level - 1]), count)
        if math.gcd(*factors) == 1:
            return {"numbers": sorted(divisor * factor for factor in factors)}


def _put_gcd(problem: Problem, language: str) -> Question:
    return _integer("gcd", language, math.gcd(*problem["numbers"]), numbers=", ".join(map(str, problem["numbers"])))


def _draw_modular(level: int, rng: random.Random) -> Problem:
    most = (300, 2000, 30000)[level - 1]
    kind = ("power", "inverse", "remainders")[rng.randrange(3)]
    while True:
        m = rng.randint(most // 4, most)
        a, n = rng.randint(2, most), rng.randint(most // 4, most)
        if kind == "power" and math.gcd(a, m) == 1:
            return {"kind": kind, "a": a, "b": rng.randint(10 * level, 60**level), "m": m}
        if kind == "inverse" and a < m and math.gcd(a, m) == 1:
            return {"kind": kind, "a": a, "m": m}
        if kind == "remainders" and m < n and math.gcd(m, n) == 1:
            return {"kind": kind, "m": m, "r": rng.randrange(m), "n": n, "s": rng.randrange(n)}


def _put_modular(problem: Problem, language: str) -> Question:
    words = {name: value for name, value in problem.items() if name != "kind"}
    match problem["kind"]:
        case "power":
            value = pow(problem["a"], problem["b"], problem["m"])
        case "inverse":
            value = pow(problem["a"], -1, problem["m"])
        case _:
            m, n = problem["m"], problem["n"]
            value = problem["r"] + m * ((problem["s"] - problem["r"]) * pow(m, -1, n) % n)
    return _integer(problem["kind"], language, value, **words)


def _draw_counting(level: int, rng: random.Random) -> Problem:
    kind = rng.choice(("arrange", "choose", "paths"))
    if kind == "arrange":
        kinds = rng.sample("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 3 + level)
        return {"kind": kind, "word": "".join(letter * rng.randint(1, 4 + (level > 1)) for letter in sorted(kinds))}
    if kind == "choose":
        a, b = rng.randint(4, 8 + 8 * level), rng.randint(4, 8 + 8 * level)
        k = rng.randint(3, min(a, b, 3 + 2 * level))
        return {"kind": kind, "a": a, "b": b, "k": k, "l": rng.randint(1, k - 1)}
    a, b = rng.randint(4, 5 + 5 * level), rng.randint(4, 5 + 5 * level)
    return {"kind": kind, "a": a, "b": b, "c": rng.randint(1, a - 1), "d": rng.randint(1, b - 1)}


def _put_counting(problem: Problem, language: str) -> Question:
    words = {name: value for name, value in problem.items() if name != "kind"}
    match problem["kind"]:
        case "arrange":
            word = problem["word"]
            value = math.factorial(len(word)) // math.prod(math.factorial(word.count(letter)) for letter in set(word))
        case "choose":
            a, b, k = problem["a"], problem["b"], problem["k"]
            value = sum(math.comb(a, women) * math.comb(b, k - women) for women in range(problem["l"], k + 1))
        case _:
            a, b, c, d = (problem[name] for name in "abcd")
            value = math.comb(a + b, a) - math.comb(c + d, c) * math.comb(a + b - c - d, a - c)
    return _integer(problem["kind"], language, value, **words)


def _draw_urn(level: int, rng: random.Random) -> Problem:
    a, b, c = (rng.randint(2, 5 + 10 * level) for _ in range(3))
    k = rng.randint(2, min(a + 1, 2 + 2 * level))
    return {"a": a, "b": b, "c": c, "k": k, "l": rng.randint(1, min(a, k) - (a > 1 and k > 2))}


def _put_urn(problem: Problem, language: str) -> Question:
    a, rest, k, red = problem["a"], problem["b"] + problem["c"], problem["k"], problem["l"]
    value = Fraction(math.comb(a, red) * math.comb(rest, k - red), math.comb(a + rest, k))
    key = {"kind": "number", "answer": str(value), "form": "lowest"}
    return Question(phrase("numbers", language, "urn").format(**problem), key, str(value))


def _draw_dates(level: int, rng: random.Random) -> Problem:
    first = _day(rng, 1990, 2025)
    second = _day(rng, *((first[0], first[0]), (first[0] + 1, first[0] + 9), (1600, 1899))[level - 1])
    return {"dates": sorted([first, second])}


def _day(rng: random.Random, low: int, high: int) -> list[int]:
    return [rng.randint(low, high), rng.randint(1, 12), rng.randint(1, 28)]


def _put_dates(problem: Problem, language: str) -> Question:
    one, other = problem["dates"]
    shown = [f"{year:04}-{month:02}-{day:02}" for year, month, day in (one, other)]
    return _integer("dates", language, _number_of(*other) - _number_of(*one), a=shown[0], b=shown[1])


def _number_of(year: int, month: int, day: int) -> int:
    """Days since the calendar's year 0, counted from March on so that leap days come last."""
    year, month = (year - 1, month + 9) if month < 3 else (year, month - 3)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day


NUMBERS: Final[Mapping[str, Family]] = {
    "gcd": Family("Greatest common divisors", ("number_theory",), _draw_gcd, _put_gcd),
    "modular": Family("Powers, inverses and remainders modulo a number", ("number_theory",), _draw_modular, _put_modular),
    "counting": Family("Arrangements, choices and ways, counted", ("combinatorics",), _draw_counting, _put_counting),
    "urn": Family("Chances of draws from an urn", ("probability",), _draw_urn, _put_urn),
    "dates": Family("Days between dates", ("arithmetic",), _draw_dates, _put_dates),
}
