"""From reasoning-gym's items to problems: what is asked, the key, a right answer; wrong and degenerate items are None.

Answers are worked out again wherever that is short, by other means than the library's.
"""

import ast
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

from simulators.tasks.maths.borrowed import Item, Taken
from simulators.tasks.maths.forms import listed, rows

__all__ = [
    "angle", "arithmetic", "base", "board", "cells", "circle", "colouring", "common", "dice", "equation", "factors", "grid",
    "hexadecimal", "islanders", "number", "orthocentre", "polygon", "primes", "route", "simplified",
    "sorted_numbers", "survo", "text", "weights", "words",
]  # fmt: skip

_OPERATORS: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.LShift: lambda a, b: int(a) << int(b), ast.RShift: lambda a, b: int(a) >> int(b),
}  # fmt: skip


def _value(text: str) -> Fraction:
    """A calculation of the library's, exactly."""
    return _worked(ast.parse(text.strip(), mode="eval").body, text.strip())


def _worked(node: ast.AST, text: str) -> Fraction:
    if isinstance(node, ast.BinOp):
        return Fraction(_OPERATORS[type(node.op)](_worked(node.left, text), _worked(node.right, text)))
    if isinstance(node, ast.UnaryOp):
        return -_worked(node.operand, text)
    if isinstance(node, ast.Constant):
        written = ast.get_source_segment(text, node) or ""
        return Fraction(int(written, 16)) if written.startswith("0x") else Fraction(written)
    raise ValueError(f"reasoning-gym: cannot work out {text!r}")


def number(item: Item, form: str = "integer", least: int | None = None) -> Taken | None:
    """A whole number as it is given, unless it is smaller than `least`."""
    answer = str(item["answer"]).replace(",", "")
    if re.fullmatch("-?[0-9]+", answer) is None or (least is not None and int(answer) < least):
        return None
    return item["question"], {"kind": "number", "answer": answer, "form": form}, answer


def arithmetic(item: Item) -> Taken | None:
    """A calculation whose value is the answer."""
    text = item["metadata"].get("expression") or item["metadata"].get("problem")
    if text is None:
        text = item["question"].rsplit("\n", 1)[-1].replace("= ?", "")
    answer, value = str(item["answer"]), _value(text)
    if Fraction(answer) != value:
        return None
    form = "integer" if value.denominator == 1 and "." not in text else "exact"
    return item["question"], {"kind": "number", "answer": answer, "form": form}, answer


def hexadecimal(item: Item) -> Taken | None:
    value = _value(item["metadata"]["problem"])
    return text(item) if value == int(item["answer"], 16) and abs(value) > 255 else None


def common(item: Item, of: Callable[..., int]) -> Taken | None:
    """Least multiple of the numbers; those that are small are easily guessed."""
    numbers = item["metadata"]["numbers"]
    return number(item) if of(*numbers) == int(item["answer"]) > 10 else None


def factors(item: Item) -> Taken | None:
    found = [int(part) for part in item["answer"].split("×")]
    if len(found) < 2 or math.prod(found) != item["metadata"]["number"] or not all(_is_prime(n) for n in found):
        return None
    parts = [str(n) for n in found]
    return item["question"], {"kind": "sequence", "item": "number", "answer": parts, "unordered": True}, listed(parts)


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


def primes(item: Item) -> Taken | None:
    data = item["metadata"]
    right = sum(_is_prime(n) for n in range(data["start"], data["end"] + 1)) == int(item["answer"])
    return number(item, least=10) if right else None


def base(item: Item) -> Taken | None:
    data = item["metadata"]
    value = int(data["source_repr"], data["source_base"])
    same = data["source_base"] == data["target_base"] or data["source_repr"] == data["target_repr"]
    return text(item) if value == int(item["answer"], data["target_base"]) and not same else None


def simplified(item: Item) -> Taken | None:
    data = item["metadata"]
    value = Fraction(data["numerator"], data["denominator"])
    if value.denominator == 1 or value.denominator == data["denominator"]:
        return None
    answer = f"{value.numerator}/{value.denominator}"
    return item["question"], {"kind": "number", "answer": answer, "form": "lowest"}, answer


def dice(item: Item) -> Taken | None:
    sides = [int(part.split("d")[1]) for part in item["metadata"]["puzzle"]["dice_str"].split(", ")]
    ways = Counter({0: 1})
    for side in sides:
        ways = Counter({t: sum(ways[t - face] for face in range(1, side + 1)) for t in range(1, max(ways) + side + 1)})
    target = item["metadata"]["puzzle"]["target"]
    value = Fraction(sum(count for total, count in ways.items() if total >= target), math.prod(sides))
    if not 0 < value < 1:
        return None
    answer = f"{value.numerator}/{value.denominator}"
    return item["question"], {"kind": "number", "answer": answer, "form": "lowest"}, answer


def equation(item: Item) -> Taken | None:
    """Linear in one letter: solved again from two of its values."""
    data = item["metadata"]
    left, right = data["equation"].split("=")

    def off(value: int) -> Fraction:
        return _value(re.sub(rf"\b{data['variable']}\b", f"({value})", f"({left})-({right})"))

    slope = off(1) - off(0)
    return number(item) if slope and off(2) - off(1) == slope and -off(0) / slope == int(item["answer"]) else None


def polygon(item: Item) -> Taken | None:
    """The angle that is left, where the polygon is really convex."""
    data = item["metadata"]
    left = 180 * (data["n_sides"] - 2) - sum(Fraction(str(angle)) for angle in data["known_angles"])
    return number(item) if 0 < left < 180 and left == int(item["answer"]) else None


def _corners(item: Item) -> list[tuple[int, int]]:
    return [(int(item["metadata"][name][0]), int(item["metadata"][name][1])) for name in "ABC"]


