"""Small repositories with an issue: files, tools to read, change and test them, and one mistake somewhere.

What the agent's changes come to is made again from its calls by the verifier; nothing but the calls leaves an episode.
"""

import random
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final

from services.sandbox import Limits, Program, SandboxError, shared_sandbox
from simulators.playable import FunctionWorld, ToolError
from simulators.tasks.code.operations import OPERATIONS, Step
from simulators.tasks.code.pipelines import argument, draw_input, expression, phrase, run, signature
from simulators.tasks.code.words import WORDS, of_words
from simulators.tasks.domains.protocol import Draft, Problem
from simulators.tasks.oracle import Plan
from trajectories.messages import ToolSpec
from trajectories.tasks import GoldCall, RecordPatch

__all__ = ["WORLD", "render"]

_STEPS, _REPORT, _TESTS, _README = "toolbox/steps.py", "toolbox/report.py", "tests/test_report.py", "README.md"
_MOST_FILE: Final = 50_000
_MOST_FILES: Final = 40
_MOST_OUTPUT: Final = 4_000
_LIMITS: Final = Limits(wall_seconds=10.0, cpu_seconds=5.0, memory_bytes=512 * 2**20, processes=8, output_bytes=2**16)

_RUN_TESTS: Final = '''\
import os, sys, unittest
sys.path.insert(0, ".")
class Told(unittest.TestResult):
    def addSuccess(self, test): print("ok", test.id())
    def addFailure(self, test, error): print("FAIL", test.id(), str(error[1])[:300])
    def addError(self, test, error): print("ERROR", test.id(), type(error[1]).__name__, str(error[1])[:300])
unittest.TestLoader().discover("tests", top_level_dir=".").run(Told())
'''


def render(problem: Problem, inputs: Sequence[Any], language: str) -> Draft:
    """The repository with the wrong step where the right one should be.

    Args:
        inputs: the first shows the mistake; all but the first two are hidden.
    """
    steps, wrong, rng = problem["steps"], problem["wrong"], random.Random(problem["nonce"] + 2)
    extra = _extra(steps, rng)
    broken, right = _files(steps, wrong, extra, inputs, language), _files(steps, steps, extra, inputs, language)
    first, known = inputs[0], WORDS[language]
    wrong_files = [name for name in (_STEPS, _REPORT) if broken[name] != right[name]]
    prompt = known["issue"].format(name="report", input=repr(first), wrong=repr(run(wrong, first)), right=repr(run(steps, first)))
    fix = [_write(name, right[name]) for name in wrong_files]
    look = [GoldCall("list_files"), GoldCall("read_file", {"path": _README}), GoldCall("read_file", {"path": _STEPS})]
    look.append(GoldCall("read_file", {"path": _REPORT}))
    reply = known["fixed"].format(path=wrong_files[0])
    tests = [_test("report", "report", x, run(steps, x)) for x in inputs[2:]]
    tests += [_test("steps", _name(step), x, run([step], x)) for step in extra for x in _inputs(step, rng)]
    shown = {repr(first): run(steps, first), repr(inputs[1]): run(steps, inputs[1])}
    hardcoded = f"def report(x):\n    return {shown!r}.get(repr(x))\n"
    return Draft(
        prompt=prompt,
        reply=reply,
        key={"kind": "repository", "files": broken, "tests": tests},
        calls=(*look, *fix, GoldCall("run_tests")),
        world="code",
        patches=(RecordPatch("repository", "files", dict(broken)),),
        tags=(f"steps:{len(steps)}", f"in:{wrong_files[0]}"),
        cheats={
            "unchanged": Plan.one_by_one([*look, GoldCall("run_tests")], reply),
            "claim_fixed": reply,
            "edit_tests": Plan.one_by_one([_write(_TESTS, "import unittest\n"), GoldCall("run_tests")], reply),
            "delete": Plan.one_by_one([_write(_REPORT, "")], reply),
            "hardcode": Plan.one_by_one([_write(_REPORT, hardcoded)], reply),
            "constant": Plan.one_by_one([_write(_REPORT, f"def report(x):\n    return {run(steps, first)!r}\n")], reply),
        },
    )


def _files(
    steps: Sequence[Step], made: Sequence[Step], extra: Sequence[Step], inputs: Sequence[Any], language: str
) -> dict[str, str]:
    """The repository whose report does `made` and whose words say `steps`."""
    known, first = WORDS[language], inputs[0]
    said = [f"{number}. {phrase(step, language)}" for number, step in enumerate(steps, start=1)]
    told = "\n".join([*said, *of_words([*steps, *extra], language)])
    names = [_name(step) for step in steps]
    same_form = len(made) == len(steps) == len(set(names)) and sorted(map(_name, made)) != sorted(names)
    # A wrong number or a wrong step stands inside a function of the right name; anything else is in the composition.
    named = list(zip(steps, made, strict=True)) if same_form else [(step, step) for step in (*steps, *made)]
    functions = {_name(right): _definition(right, wrong, language) for right, wrong in named}
    functions |= {_name(step): _definition(step, step, language) for step in extra}
    called = steps if same_form else made
    names = list(dict.fromkeys(_name(step) for step in called))
    body = "".join(f"    x = {_name(step)}(x)\n" for step in called)
    report = f"from toolbox.steps import {', '.join(names)}\n\n\ndef {signature(steps, 'report')}:\n    x = {argument(steps)}\n"
    checks = [("report", f"report({first!r})", run(steps, first))]
    checks += [(_name(step), f"{_name(step)}({x!r})", run([step], x)) for step in extra for x in [_sample(step)]]
    case = "    def test_{}(self):\n        self.assertEqual({}, {!r})\n\n"
    cases = "".join(case.format(*check) for check in checks)
    imported = f"from toolbox.report import report\nfrom toolbox.steps import {', '.join(_name(step) for step in extra)}\n"
    return {
        _README: known["readme"].format(signature=signature(steps, "report"), steps=told),
        "toolbox/__init__.py": "",
        _STEPS: "\n\n".join(functions[name] for name in sorted(functions)),
        _REPORT: f"{report}{body}    return x\n",
        "tests/__init__.py": "",
        _TESTS: f"import unittest\n\n{imported}\n\nclass Tests(unittest.TestCase):\n{cases}",
    }


