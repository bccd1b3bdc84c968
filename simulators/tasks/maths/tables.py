"""Tables to read and compute with."""

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.forms import listed
from simulators.tasks.maths.phrases import phrase

__all__ = ["TABLES"]

_NAMES: Final = tuple(
    [
        "Abel",
        "Bora",
        "Cato",
        "Dima",
        "Elio",
        "Faye",
        "Gita",
        "Hugo",
        "Iris",
        "Jona",
        "Kemi",
        "Lars",
        "Mira",
        "Nils",
        "Olga",
        "Pavo",
        "Quin",
        "Rosa",
        "Sven",
        "Tara",
        "Umar",
        "Vera",
        "Wim",
        "Yara",
    ]
)
_TOWNS: Final = (("Ardo", "阿多"), ("Belin", "贝林"), ("Corva", "科瓦"), ("Dunet", "杜内"))
_SIZES: Final = {1: 6, 2: 12, 3: 24}
"""By level: rows."""

_HEAD: Final = {"en": "name | town | units sold | unit price (cents) | returned", "zh": "姓名 | 城镇 | 销量 | 单价（分） | 退货"}
_KINDS: Final = {
    1: ("total", "revenue"),
    2: ("revenue", "difference", "average"),
    3: ("order", "average", "revenue", "difference"),
}


def _draw(level: int, rng: random.Random) -> Problem:
    """Rows ``[name, town, units, price, returned]``; each town that is asked about has several."""
    names = rng.sample(range(len(_NAMES)), _SIZES[level])
    rows = [
        [name, rng.randrange(2 + (level > 1)), rng.randint(20, 999), rng.randint(15, 950), rng.randint(0, 19)] for name in names
    ]
    kind = rng.choice(_KINDS[level])
    problem: dict[str, Any] = {"rows": rows, "kind": kind}
    if kind in ("total", "revenue", "average"):
        problem["town"] = max(range(3), key=lambda town: sum(row[1] == town for row in rows))
    if kind == "total":
        problem["bound"] = sorted(row[3] for row in rows)[1]
    if kind == "difference":
        problem["people"] = rng.sample(names, 3)
    return problem


def _revenue(row: list[int]) -> int:
    return (row[2] - row[4]) * row[3]


def _put(problem: Problem, language: str) -> Question:
    tongue, rows = 0 if language == "en" else 1, problem["rows"]
    kind = problem["kind"]
    words: dict[str, Any] = {"bound": problem.get("bound"), "n": 3 if len(rows) < 20 else 5}
    inside = rows
    if "town" in problem:
        words["town"] = _TOWNS[problem["town"]][tongue]
        inside = [row for row in rows if row[1] == problem["town"]]
    if kind == "difference":
        words |= dict(zip("abc", (_NAMES[name] for name in problem["people"]), strict=True))
    lines = [f"{_NAMES[row[0]]} | {_TOWNS[row[1]][tongue]} | {row[2]} | {row[3]} | {row[4]}" for row in rows]
    text = "\n".join([_HEAD[language], *lines, "", phrase("table", language, kind).format(**words)])
    if kind == "order":
        best = [_NAMES[row[0]] for row in sorted(rows, key=_revenue, reverse=True)[: words["n"]]]
        return Question(text, {"kind": "sequence", "item": "text", "answer": best}, listed(best))
    if kind == "average":
        value = Fraction(sum(row[2] * row[3] for row in inside), sum(row[2] for row in inside))
        answer = f"{float(value):.2f}"
        return Question(text, {"kind": "number", "answer": answer, "tolerance": "0.0051"}, answer)
    if kind == "difference":
        a, b, c = (next(_revenue(row) for row in rows if row[0] == name) for name in problem["people"])
        found = a + b - c
    else:
        found = sum(row[2] for row in inside if row[3] >= problem["bound"]) if kind == "total" else sum(map(_revenue, inside))
    return Question(text, {"kind": "number", "answer": str(found), "form": "integer"}, str(found))


TABLES: Final[Mapping[str, Family]] = {
    "table": Family("Sums, rankings and averages from a table", ("tables", "arithmetic"), _draw, _put)
}
