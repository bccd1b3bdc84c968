"""Programs as a few steps one after the other: drawn so that every step matters, in words, as Python, and run by ourselves."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulators.tasks.code.operations import OPERATIONS, Kind, Step, draw_step, run_step

__all__ = ["draw_input", "draw_pipeline", "gives", "mutants", "phrase", "run", "signature", "source", "takes", "without"]

Pipeline = Sequence[Step]

_MOST: Final = 2**53
"""Numbers stay below this, so that every JSON reader has them right."""
_TRIES: Final = 24
"""Inputs on which every step must matter now and then."""
_TYPES: Final[Mapping[Kind, str]] = {"numbers": "list[int]", "number": "int", "text": "str"}
_SIBLINGS: Final = {
    "keep_multiples": "drop_multiples", "keep_greater": "keep_less", "sort": "sort_down", "take": "skip",
    "running_sums": "running_maxima", "distinct": "merge_equal", "square": "absolute", "reverse_words": "sort_words",
    "total": "alternating", "spread": "count_distinct", "every": "negate_every", "reverse_text": "reverse_words",
}  # fmt: skip


def draw_pipeline(length: int, rng: random.Random) -> list[dict[str, Any]]:
    """So many steps, none of which can be left out without a difference, and results that fit in 53 bits."""
    while True:
        kind: Kind = rng.choice(("numbers", "numbers", "text"))
        steps: list[dict[str, Any]] = []
        for place in range(length):
            last = place == length - 1
            wanted: tuple[Kind, ...] = ("numbers",) if kind == "numbers" else ("text", "numbers")
            if last and kind == "numbers" and rng.random() < 0.5:
                wanted = ("number",)
            steps.append(draw_step(kind, wanted, rng))
            kind = OPERATIONS[steps[-1]["name"]].gives
        if _is_sound(steps, random.Random(rng.getrandbits(64))):
            return steps


def takes(steps: Pipeline) -> Kind:
    return OPERATIONS[steps[0]["name"]].takes


def gives(steps: Pipeline) -> Kind:
    return OPERATIONS[steps[-1]["name"]].gives


def run(steps: Pipeline, x: Any) -> Any:
    """The result, by our own functions."""
    for step in steps:
        x = run_step(step, x)
    return x


def draw_input(kind: Kind, rng: random.Random) -> Any:
    """Up to twelve numbers of two digits, or up to seven words."""
    if kind == "numbers":
        return [rng.randint(-50, 99) for _ in range(rng.choice((0, 1, 5, 8, 9, 10, 11, 12)))]
    letters = "aabcdeeefghiijklmnoooprsttuuvwy"
    return " ".join("".join(rng.choices(letters, k=rng.randint(1, 8))) for _ in range(rng.randint(1, 7)))


def without(steps: Pipeline, place: int) -> list[Step] | None:
    """The pipeline without one step; None where the others do not fit together."""
    operation = OPERATIONS[steps[place]["name"]]
    rest = [step for i, step in enumerate(steps) if i != place]
    return rest if rest and operation.takes == operation.gives else None


def mutants(steps: Pipeline, rng: random.Random) -> list[list[Step]]:
    """Pipelines that are wrong in one place: another number, a sibling of the step, a step less, two steps swapped."""
    found: list[list[Step]] = []
    for place, step in enumerate(steps):
        operation = OPERATIONS[step["name"]]
        for i, value in enumerate(step["values"]):
            low, high = operation.ranges[i]
            other = value + rng.choice((-1, 1))
            if low <= other <= high:
                values = [other if j == i else old for j, old in enumerate(step["values"])]
                found.append(_with(steps, place, {"name": step["name"], "values": values}))
        sibling = _SIBLINGS.get(step["name"])
        if sibling is not None and len(OPERATIONS[sibling].ranges) == len(step["values"]):
            found.append(_with(steps, place, {"name": sibling, "values": step["values"]}))
        shorter = without(steps, place)
        if shorter is not None:
            found.append(shorter)
        if place + 1 < len(steps) and _same_kind(operation, OPERATIONS[steps[place + 1]["name"]]):
            swapped = list(steps)
            swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
            found.append(swapped)
    found = [mutant for mutant in found if mutant != list(steps)]
    rng.shuffle(found)
    return found


def phrase(step: Step, language: str) -> str:
    operation = OPERATIONS[step["name"]]
    return _filled(operation.chinese if language == "zh" else operation.english, step)


def signature(steps: Pipeline, name: str = "solve") -> str:
    """``solve(numbers: list[int]) -> int``."""
    return f"{name}({argument(steps)}: {_TYPES[takes(steps)]}) -> {_TYPES[gives(steps)]}"


def argument(steps: Pipeline) -> str:
    return "text" if takes(steps) == "text" else "numbers"


def expression(step: Step) -> str:
    """The step as an expression of ``x``."""
    return _filled(OPERATIONS[step["name"]].code, step)


def source(steps: Pipeline, name: str = "solve") -> str:
    """A Python function that does the steps."""
    lines = [f"def {signature(steps, name)}:", f"    x = {argument(steps)}"]
    lines += [f"    x = {expression(step)}" for step in steps]
    return "\n".join([*lines, "    return x", ""])


def _filled(text: str, step: Step) -> str:
    for name, value in zip("ab", step["values"], strict=False):
        text = text.replace(f"{{{name}}}", str(value))
    return text


def _with(steps: Pipeline, place: int, step: Step) -> list[Step]:
    return [step if i == place else old for i, old in enumerate(steps)]


def _same_kind(one: Any, two: Any) -> bool:
    return bool(one.takes == one.gives == two.takes == two.gives)


def _is_sound(steps: Pipeline, rng: random.Random) -> bool:
    inputs = [draw_input(takes(steps), rng) for _ in range(_TRIES)]
    wanted = [run(steps, x) for x in inputs]
    if len({str(result) for result in wanted}) < _TRIES // 2 or any(_too_large(result) for result in wanted):
        return False
    for place in range(len(steps)):
        shorter = without(steps, place)
        if shorter is not None and sum(run(shorter, x) != y for x, y in zip(inputs, wanted, strict=True)) < _TRIES // 4:
            return False
    return True


def _too_large(result: Any) -> bool:
    if isinstance(result, str):
        return len(result) > 500
    numbers = result if isinstance(result, list) else [result]
    return any(abs(number) >= _MOST for number in numbers)