def _extra(steps: Sequence[Step], rng: random.Random) -> list[Step]:
    """Two steps that the report does not use."""
    used = {step["name"] for step in steps}
    free = sorted(name for name, operation in OPERATIONS.items() if name not in used and operation.takes == "numbers")
    chosen = rng.sample(free, 2)
    return [{"name": name, "values": [rng.randint(*ends) for ends in OPERATIONS[name].ranges]} for name in chosen]


def _name(step: Step) -> str:
    return "_".join([step["name"], *(str(value).replace("-", "minus") for value in step["values"])])


def _definition(right: Step, made: Step, language: str) -> str:
    return f'def {_name(right)}(x):\n    """{phrase(right, language)}"""\n    return {expression(made)}\n'


def _sample(step: Step) -> Any:
    return draw_input(OPERATIONS[step["name"]].takes, random.Random(7))


def _inputs(step: Step, rng: random.Random) -> list[Any]:
    return [draw_input(OPERATIONS[step["name"]].takes, rng) for _ in range(2)]


def _test(module: str, function: str, x: Any, expected: Any) -> dict[str, Any]:
    return {"input": {"module": f"toolbox.{module}", "function": function, "arguments": [x]}, "expected": expected}


def _write(path: str, content: str) -> GoldCall:
    return GoldCall("write_file", {"path": path, "content": content})


Files = MutableMapping[str, str]


def _list_files(files: Files, arguments: Mapping[str, Any]) -> Any:
    return sorted(files)


def _read_file(files: Files, arguments: Mapping[str, Any]) -> Any:
    return {"content": files[_known(files, arguments["path"])]}


def _write_file(files: Files, arguments: Mapping[str, Any]) -> Any:
    path: str = arguments["path"]
    if path not in files and (len(files) >= _MOST_FILES or not _can_be(path)):
        raise ToolError(f"{path[:80]!r} cannot be written")
    if any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in files):
        raise ToolError(f"{path[:80]!r} is a folder, or lies in a file")
    files[path] = arguments["content"]
    return {"written": len(arguments["content"])}


def _can_be(path: str) -> bool:
    """Whether a new file may have this path; names of the runner's own files would be in its way."""
    parts = path.split("/")
    plain = all(part.strip(".") and len(part.encode("utf-8", "replace")) <= 100 for part in parts)
    return plain and len(path) <= 500 and "\0" not in path and not path.startswith("orrery_")


def _replace_in_file(files: Files, arguments: Mapping[str, Any]) -> Any:
    path = _known(files, arguments["path"])
    count = files[path].count(arguments["old"])
    if count != 1:
        raise ToolError(f"the text to be replaced stands {count} times in {path}; give one that stands there once")
    files[path] = files[path].replace(arguments["old"], arguments["new"], 1)
    return {"replaced": 1}


def _run_tests(files: Files, arguments: Mapping[str, Any]) -> Any:
    content = {path: text.encode("utf-8", "replace") for path, text in files.items()}
    result = shared_sandbox().run(Program.python(_RUN_TESTS), content, _LIMITS)
    if result.ending == "refused":
        raise SandboxError(f"refused: {result.reason}")
    said = result.stdout.decode("utf-8", "replace")
    return {"ending": result.ending, "output": said[:_MOST_OUTPUT]}


def _known(files: Files, path: str) -> str:
    if path not in files:
        raise ToolError(f"there is no file {path[:80]!r}")
    return path


def _spec(name: str, description: str, **properties: str) -> ToolSpec:
    fields = {key: {"type": "string", "description": text, "maxLength": _MOST_FILE} for key, text in properties.items()}
    schema = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return ToolSpec(name, description, schema)


def _begin(seed: int, patches: tuple[RecordPatch, ...]) -> Files:
    if len(patches) != 1 or patches[0].entity != "repository":
        raise ValueError("code: a repository is one patch, with its files")
    return dict(patches[0].fields)  # each episode has files of its own


WORLD: Final = FunctionWorld(
    "code",
    "You are a software engineer. You work on a small Python repository with the tools you have.",
    _begin,
    [
        (_spec("list_files", "Paths of all files."), _list_files),
        (_spec("read_file", "One file.", path="as list_files gives it"), _read_file),
        (_spec("write_file", "Writes a file, new or not.", path="relative path", content="the whole file"), _write_file),
        (
            _spec("replace_in_file", "Replaces a text that stands once in a file.", path="of it", old="what", new="by what"),
            _replace_in_file,
        ),
        (_spec("run_tests", "Runs the tests under tests/ and tells which pass."), _run_tests),
    ],
)
