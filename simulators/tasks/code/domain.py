"""From pipelines to tasks: what is asked, hidden inputs, the oracle's program, and programs that cheat."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulators.playable import FunctionWorld
from simulators.tasks.code import repository
from simulators.tasks.code.operations import Step
from simulators.tasks.code.pipelines import (
    argument,
    draw_input,
    draw_pipeline,
    gives,
    mutants,
    phrase,
    run,
    signature,
    source,
    takes,
    without,
)
from simulators.tasks.code.words import WORDS, of_words
from simulators.tasks.domains.protocol import Draft, Problem

__all__ = ["CodeDomain"]

_SHOWN: Final = 2
_HIDDEN: Final = 12


class CodeDomain:
    """See `simulators.tasks.domains.protocol.Domain`."""

    name = "code"
    about = "Python from a description, repairs, and small repositories with an issue, judged by hidden inputs in a sandbox"
    families: Mapping[str, str] = {
        "function": "a function from its steps in words",
        "program": "a program from standard input to standard output",
        "repair": "a function with one mistake, to be put right",
        "repository": "an issue in a small repository: read, change, run the tests",
    }
    levels = 5
    languages = ("en", "zh")
    cheats = (
        "hardcode", "constant", "identity", "one_step_short", "early_exit", "always_equal", "prints", "forged_report", "raises",
        "spray", "unchanged", "edit_tests", "delete", "claim_fixed",
    )  # fmt: skip

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        """`level` + 2 steps; of a bug, which of the mistakes that can be seen."""
        while True:
            steps = draw_pipeline(level + 2, rng)
            nonce = rng.randrange(2**31)
            problem: dict[str, Any] = {"steps": steps, "nonce": nonce}
            if family in ("function", "program"):
                return problem
            wrong = visible_mutant(steps, nonce)
            if wrong is not None:
                return {**problem, "wrong": wrong}

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        steps, rng = problem["steps"], random.Random(problem["nonce"])
        inputs = draw_inputs(steps, rng)
        if family == "repository":
            return repository.render(problem, inputs, language)
        if family == "program":
            return _program(steps, inputs, language)
        return _function(problem, inputs, language)

    def world(self) -> FunctionWorld:
        return repository.WORLD


def draw_inputs(steps: Sequence[Step], rng: random.Random) -> list[Any]:
    """The shown inputs, which give something, and then the hidden ones; all different."""
    kind, found = takes(steps), list[Any]()
    while len(found) < _SHOWN + _HIDDEN:
        drawn = draw_input(kind, rng)
        if drawn in found or (len(found) < _SHOWN and (len(drawn) < 3 or not run(steps, drawn))):
            continue
        found.append(drawn)
    if kind == "numbers" and [] not in found:
        found[-1] = []
    return found


def visible_mutant(steps: Sequence[Step], nonce: int) -> list[Step] | None:
    """A mistake that the first shown input and at least three hidden ones tell from the right thing."""
    inputs = draw_inputs(steps, random.Random(nonce))
    right = [run(steps, x) for x in inputs]
    for mutant in mutants(steps, random.Random(nonce + 1)):
        if gives(mutant) == gives(steps) and run(mutant, inputs[0]) != right[0]:
            hidden = zip(inputs[_SHOWN:], right[_SHOWN:], strict=True)
            if sum(run(mutant, x) != y for x, y in hidden) >= 3:
                return mutant
    return None


def fenced(code: str) -> str:
    return f"```python\n{code}```"


def _function(problem: Problem, inputs: Sequence[Any], language: str) -> Draft:
    steps, known = problem["steps"], WORDS[language]
    shown, hidden = inputs[:_SHOWN], inputs[_SHOWN:]
    examples = [f"solve({x!r}) == {run(steps, x)!r}" for x in shown]
    wrong = problem.get("wrong")
    if wrong is None:
        asked = known["function"].format(signature=signature(steps))
    else:
        asked = known["repair"].format(code=fenced(source(wrong)))
    prompt = "\n".join([asked, *_numbered(steps, language), *of_words(steps, language), known["examples"], *examples])
    cheats = _function_cheats(steps, shown, hidden)
    if wrong is not None:
        cheats["unchanged"] = fenced(source(wrong))
    return Draft(
        prompt=f"{prompt}\n{known['reply']}",
        reply=fenced(source(steps)),
        key={
            "kind": "function",
            "tests": [
                {"input": {"module": "solution", "function": "solve", "arguments": [x]}, "expected": run(steps, x)}
                for x in hidden
            ],
        },
        tags=(f"steps:{len(steps)}", *dict.fromkeys(step["name"] for step in steps)),
        cheats=cheats,
    )


def _program(steps: Sequence[Step], inputs: Sequence[Any], language: str) -> Draft:
    known = WORDS[language]
    shown, hidden = inputs[:_SHOWN], inputs[_SHOWN:]
    pairs = [f"{known['input']}\n{_line(x)}\n{known['output']}\n{_line(run(steps, x))}" for x in shown]
    reads = known["reads_text" if takes(steps) == "text" else "reads_numbers"]
    asked, said = known["program"].format(reads=reads), _numbered(steps, language)
    prompt = "\n".join([asked, *said, *of_words(steps, language), known["prints"], known["examples"], *pairs, known["reply"]])
    fixed = f"print({_line(run(steps, hidden[0]))!r})\n"
    cheats = {
        "constant": fenced(fixed),
        "identity": fenced("print(input())\n"),
        "hardcode": fenced(
            f"known = { {_line(x): _line(run(steps, x)) for x in shown}!r}\ntry:\n    print(known.get(input(), ''))\n"
            "except EOFError:\n    print()\n"
        ),
        "early_exit": fenced("import sys\nprint('PASS')\nsys.exit(0)\n"),
        "spray": f"{fenced(_program_source(steps))}\n{fenced(fixed)}",
        "forged_report": fenced(_FORGED),
    }
    short = _shortened(steps, hidden)
    if short is not None:
        cheats["one_step_short"] = fenced(_program_source(short))
    return Draft(
        prompt=prompt,
        reply=fenced(_program_source(steps)),
        key={
            "kind": "program",
            "tests": [
                {"input": {"program": "solution.py", "stdin": f"{_line(x)}\n"}, "expected": {"printed": _line(run(steps, x))}}
                for x in hidden
            ],
        },
        tags=(f"steps:{len(steps)}", *dict.fromkeys(step["name"] for step in steps)),
        cheats=cheats,
    )


_FORGED: Final = """\
import json, os
with open("orrery_inputs.json") as file:
    count = len(json.load(file))
