"""The interpreter agrees with Python, and of a spoilt function only the one right token makes it whole again."""

import io
import random
import re
import tokenize
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulators.tasks.long_context.bugs import _SLOT, _patterns
from simulators.tasks.long_context.programs import Assign, Binary, Call, Function, If, Literal, Loop, Run, Variable, source
from simulators.tasks.long_context.running import _function

N = Variable("n")


def python(text: str, name: str) -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(text, names)
    return names[name]


def test_the_interpreter_agrees_with_python() -> None:
    rng = random.Random(0)
    for _ in range(200):
        functions = {"g": _function("g", "", rng), "f": _function("f", "g", rng)}
        run = Run(functions)
        argument = rng.randint(-50, 200)
        expected = python("\n".join(source(function) for function in functions.values()), "f")(argument)
        assert run.call("f", argument) == expected
        assert [name for name, _, _ in run.called] == ["g", "f"] and run.called[-1][1:] == (argument, expected)


def test_every_statement_and_operator_is_written_and_run() -> None:
    body = (
        Assign("k", Binary("//", Binary("-", N, Literal(70)), Literal(4))),
        If(Binary("<", Variable("k"), Literal(0)), (Assign("k", Binary("*", Variable("k"), Literal(-3))),)),
        If(
            Binary(">", Variable("k"), Literal(40)),
            (Assign("k", Literal(40)),),
            (Loop(3, (Assign("k", Binary("+", Variable("k"), N)),)),),
        ),
    )
    function = Function("f", "n", body, Binary("%", Variable("k"), Literal(97)))
    whole = python(source(function), "f")
    assert [Run({"f": function}).call("f", n) for n in range(-9, 99)] == [whole(n) for n in range(-9, 99)]


def test_a_program_that_does_not_end_is_refused() -> None:
    endless = Function("f", "n", (Loop(10**9, (Assign("n", N),)),), Call("f", N))
    with pytest.raises(ValueError, match="more than 100000 steps"):
        Run({"f": endless}).call("f", 1)


OPERATORS = ("+", "-", "*", "//", "%", "<", ">", "<=", ">=", "==", "!=", "and", "or", "+=", "-=", "*=")
NAMES = ("first", "second", "left", "right", "x", "y", "price", "quantity", "count", "total", "best")


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("number", range(len(_patterns())))
def test_only_the_right_token_mends_a_spoilt_function(number: int) -> None:
    rng, pattern = random.Random(number), _patterns()[number]
    numbers = rng.sample(range(3, 40), 4) + rng.sample(range(41, 99), 2)
    body = pattern["body"].format(**dict(zip("abcdmn", map(str, numbers), strict=True)))
    spots = list(_SLOT.finditer(body))
    inputs = _inputs(pattern["parameters"], numbers, rng)
    whole = _results(_written(pattern, _SLOT.sub(lambda match: match[1], body)), inputs)
    for chosen in rng.sample(spots, min(3, len(spots))):
        spoilt = _SLOT.sub(lambda match, at=chosen: match[2 if match.start() == at.start() else 1], body)
        assert _results(_written(pattern, spoilt), inputs) != whole
        line = body[: chosen.start()].count("\n")
        edits = _edits(spoilt, numbers)
        mended = {(at, token) for at, token, text in edits if _results(_written(pattern, text), inputs) == whole}
        assert mended == {(line, chosen[1])}


def _written(pattern: dict[str, str], body: str) -> str:
    return f"def f({pattern['parameters']}):\n" + "\n".join(f"    {line}" for line in body.split("\n"))


def _edits(body: str, numbers: list[int]) -> Iterator[tuple[int, str, str]]:
    """Every text with one operator, number or name replaced: line, token, text."""
    lines = body.split("\n")
    near = {str(one + step) for one in (*numbers, 0, 1, 100) for step in (-1, 0, 1)}
    near |= {str(abs(100 + sign * (one - other))) for one in numbers for other in numbers for sign in (1, -1)}
    for token in tokenize.generate_tokens(io.StringIO("if 1:\n" + "\n".join(f" {line}" for line in lines)).readline):
        if token.start[0] == 1 or not re.fullmatch(rf"\d+|[-+*/%<>=!]+|and|or|{'|'.join(NAMES)}", token.string):
            continue
        at, begin, end = token.start[0] - 2, token.start[1] - 1, token.end[1] - 1
        for other in (*OPERATORS, *near, *NAMES):
            if other != token.string and (token.string, other) != ("=", "*="):  # squares grow beyond all bounds
                line = lines[at][:begin] + other + lines[at][end:]
                yield at, other, "\n".join([*lines[:at], line, *lines[at + 1 :]])


def _inputs(parameters: str, numbers: list[int], rng: random.Random) -> list[tuple[Any, ...]]:
    def number() -> int:
        return rng.choice([rng.randint(-50, 150), rng.choice(numbers) + rng.randint(-1, 1)])

    if parameters != "values":
        count = parameters.count(",") + 1
        return [tuple(number() for _ in range(count)) for _ in range(150)] + [(5,) * count, (0,) * count]
    tight = [[numbers[0]], [numbers[4]], [], [numbers[0] + 1], [3 * numbers[4] + numbers[0]], [7, 7]]
    return [(one,) for one in tight] + [([number() for _ in range(rng.randint(1, 6))],) for _ in range(60)]


def _results(text: str, inputs: list[tuple[Any, ...]]) -> list[Any]:
    """What the function gives for each input, up to its first error, which stands there by name."""
    try:
        function = python(text, "f")
    except SyntaxError:
        return ["SyntaxError"]
    found: list[Any] = []
    for arguments in inputs:
        try:
            found.append(function(*arguments))
        except (TypeError, ArithmeticError, ValueError, NameError) as error:
            return [*found, type(error).__name__]
    return found
