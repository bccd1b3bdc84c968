"""The maths domain's problems: functions of their draws, provably unique where they say so, and right by other means."""

import hashlib
import itertools
import os
import random
import subprocess
import sys
from collections import deque

import numpy
import pytest
import reasoning_gym
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers.maths.expressions import exact, leaves, plain
from simulators.tasks.domains.stream import DomainMix
from simulators.tasks.maths.boards import BOARDS, solutions
from simulators.tasks.maths.cryptarithms import CRYPTARITHMS, readings
from simulators.tasks.maths.domain import DOMAIN, FAMILIES
from simulators.tasks.maths.library import LIBRARY
from simulators.tasks.maths.morse import MORSE
from simulators.tasks.maths.numbers import NUMBERS
from simulators.tasks.maths.riddles import RIDDLES, holds, orders
from simulators.tasks.maths.targets import TARGETS
from tests.simulators.tasks.domains.checking import certify_sample
from trajectories.canonical import canonical_json, digest
from trajectories.seeds import derive_rng

SLOW = {"cryptarithm", "sudoku", "countdown", "houses", "advanced_geometry", "word_sorting", "knights_knaves"}
families = st.sampled_from(sorted(set(FAMILIES) - SLOW))
levels = st.integers(1, DOMAIN.levels)
seeds = st.integers(0, 2**40)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_every_oracle_passes_and_every_cheat_fails(level: int) -> None:
    """A third of the families at each level, and all of them over the three."""
    count = len(FAMILIES)
    names = tuple(list(FAMILIES)[level - 1 :: 3])
    report = certify_sample(
        "maths", len(names), mix=DomainMix(families=names, levels=(level,), languages=("zh",)), start=level * count * 100
    )
    assert report.certified == report.oracle_passes == report.candidates, report.reasons
    assert set(DOMAIN.cheats) <= set(report.cheat_scores) and max(report.cheat_scores.values()) == 0.0


@settings(max_examples=60, deadline=None)
@given(families, levels, seeds)
def test_a_problem_is_a_function_of_its_draw_and_a_draft_of_its_problem(family: str, level: int, seed: int) -> None:
    problem = DOMAIN.draw(family, level, random.Random(seed))
    assert canonical_json(problem) == canonical_json(DOMAIN.draw(family, level, random.Random(seed)))
    for language in DOMAIN.languages:
        draft = DOMAIN.render(problem, family, level, language)
        assert draft == DOMAIN.render(problem, family, level, language)
        canonical_json(dict(draft.key))
        assert draft.reply.splitlines()[-1].partition(":" if language == "en" else "：")[2].strip() not in ("", "None")
        assert set(draft.cheats) == set(DOMAIN.cheats)
        assert (draft.prompt and "{" not in draft.prompt.replace("{0}", "")) or family in LIBRARY


@settings(max_examples=60, deadline=None)
@given(families, levels, seeds)
def test_levels_and_seeds_give_other_problems(family: str, level: int, seed: int) -> None:
    drawn = {digest(DOMAIN.draw(family, level, derive_rng(seed, "test", number))) for number in range(3)}
    assert len(drawn) > 1


def test_drawing_leaves_the_shared_generators_alone() -> None:
    random.seed(1)
    numpy.random.seed(1)
    before = random.getstate(), numpy.random.get_state()[1].tolist()  # type: ignore[index]
    for family in FAMILIES:
        DOMAIN.draw(family, 1, random.Random(0))
    assert before == (random.getstate(), numpy.random.get_state()[1].tolist())  # type: ignore[index]


_DRAW_ALL = """
import hashlib, random
from simulators.tasks.maths.domain import DOMAIN
from simulators.tasks.maths.library import LIBRARY
from trajectories.canonical import digest
found = [digest(DOMAIN.draw(family, 1, random.Random(7))) for family in LIBRARY]
print(hashlib.sha256("".join(found).encode()).hexdigest())
"""


def test_problems_do_not_depend_on_the_process() -> None:
    """Some of the library's data sets depend on the hash seed; none of those is drawn from."""
    here = [digest(DOMAIN.draw(family, 1, random.Random(7))) for family in LIBRARY]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", _DRAW_ALL], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == hashlib.sha256("".join(here).encode()).hexdigest()


def test_the_library_gives_neighbouring_seeds_the_same_items_and_we_do_not() -> None:
    five, six = (reasoning_gym.create_dataset("chain_sum", seed=seed, size=2) for seed in (5, 6))
    assert five[1]["question"] == six[0]["question"]
    ours = [DOMAIN.draw("chain_sum", 1, derive_rng(0, "problem", number))["question"] for number in range(200)]
    assert len(set(ours)) == len(ours)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_sudokus_have_one_solution(level: int) -> None:
    for seed in range(2):
        problem = BOARDS["sudoku"].draw(level, random.Random(seed))
        assert solutions(problem["given"], *problem["box"]) == [problem["solution"]]
    assert solutions([[0] * 4] * 4, 2, 2, 1000) != [] and len(solutions([[0] * 4] * 4, 2, 2, 1000)) == 288
    assert solutions([[1, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4], 2, 2) == []


def test_additions_in_letters_have_one_reading() -> None:
    assert [sorted(one.items()) for one in readings(["SEND", "MORE"], "MONEY", {})] == [
        sorted(dict(zip("SENDMORY", (9, 5, 6, 7, 1, 0, 8, 2), strict=True)).items())
    ]
    problem = CRYPTARITHMS["cryptarithm"].draw(1, random.Random(3))
    words, total, given_ = problem["words"], problem["total"], problem["given"]
    letters = sorted({letter for word in (*words, total) for letter in word})
    free = [letter for letter in letters if letter not in given_]
    left = [digit for digit in range(10) if digit not in given_.values()]
    count = 0
    for digits in itertools.permutations(left, len(free)):
        value = dict(given_) | dict(zip(free, digits, strict=True))
        numbers = [int("".join(str(value[letter]) for letter in word)) for word in (*words, total)]
        count += sum(numbers[:-1]) == numbers[-1] and all(value[word[0]] for word in (*words, total))
    assert count == 1


@pytest.mark.parametrize("seed", range(3))
def test_clues_leave_one_way_to_fill_the_houses(seed: int) -> None:
    problem = RIDDLES["houses"].draw(1, random.Random(seed))
    kinds, count = list(problem["shown"]), problem["houses"]
    found = []
    for houses in itertools.product(itertools.permutations(range(count)), repeat=len(kinds)):
        at = dict(zip(kinds, houses, strict=True))
        if all(holds(clue, lambda thing, at=at: at[thing[0]][thing[1]]) for clue in problem["clues"]):
            found.append(at)
    assert found == orders(count, kinds, problem["clues"])
    assert len(found) == 1
    assert all(len(orders(count, kinds, [c for c in problem["clues"] if c is not clue])) == 2 for clue in problem["clues"])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["twenty_four", "countdown"]), st.integers(1, 2), seeds)