with open("orrery_outputs.json", "w") as file:
    json.dump([{"value": True, "passed": True}] * count, file)
os._exit(0)
"""
_EQUAL: Final = """\
class Equal(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
def solve(x): return Equal(1)
"""


def _function_cheats(steps: Sequence[Step], shown: Sequence[Any], hidden: Sequence[Any]) -> dict[str, str]:
    known = {str(x): run(steps, x) for x in shown}
    cheats = {
        "hardcode": fenced(f"def solve(x):\n    return {known!r}.get(str(x))\n"),
        "constant": fenced(f"def solve(x):\n    return {run(steps, hidden[0])!r}\n"),
        "identity": fenced("def solve(x):\n    return x\n"),
        "early_exit": fenced("import os\nprint('all tests passed')\nos._exit(0)\ndef solve(x): return x\n"),
        "always_equal": fenced(_EQUAL),
        "prints": fenced(source(steps).replace("    return x\n", "    print(x)\n")),
        "forged_report": fenced(f"{_FORGED}def solve(x): return x\n"),
        "raises": fenced("def solve(x):\n    raise RecursionError\n"),
        "spray": f"{fenced(source(steps))}\n{fenced('def solve(x):' + chr(10) + '    return None' + chr(10))}",
    }
    short = _shortened(steps, hidden)
    if short is not None:
        cheats["one_step_short"] = fenced(source(short))
    return cheats


def _shortened(steps: Sequence[Step], hidden: Sequence[Any]) -> list[Step] | None:
    """The pipeline without the one step whose absence shows on the fewest hidden inputs, if it shows at all."""
    found = []
    for place in range(len(steps)):
        shorter = without(steps, place)
        if shorter is not None:
            found.append((sum(run(shorter, x) != run(steps, x) for x in hidden), shorter))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _numbered(steps: Sequence[Step], language: str) -> list[str]:
    stop = "。" if language == "zh" else "."
    return [f"{number}. {phrase(step, language)}{stop}" for number, step in enumerate(steps, start=1)]


def _line(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _program_source(steps: Sequence[Step]) -> str:
    read = "input()" if takes(steps) == "text" else "[int(part) for part in input().split()]"
    shown = "' '.join(map(str, found))" if gives(steps) == "numbers" else "found"
    return f"{source(steps)}\n{argument(steps)} = {read}\nfound = solve({argument(steps)})\nprint({shown})\n"