def angle(item: Item) -> Taken | None:
    (ax, ay), (bx, by), (cx, cy) = _corners(item)
    ux, uy, vx, vy = ax - bx, ay - by, cx - bx, cy - by
    value = math.degrees(math.atan2(abs(ux * vy - uy * vx), ux * vx + uy * vy))
    return _rounded(item, value, {"units": {"°": "1", "degrees": "1"}})


def circle(item: Item) -> Taken | None:
    a, b, c = _corners(item)
    sides = math.dist(a, b) + math.dist(b, c) + math.dist(c, a)
    doubled = abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
    return _rounded(item, doubled / sides, {})


def _rounded(item: Item, value: float, more: Mapping[str, Any]) -> Taken:
    answer = f"{value:.3f}"
    return item["question"], {"kind": "number", "answer": answer, "tolerance": "0.0051", **more}, answer


def orthocentre(item: Item) -> Taken | None:
    """Where two altitudes meet, from their linear equations."""
    (ax, ay), (bx, by), (cx, cy) = _corners(item)
    p, q, r = cx - bx, cy - by, (cx - bx) * ax + (cy - by) * ay
    s, t, u = cx - ax, cy - ay, (cx - ax) * bx + (cy - ay) * by
    below = p * t - q * s
    parts = [f"{float(Fraction(above, below)):.3f}" for above in (r * t - q * u, p * u - r * s)]
    return item["question"], {"kind": "sequence", "item": "number", "tolerance": "0.0011", "answer": parts}, listed(parts)


def text(item: Item, exact: bool = False) -> Taken | None:
    """A text of one line, without what the line's reader takes for markup."""
    answer = str(item["answer"]).strip()
    if not 2 < len(answer) < 400 or answer.endswith((".", "`", "*", '"', "'")) or "\n" in answer or answer[0] in "\"'`*$_>-":
        return None
    return item["question"], {"kind": "text", "answer": answer, "exact": exact}, answer


def words(item: Item, separator: str = ", ", least: int = 3) -> Taken | None:
    """A list of texts."""
    parts = [part.strip() for part in str(item["answer"]).split(separator)]
    if len(set(parts)) < least or any("," in part for part in parts):
        return None
    return item["question"], {"kind": "sequence", "item": "exact", "answer": parts}, listed(parts)


def sorted_numbers(item: Item) -> Taken | None:
    """Numbers in order, or those that were kept."""
    parts = [str(part) for part in ast.literal_eval(item["answer"])]
    if len(set(parts)) < 3 or (len(parts) == len(item["metadata"]["original_numbers"]) and "result" in item["metadata"]):
        return None
    return item["question"], {"kind": "sequence", "item": "number", "answer": parts}, listed(parts)


def grid(item: Item, name: str = "solution") -> Taken | None:
    """A matrix that is not the one that was given."""
    answer = [[str(cell) for cell in row] for row in item["metadata"][name]]
    if len(answer) < 2 or len(answer[0]) < 2 or len({cell for row in answer for cell in row}) < 2:
        return None
    if answer == [[str(cell) for cell in row] for row in item["metadata"]["matrix"]]:
        return None
    return item["question"], {"kind": "grid", "item": "number", "answer": answer}, rows([[int(c) for c in row] for row in answer])


def cells(item: Item) -> Taken | None:
    """A row of counts."""
    parts = str(item["answer"]).split()
    if len(item["metadata"].get("states", [])) < 3 and "states" in item["metadata"]:
        return None
    return item["question"], {"kind": "sequence", "item": "number", "answer": parts}, listed(parts)


def board(item: Item) -> Taken | None:
    given, solution = item["metadata"]["puzzle"], item["metadata"]["solution"]
    size = math.isqrt(len(given))
    return item["question"], {"kind": "sudoku", "given": given, "box": [size, size]}, rows(solution)


def colouring(item: Item) -> Taken | None:
    puzzle, solution = item["metadata"]["puzzle"], item["metadata"]["possible_answer"]
    edges = [list(edge) for edge in puzzle["edges"]]
    if len(edges) < len(puzzle["vertices"]) // 2 or solution is None or any(solution[a] == solution[b] for a, b in edges):
        return None
    key = {"kind": "colouring", "vertices": len(puzzle["vertices"]), "edges": edges, "colours": puzzle["num_colors"]}
    return item["question"], key, listed(f"{vertex}={colour}" for vertex, colour in sorted(solution.items()))  # type: ignore[arg-type]


def route(item: Item) -> Taken | None:
    ways = item["metadata"]["solution"]
    if not ways or len(ways) < 4:
        return None
    return item["question"], {"kind": "route", "grid": item["metadata"]["matrix"], "steps": len(ways)}, listed(ways)


def weights(item: Item) -> Taken | None:
    data = item["metadata"]
    return item["question"], {"kind": "weights", "rows": data["row_sums"], "columns": data["col_sums"]}, rows(data["solution"])


def survo(item: Item) -> Taken | None:
    data = item["metadata"]
    puzzle, solution = [[[int(cell) for cell in row] for row in data[name]] for name in ("puzzle", "solution")]
    numbers = [int(n) for n in data["candidate_numbers"]]
    return item["question"], {"kind": "survo", "given": puzzle, "numbers": numbers}, rows(solution)


def islanders(item: Item) -> Taken | None:
    """Who tells the truth: asked for as an assignment, so that the wording of the library's answer does not matter."""
    data = item["metadata"]
    kinds = data["knight_knave_terms"]
    names = [str(name) for name in data["names"]]
    answer = {name: str(kinds["knight" if true else "knave"]) for name, true in zip(names, data["solution"], strict=True)}
    return item["question"], {"kind": "assignment", "answer": answer}, listed([f"{name}={what}" for name, what in answer.items()])
