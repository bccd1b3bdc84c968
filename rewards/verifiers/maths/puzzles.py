"""Puzzles with many right answers: the answer is played, never compared.

Each checker gets the answer line and the task's key, and says whether the answer keeps every rule and reaches the goal.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

from rewards.verifiers.maths.expressions import exact, leaves, nodes, plain
from rewards.verifiers.maths.structures import assignment, grid, integers, sequence, spelled

__all__ = ["CHECKERS"]

Checker = Callable[[str, Mapping[str, Any]], bool]


def _target(text: str, key: Mapping[str, Any]) -> bool:
    """A calculation with every number once and ``+ - * /`` that gives the target, exactly."""
    left, equals, right = text.partition("=")
    if equals and right.strip() != str(key["target"]):
        return False
    for mark, sign in (
        ("\\times", "*"),
        ("\\cdot", "*"),
        ("\\div", "/"),
        ("\\left", ""),
        ("\\right", ""),
        ("[", "("),
        ("]", ")"),
    ):
        left = left.replace(mark, sign)
    found = plain(left)
    if found is None or not all(node.kind in ("number", *"+-*/") for node in nodes(found)):
        return False
    return Counter(leaves(found)) == Counter(Fraction(n) for n in key["numbers"]) and exact(found) == key["target"]


def _sudoku(text: str, key: Mapping[str, Any]) -> bool:
    """Rows, columns and boxes hold every digit once, and the given cells stand."""
    rows, given, (height, width) = integers(text), key["given"], key["box"]
    size = height * width
    if rows is None or len(rows) != size or any(len(row) != size for row in rows):
        return False
    everything = set(range(1, size + 1))
    boxes = [
        {rows[top + r][left + c] for r in range(height) for c in range(width)}
        for top in range(0, size, height)
        for left in range(0, size, width)
    ]
    lines = [set(row) for row in rows] + [set(column) for column in zip(*rows, strict=True)]
    return all(unit == everything for unit in lines + boxes) and all(
        want in (0, rows[r][c]) for r, row in enumerate(given) for c, want in enumerate(row)
    )


def _queens(text: str, key: Mapping[str, Any]) -> bool:
    """As many queens as rows, none attacking another, the given ones among them: the column of each row, from 1."""
    size = key["size"]
    columns = [int(part) if re.fullmatch("[0-9]{1,3}", part) else 0 for part in sequence(text)]
    return (
        sorted(columns) == list(range(1, size + 1))
        and len({row + column for row, column in enumerate(columns)}) == size
        and len({row - column for row, column in enumerate(columns)}) == size
        and all(columns[row] == column for row, column in key["given"])
    )


def _colouring(text: str, key: Mapping[str, Any]) -> bool:
    """A colour for every vertex, neighbours different."""
    found = assignment(text)
    colours = {str(colour) for colour in range(1, key["colours"] + 1)}
    return (
        found is not None
        and set(found) == {str(vertex) for vertex in range(key["vertices"])}
        and set(found.values()) <= colours
        and all(found[str(a)] != found[str(b)] for a, b in key["edges"])
    )


def _jugs(text: str, key: Mapping[str, Any]) -> bool:
    """Moves after which a jug holds the target."""
    capacity = key["capacities"]
    held = [0] * len(capacity)
    names = {chr(ord("a") + index): index for index in range(len(capacity))}
    for move in _steps(text):
        found = re.fullmatch(r"(fill|empty) ([a-z])|pour ([a-z]) ?(?:->|→|to) ?([a-z])", move)
        if found is None or any(name and name not in names for name in found.groups()[1:]):
            return False
        if found[1]:
            held[names[found[2]]] = capacity[names[found[2]]] if found[1] == "fill" else 0
            continue
        source, goal = names[found[3]], names[found[4]]
        moved = min(held[source], capacity[goal] - held[goal]) if source != goal else 0
        held[source], held[goal] = held[source] - moved, held[goal] + moved
    return key["target"] in held


def _steps(text: str) -> list[str]:
    """The parts of a list between commas alone: arrows stand within them."""
    return [spelled(part) for part in re.split("[,，;；]", text.strip("[]").strip())]


def _hanoi(text: str, key: Mapping[str, Any]) -> bool:
    """Moves ``1->3`` of top discs between pegs that bring all to the goal, never a larger on a smaller."""
    pegs: dict[int, list[int]] = {peg: [] for peg in range(1, key["pegs"] + 1)}
    pegs[key["start"]] = list(range(key["disks"], 0, -1))
    for move in _steps(text):
        found = re.fullmatch(r"([0-9]) ?(?:->|→|-) ?([0-9])", move)
        if found is None or not {int(found[1]), int(found[2])} <= pegs.keys():
            return False
        source, goal = pegs[int(found[1])], pegs[int(found[2])]
        if not source or (goal and goal[-1] < source[-1]):
            return False
        goal.append(source.pop())
    return len(pegs[key["goal"]]) == key["disks"]


_WAYS: Final = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def _route(text: str, key: Mapping[str, Any]) -> bool:
    """A shortest way through a maze, step by step."""
    rows, ways = key["grid"], [spelled(part) for part in sequence(text)]
    at = next((r, c) for r, row in enumerate(rows) for c, cell in enumerate(row) if cell == "*")
    if len(ways) != key["steps"]:
        return False
    for way in ways:
        down, right = _WAYS.get(way, (0, 0))
        at = (at[0] + down, at[1] + right)
        if way not in _WAYS or not (0 <= at[0] < len(rows) and 0 <= at[1] < len(rows[0])) or rows[at[0]][at[1]] == "X":
            return False
    return bool(rows[at[0]][at[1]] == "#")


def _palindrome(text: str, key: Mapping[str, Any]) -> bool:
    """All the letters, the same from both ends."""
    word = spelled(text)
    return word == word[::-1] and Counter(word) == Counter(key["letters"])


def _weights(text: str, key: Mapping[str, Any]) -> bool:
    """Kakurasu: ones whose places add up to the numbers of rows and columns."""
    rows, across, down = integers(text), key["rows"], key["columns"]
    if rows is None or [len(row) for row in rows] != [len(down)] * len(across) or not {n for row in rows for n in row} <= {0, 1}:
        return False
    return [sum(i * n for i, n in enumerate(row, 1)) for row in rows] == across and [
        sum(i * n for i, n in enumerate(column, 1)) for column in zip(*rows, strict=True)
    ] == down


def _survo(text: str, key: Mapping[str, Any]) -> bool:
    """The numbers to fill in, each once, and every row and column adds up to its last number."""
    rows, given = grid(text), key["given"]
    if rows is None or [len(row) for row in rows] != [len(row) for row in given]:
        return False
    if not all(re.fullmatch("-?[0-9]{1,6}", cell) for row in rows for cell in row):
        return False
    cells = [[int(cell) for cell in row] for row in rows]
    filled = [n for row, old in zip(cells, given, strict=True) for n, was in zip(row, old, strict=True) if was == 0]
    stand = all(was in (0, n) for row, old in zip(cells, given, strict=True) for n, was in zip(row, old, strict=True))
    sums = all(sum(line[:-1]) == line[-1] for line in [*cells, *(list(column) for column in zip(*cells, strict=True))])
    return stand and sums and Counter(filled) == Counter(key["numbers"])


def _lock(text: str, key: Mapping[str, Any]) -> bool:
    """The fewest buttons from the start to the target; every press toggles the light from red to green and back."""
    buttons = {button["name"]: button for button in key["buttons"]}
    pressed, value, light = sequence(text), key["start"], "red"
    if len(pressed) != key["presses"]:
        return False
    for name in pressed:
        button = buttons.get(name)
        if button is None:
            return False
        if button["active_state"] in ("any", light):
            amount = button["value"]
            value = value * amount if button["type"] == "multiply" else value + (amount if button["type"] == "add" else -amount)
        light = "green" if light == "red" else "red"
    return bool(value == key["target"])


CHECKERS: Final[Mapping[str, Checker]] = {
    "target": _target, "sudoku": _sudoku, "queens": _queens, "colouring": _colouring, "jugs": _jugs, "hanoi": _hanoi,
    "route": _route, "palindrome": _palindrome, "weights": _weights, "survo": _survo, "lock": _lock,
}  # fmt: skip
"""By kind of the key."""
