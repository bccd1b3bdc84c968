"""What docs/gym/maths.md quotes: ``python tests/simulators/tasks/maths/measuring.py WHAT [COUNT] [FAMILY ...]``, where WHAT is

- ``guessing``: how often the best fixed answer is right;
- ``distinct``: how many of so many draws differ;
- ``scorers``: what the scorers of reasoning-gym give to wrong answers;
- ``lenient``: what math-verify says to answers that are not those that were asked for.

None of it is a test.
"""

import random
import sys
import time
from collections import Counter

import reasoning_gym
from math_verify import parse, verify
from reasoning_gym.factory import DATASETS

from rewards.verifiers.maths.kinds import is_right
from rewards.verifiers.maths.numbers import unwrapped
from rewards.verifiers.maths.puzzles import CHECKERS
from simulators.tasks.domains.stream import problem_id
from simulators.tasks.maths.domain import FAMILIES
from trajectories.seeds import derive_rng


def guessing(count: int, names: list[str]) -> None:
    """The share of problems that the best of the twelve most common answers solves, by family and level."""
    for name in names:
        line = []
        for level in (1, 2, 3):
            problems = [FAMILIES[name].draw(level, derive_rng(0, "guess", name, level, number)) for number in range(count)]
            asked = [FAMILIES[name].put(problem, "en") for problem in problems]
            common = Counter(question.answer for question in asked).most_common(12)
            best = common[0][1]
            if asked[0].key["kind"] in CHECKERS or asked[0].key.keys() & {"tolerance", "relative"}:
                best = max(sum(is_right(answer, question.key) for question in asked) for answer, _ in common)
            line.append(f"{best / count:6.2%}")
        print(f"{name:24s}", *line, flush=True)


def distinct(count: int, names: list[str]) -> None:
    """Different problems among `count` draws with generators of their own, by family and level."""
    for name in names:
        for level in (1, 2, 3):
            start = time.perf_counter()
            found = {
                int(
                    problem_id("maths", name, FAMILIES[name].draw(level, derive_rng(0, "distinct", name, level, number)))[:16], 16
                )
                for number in range(count)
            }
            print(f"{name:24s} {level} {len(found)} of {count} in {time.perf_counter() - start:.0f} s", flush=True)


def scorers(count: int, names: list[str]) -> None:
    """The highest score of the library's scorer for wrong answers, over `count` items of each of its data sets with defaults."""
    for name in names:
        highest: Counter[str] = Counter()
        for seed in range(count):
            try:
                data = reasoning_gym.create_dataset(name, seed=seed * 7919, size=1)
                item = data[0]
            except Exception as error:
                print(f"{name:24s} cannot be drawn from: {error}"[:90])
                break
            for cheat, said in _wrong(item["question"], str(item["answer"])).items():
                try:
                    highest[cheat] = max(highest[cheat], float(data.score_answer(said, item)))  # type: ignore[assignment]
                except Exception as error:
                    highest[f"{cheat} raised {type(error).__name__}"] = 1
        if any(highest.values()):
            print(f"{name:24s}", ", ".join(f"{cheat} {value:.2f}" for cheat, value in highest.items() if value), flush=True)


def _wrong(question: str, answer: str) -> dict[str, str]:
    last = next((place for place in range(len(answer) - 1, -1, -1) if answer[place].isalnum()), 0)
    other = {"9": "8"}.get(answer[last : last + 1], "9") if answer[last : last + 1].isdigit() else "q"
    return {
        "empty": "",
        "space": " ",
        "echo": question,
        "spray": " ".join(map(str, range(-20, 200))) + " yes no true false " + answer,
        "padded": f"perhaps {answer} or something else",
        "near miss": answer[:last] + other + answer[last + 1 :],
    }


_LENIENT = (
    ("3", "1, 2, 3"),
    ("3", "\\{2, 3\\}"),
    ("1/2", "50\\%"),
    ("50", "50\\%"),
    ("46", "12\\ 34"),
    ("46", "12 34"),
    ("64", "2^3^2"),
    ("3", "x = 3"),
    ("3", "3 \\text{ apples}"),
    ("3", "2 or 3"),
    ("3", "3 or 2"),
    ("5", "\\boxed{4} \\boxed{5}"),
    ("(1, 2)", "]1, 2["),
    ("(1, 2)", "x \\in (1, 2)"),
    ("\\{1, 2\\}", "1, 2"),
    ("\\{1, 2\\}", "(1, 2)"),
    ("0.333333", "1/3"),
    ("1/3", "0.333333"),
    ("100000000", "100000000.0000001"),
    ("x^2 + 1", "y = x^2 + 1"),
    ("(x - 1)(x + 1)", "x^2 - 1"),
    ("3", "3 = 4"),
    ("3", "4 = 3"),
    ("3", "not 3"),
    ("-3", "3"),
    ("1,234", "1.234"),
)


def lenient(count: int, names: list[str]) -> None:
    """What math-verify says, as it is meant to be called, to answers that we do not take for `gold`."""
    for gold, said in _LENIENT:
        taken = verify(parse(f"${gold}$"), parse(f"${said}$"))
        plain = verify(parse(f"${gold}$"), parse(said))
        key = {"kind": "number", "answer": gold} if gold.lstrip("-").replace("/", "").isdigit() else None
        ours = is_right(unwrapped(said), key) if key else "-"
        print(f"{gold:18s} {said:24s} in dollars {taken!s:5s} bare {plain!s:5s} ours {ours}")


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    chosen = rest[1:] or (sorted(DATASETS) if what == "scorers" else list(FAMILIES))
    random.seed(0)
    {"guessing": guessing, "distinct": distinct, "scorers": scorers, "lenient": lenient}[what](
        int(rest[0]) if rest else 1000, chosen
    )