def test_targets_can_be_made_and_the_oracle_makes_them(family: str, level: int, seed: int) -> None:
    problem = TARGETS[family].draw(level, random.Random(seed))
    tree = plain(TARGETS[family].put(problem, "en").answer)
    assert tree is not None and exact(tree) == problem["target"] and sorted(leaves(tree)) == problem["numbers"]


def test_morse_code_is_the_international_one() -> None:
    assert len(set(MORSE.values())) == len(MORSE) == 36
    assert (MORSE["S"], MORSE["O"], MORSE["Q"], MORSE["7"]) == ("...", "---", "--.-", "--...")


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_dates_agree_with_the_calendar(seed: int) -> None:
    from datetime import date

    problem = NUMBERS["dates"].draw(1 + seed % 3, random.Random(seed))
    one, other = (date(*parts) for parts in problem["dates"])
    assert NUMBERS["dates"].put(problem, "en").answer == str((other - one).days)


def _grid(question: str) -> list[list[str]]:
    """The last block of lines of the question that is a grid."""
    rows: list[list[str]] = []
    for line in reversed(question.strip().splitlines()):
        cells = line.split()
        if (rows and len(cells) != len(rows[0])) or not all(len(cell) == 1 for cell in cells):
            break
        rows.append(cells)
    return rows[::-1]


def _steps_to(rows: list[list[str]], goal: str, start: tuple[int, int], wall: str) -> int:
    seen, queue = {start: 0}, deque([start])
    while queue:
        r, c = queue.popleft()
        if rows[r][c] == goal:
            return seen[r, c]
        for at in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
            if 0 <= at[0] < len(rows) and 0 <= at[1] < len(rows[0]) and rows[at[0]][at[1]] != wall and at not in seen:
                seen[at] = seen[r, c] + 1
                queue.append(at)
    raise AssertionError("no way")


@pytest.mark.parametrize("seed", range(8))
def test_borrowed_answers_are_right_by_other_means(seed: int) -> None:
    level = 1 + seed % 3
    drawn = {name: DOMAIN.draw(name, level, random.Random(seed)) for name in LIBRARY if name not in SLOW}

    rows = drawn["shortest_path"]["key"]["grid"]
    start = next((r, c) for r, row in enumerate(rows) for c, cell in enumerate(row) if cell == "*")
    assert drawn["shortest_path"]["key"]["steps"] == _steps_to(rows, "#", start, "X")

    rows = _grid(drawn["binary_matrix"]["question"])
    wanted = [[str(_steps_to(rows, "0", (r, c), "")) for c in range(len(rows))] for r in range(len(rows))]
    assert drawn["binary_matrix"]["key"]["answer"] == wanted

    rows = _grid(drawn["spiral_matrix"]["question"])
    walked: list[str] = []
    while rows:
        walked += rows.pop(0)
        rows = [list(row) for row in zip(*rows, strict=True)][::-1]
    assert drawn["spiral_matrix"]["key"]["answer"] == walked

    question = drawn["rotate_matrix"]["question"]
    rows = _grid(question)
    turns = int(question.split(" degrees clockwise")[0].rsplit(" ", 1)[1]) // 90 % 4
    for _ in range(turns):
        rows = [list(row) for row in zip(*rows[::-1], strict=True)]
    assert drawn["rotate_matrix"]["key"]["answer"] == rows

    key = drawn["kakurasu"]["key"]
    lines = [
        [
            bits
            for bits in itertools.product((0, 1), repeat=len(key["columns"]))
            if sum(i * b for i, b in enumerate(bits, 1)) == total
        ]
        for total in key["rows"]
    ]
    if level == 1:
        fits = [
            one
            for one in itertools.product(*lines)
            if [sum(i * row[c] for i, row in enumerate(one, 1)) for c in range(len(key["columns"]))] == key["columns"]
        ]
        assert len(fits) == 1

    given_ = drawn["mini_sudoku"]["key"]["given"]
    assert len(solutions(given_, 2, 2)) == 1

    edges = drawn["path_star"]["question"].rsplit("task:", 1)[1].strip().split("/")[0].strip("|").split("|")
    path = drawn["path_star"]["key"]["answer"]
    assert {f"{a} {b}" for a, b in itertools.pairwise(path)} <= set(edges)
