"""Sudokus whose uniqueness a solver proves, and queens on a board."""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.forms import listed, rows
from simulators.tasks.maths.phrases import phrase

__all__ = ["BOARDS", "solutions"]

Board = list[list[int]]

_SIZES: Final = {1: (2, 3, 18), 2: (3, 3, 36), 3: (3, 3, 48)}
"""By level: rows and columns of a box, and how many cells are empty."""
_QUEENS: Final = {1: (9, 4), 2: (10, 4), 3: (12, 4)}
"""By level: the board's side, and how many queens stand."""

_STANDS: Final = {"en": "row {r}, column {c}", "zh": "第 {r} 行第 {c} 列"}


def solutions(
    board: Sequence[Sequence[int]], height: int, width: int, limit: int = 2, rng: random.Random | None = None
) -> list[Board]:
    """The first `limit` solutions, by depth-first search on the cell with the fewest candidates, as bit sets."""
    size = height * width
    every = (1 << size) - 1
    across, down, boxes = [every] * size, [every] * size, [every] * size
    cells = [list(row) for row in board]
    empty = []
    for r in range(size):
        for c in range(size):
            if not cells[r][c]:
                empty.append((r, c, r // height * height + c // width))
                continue
            bit, box = 1 << (cells[r][c] - 1), r // height * height + c // width
            if not across[r] & down[c] & boxes[box] & bit:
                return []
            across[r] ^= bit
            down[c] ^= bit
            boxes[box] ^= bit
    found: list[Board] = []

    def search() -> None:
        if not empty:
            found.append([row[:] for row in cells])
            return
        best, fewest, options = 0, 99, 0
        for index, (r, c, box) in enumerate(empty):
            here = across[r] & down[c] & boxes[box]
            count = here.bit_count()
            if count < fewest:
                best, fewest, options = index, count, here
                if count < 2:
                    break
        if not options:
            return
        r, c, box = empty[best]
        empty[best] = empty[-1]
        empty.pop()
        values = [value for value in range(size) if options >> value & 1]
        if rng is not None:
            rng.shuffle(values)
        for value in values:
            bit = 1 << value
            across[r] ^= bit
            down[c] ^= bit
            boxes[box] ^= bit
            cells[r][c] = value + 1
            search()
            across[r] ^= bit
            down[c] ^= bit
            boxes[box] ^= bit
            if len(found) >= limit:
                break
        cells[r][c] = 0
        empty.append((r, c, box))
        empty[best], empty[-1] = empty[-1], empty[best]

    search()
    return found


def _sudoku(level: int, rng: random.Random) -> Problem:
    """A full board from which cells are taken while the solution stays the only one."""
    height, width, holes = _SIZES[level]
    size = height * width
    full = solutions([[0] * size for _ in range(size)], height, width, 1, rng)[0]
    order = [(r, c) for r in range(size) for c in range(size)]
    rng.shuffle(order)
    board = [row[:] for row in full]
    made, step = 0, holes // 2  # many at once where that is safe, then fewer
    while made < holes and order:
        step = max(min(step, holes - made, len(order)), 1)
        taken = order[:step]
        for r, c in taken:
            board[r][c] = 0
        if len(solutions(board, height, width)) == 1:
            made, order = made + step, order[step:]
            continue
        for r, c in taken:
            board[r][c] = full[r][c]
        if step == 1:
            order = order[1:]
        step //= 3
    return {"given": board, "box": [height, width], "solution": full}


def _put_sudoku(problem: Problem, language: str) -> Question:
    height, width = problem["box"]
    drawn = "\n".join(" ".join(map(str, row)) for row in problem["given"])
    text = phrase("sudoku", language).format(size=height * width, height=height, width=width, board=drawn)
    return Question(text, {"kind": "sudoku", "given": problem["given"], "box": problem["box"]}, rows(problem["solution"]))


def _queens(level: int, rng: random.Random) -> Problem:
    size, standing = _QUEENS[level]
    columns = _placed(size, rng)
    stand = sorted(rng.sample(range(size), standing))
    return {"size": size, "given": [[r, columns[r] + 1] for r in stand]}


def _placed(size: int, rng: random.Random) -> list[int]:
    """Row by row in random order, begun again where it leads nowhere."""
    while True:
        columns: list[int] = []
        while len(columns) < size and (free := _free(columns, size)):
            columns.append(rng.choice(free))
        if len(columns) == size:
            return columns


def _free(columns: Sequence[int], size: int) -> list[int]:
    """Columns that no queen of the rows before attacks in the next row."""
    row = len(columns)
    return [c for c in range(size) if all(c != other and abs(c - other) != row - r for r, other in enumerate(columns))]


def _completed(size: int, given: Mapping[int, int], columns: list[int]) -> list[int] | None:
    """The first board, row by row, that has the given queens."""
    if len(columns) == size:
        return columns
    for column in _free(columns, size):
        wanted = given.get(len(columns), column)
        if wanted == column and (found := _completed(size, given, [*columns, column])) is not None:
            return found
    return None


def _put_queens(problem: Problem, language: str) -> Question:
    stand = "; ".join(_STANDS[language].format(r=row + 1, c=column) for row, column in problem["given"])
    text = phrase("queens", language).format(size=problem["size"], given=stand)
    key = {"kind": "queens", "size": problem["size"], "given": problem["given"]}
    solution = _completed(problem["size"], {row: column - 1 for row, column in problem["given"]}, [])
    if solution is None:
        raise ValueError(f"queens: no board has {problem['given']}")
    return Question(text, key, listed(column + 1 for column in solution), phrase("columns", language))


BOARDS: Final[Mapping[str, Family]] = {
    "sudoku": Family("Sudokus with one solution, of 6 by 6 and 9 by 9 cells", ("games", "logic"), _sudoku, _put_sudoku),
    "queens": Family("Queens that do not attack each other", ("games", "logic"), _queens, _put_queens),
}
