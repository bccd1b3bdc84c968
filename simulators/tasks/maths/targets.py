"""24-game and countdown: make a number from given ones. A solution is found, or the problem was built from one."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.phrases import phrase

__all__ = ["TARGETS"]

_Tree = tuple[str, "int | _Tree", "int | _Tree"]

_TWENTY_FOUR: Final = {1: (4, 40), 2: (5, 50), 3: (6, 60)}
"""By level: how many numbers, and the largest."""
_COUNTDOWN: Final = {1: (4, 50, 10, 199), 2: (5, 75, 100, 999), 3: (6, 100, 100, 9999)}
"""By level: how many numbers, the largest, and the range of targets."""


def _split(value: int, count: int, largest: int, rng: random.Random) -> "int | _Tree | None":
    """A random calculation of `value` from `count` numbers up to `largest`; None where this try led nowhere."""
    if count == 1:
        return value if 1 <= value <= largest else None
    left = rng.randint(1, count - 1)
    sign = rng.choice("+-*/")
    reach = largest if left == 1 else largest * 3
    if sign == "*":
        divisors = [d for d in range(2, min(abs(value), reach) + 1) if value % d == 0]
        if not divisors:
            return None
        a = rng.choice(divisors)
        b = value // a
    else:
        a = rng.randint(1, reach)
        if sign == "/":  # (a * value) / a
            a, b = a * value, a
        else:
            b = value - a if sign == "+" else a - value
    one, two = _split(a, left, largest, rng), _split(b, count - left, largest, rng)
    return None if one is None or two is None else (sign, one, two)


def _numbers(tree: "int | _Tree") -> list[int]:
    return [tree] if isinstance(tree, int) else [*_numbers(tree[1]), *_numbers(tree[2])]


def _written(tree: "int | _Tree") -> str:
    return str(tree) if isinstance(tree, int) else f"({_written(tree[1])} {tree[0]} {_written(tree[2])})"


class _Solver:
    """Finds a calculation without fractions in between. Up to four numbers all values are known; more are split in two."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers
        self.known: dict[int, dict[int, _Tree | int]] = {}

    def values(self, chosen: int) -> dict[int, "_Tree | int"]:
        """By value: a calculation with exactly the numbers of the bit set `chosen`."""
        if chosen not in self.known:
            found: dict[int, _Tree | int] = {}
            if chosen & (chosen - 1) == 0:
                number = self.numbers[chosen.bit_length() - 1]
                found[number] = number
            for part in _parts(chosen):
                for a, one in self.values(part).items():
                    for b, two in self.values(chosen ^ part).items():
                        found.setdefault(a + b, ("+", one, two))
                        found.setdefault(a - b, ("-", one, two))
                        found.setdefault(a * b, ("*", one, two))
                        if b and a % b == 0:
                            found.setdefault(a // b, ("/", one, two))
            self.known[chosen] = found
        return self.known[chosen]

    def solve(self, chosen: int, target: int) -> "_Tree | int | None":
        if chosen.bit_count() <= 4:
            return self.values(chosen).get(target)
        for part in sorted(_parts(chosen), key=lambda part: -min(part.bit_count(), (chosen ^ part).bit_count())):
            rest = chosen ^ part
            if part.bit_count() > rest.bit_count():
                continue
            for b, two in self.values(part).items():
                wanted = [("+", target - b), ("-", target + b)]
                if b:
                    wanted += [("/", target * b)] + [("*", target // b)] * (target % b == 0)
                for sign, a in wanted:
                    if (one := self.solve(rest, a)) is not None:
                        return (sign, one, two)
                if (one := self.solve(rest, b - target)) is not None:
                    return ("-", two, one)
        return None


def _parts(chosen: int) -> Iterator[int]:
    """Proper subsets of a bit set that are not empty."""
    part = (chosen - 1) & chosen
    while part:
        yield part
        part = (part - 1) & chosen


def _twenty_four(level: int, rng: random.Random) -> Problem:
    count, largest = _TWENTY_FOUR[level]
    while True:
        numbers = sorted(rng.randint(1, largest) for _ in range(count))
        if _Solver(numbers).solve((1 << count) - 1, 24) is not None:
            return {"numbers": numbers, "target": 24}


def _countdown(level: int, rng: random.Random) -> Problem:
    count, largest, low, high = _COUNTDOWN[level]
    target = rng.randint(low, high)
    while (tree := _split(target, count, largest, rng)) is None:
        pass
    return {"numbers": sorted(_numbers(tree)), "target": target}


def _put(problem: Problem, language: str) -> Question:
    numbers: list[int] = problem["numbers"]
    text = phrase("target", language).format(target=problem["target"], numbers=", ".join(map(str, numbers)))
    return Question(
        text, {"kind": "target", "numbers": numbers, "target": problem["target"]}, _solution(numbers, problem["target"])
    )


def _solution(numbers: Sequence[int], target: int) -> str:
    tree = _Solver(numbers).solve((1 << len(numbers)) - 1, target)
    if tree is None:
        raise ValueError(f"{target} cannot be made from {numbers} without fractions")
    return _written(tree)[1:-1]


TARGETS: Final[Mapping[str, Family]] = {
    "twenty_four": Family("Make 24", ("games", "arithmetic"), _twenty_four, _put),
    "countdown": Family("Make a number from others", ("games", "arithmetic"), _countdown, _put),
}
