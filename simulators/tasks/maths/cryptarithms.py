"""Additions in letters with one solution, which a solver proves."""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from simulators.tasks.domains.protocol import Problem
from simulators.tasks.maths.family import Family, Question
from simulators.tasks.maths.forms import listed
from simulators.tasks.maths.phrases import phrase

__all__ = ["CRYPTARITHMS", "readings"]

_SIZES: Final = {1: (2, 3, 4, 3), 2: (2, 4, 6, 1), 3: (3, 4, 6, 2)}
"""By level: how many numbers are added, their fewest and most digits, and how many digits may be given away."""

_HINTS: Final = {"en": "It is known that {hints}. ", "zh": "已知 {hints}。"}


def readings(words: Sequence[str], total: str, given: Mapping[str, int], limit: int = 2) -> list[dict[str, int]]:
    """The first `limit` ways to read the letters of which some are `given`, column by column from the right."""
    width = len(total)
    columns = [[word[-1 - place] for word in words if place < len(word)] for place in range(width)]
    results = [total[-1 - place] for place in range(width)]
    firsts = {word[0] for word in (*words, total)}
    value = dict(given)
    used = set(given.values())
    found: list[dict[str, int]] = []

    def give(letter: str, digit: int) -> bool:
        if digit in used or (digit == 0 and letter in firsts):
            return False
        value[letter] = digit
        used.add(digit)
        return True

    def take(letter: str) -> None:
        used.discard(value.pop(letter))

    def column(place: int, index: int, carried: int) -> None:
        """Digits for the letters of a column, then for its result, then on to the left."""
        if len(found) >= limit:
            return
        if place == width:
            if carried == 0:
                found.append(dict(value))
            return
        letters = columns[place]
        if index < len(letters):
            letter = letters[index]
            if letter in value:
                column(place, index + 1, carried)
                return
            for digit in range(10):
                if give(letter, digit):
                    column(place, index + 1, carried)
                    take(letter)
            return
        carry, digit = divmod(sum(value[letter] for letter in letters) + carried, 10)
        result = results[place]
        if result in value:
            if value[result] == digit:
                column(place + 1, 0, carry)
        elif give(result, digit):
            column(place + 1, 0, carry)
            take(result)

    if len({letter for word in (*words, total) for letter in word}) <= 10:
        column(0, 0, 0)
    return found


def _draw(level: int, rng: random.Random) -> Problem:
    """Random additions, until one in letters has a single reading; letters are named in the order in which they come."""
    count, fewest, most, hints = _SIZES[level]
    while True:
        lengths = [rng.randint(fewest, most) for _ in range(count)]
        numbers = sorted((rng.randrange(10 ** (length - 1), 10**length) for length in lengths), reverse=True)
        total = sum(numbers)
        digits = "".join(map(str, [*numbers, total]))
        if len(set(digits)) < 7:
            continue
        letters = {digit: chr(ord("A") + index) for index, digit in enumerate(dict.fromkeys(digits))}
        words = ["".join(letters[digit] for digit in str(number)) for number in (*numbers, total)]
        told = rng.sample(sorted(letters.values()), hints)
        for count_told in range(hints + 1):
            given = {letter: int(digit) for digit, letter in letters.items() if letter in told[:count_told]}
            if len(readings(words[:-1], words[-1], given)) == 1:
                return {"words": words[:-1], "total": words[-1], "given": given}


def _put(problem: Problem, language: str) -> Question:
    words, total = problem["words"], problem["total"]
    given = problem["given"]
    answer = dict(sorted(readings(words, total, given, 1)[0].items()))
    hints = listed(f"{letter} = {digit}" for letter, digit in sorted(given.items()))
    said = _HINTS[language].format(hints=hints) if hints else ""
    text = phrase("cryptarithm", language).format(sum=f"{' + '.join(words)} = {total}", hints=said)
    return Question(
        text, {"kind": "assignment", "answer": answer}, listed(f"{letter}={digit}" for letter, digit in answer.items())
    )


CRYPTARITHMS: Final[Mapping[str, Family]] = {
    "cryptarithm": Family("Additions in letters with one solution", ("games", "logic", "arithmetic"), _draw, _put),
}
