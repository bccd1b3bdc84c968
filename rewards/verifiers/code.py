"""Judges programs by what they give for inputs that nobody was shown: run in the sandbox, compared outside.

Expected values never enter the sandbox. What comes out of it is data, compared here by value and type, so a program that forges
the runner's report, ends it early, prints that it passed, or gives objects that equal everything, has only given wrong values.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rewards.verifiers.judging import judged
from services.sandbox import Limits, Program, Sandbox, SandboxError, shared_sandbox
from trajectories.canonical import canonical_json
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["LIMITS", "CodeVerifier", "code_of", "edited_files", "run_inputs"]

_MOST_CODE: Final = 100_000
"""Characters of a program."""
_MOST_FILES: Final = 200
LIMITS: Final = Limits(wall_seconds=20.0, cpu_seconds=5.0, memory_bytes=512 * 2**20, processes=8, output_bytes=2**20)
_OPENS: Final = re.compile(r"```[ \t]*([A-Za-z0-9_+-]*)")
"""A fence with the language of its block; one of a line without spaces at its end."""
_INPUTS: Final = "orrery_inputs.json"

_RUNNER: Final = '''\
import contextlib, importlib, io, json, os, sys
def plain(value, depth=0):
    if depth > 20:
        return {"strange": "depth"}
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return {"value": value}
    if kind is float:
        return {"float": repr(value)}
    if kind in (list, tuple):
        return {kind.__name__: [plain(item, depth + 1) for item in value]}
    if kind is dict:
        return {"dict": [[plain(k, depth + 1), plain(v, depth + 1)] for k, v in value.items()]}
    return {"strange": kind.__name__}
def feed(text):
    with open("orrery_stdin", "wb") as file:
        file.write(text.encode())
    source = os.open("orrery_stdin", os.O_RDONLY)
    if source:  # a program may have closed 0, and then it is this one
        os.dup2(source, 0)
        os.close(source)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
def main():
    with open("orrery_inputs.json") as file:
        inputs = json.load(file)
    found, sys.path[:0] = [], ["."]
    for item in inputs:
        said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
                if "stdin" in item:
                    feed(item["stdin"])
                    with open(item["program"]) as file:
                        source = file.read()
                    try:
                        exec(compile(source, item["program"], "exec"), {"__name__": "__main__"})
                    except SystemExit as end:
                        if end.code not in (None, 0):
                            raise RuntimeError("exit status")
                    found.append({"value": said.buffer.getvalue().decode()})
                else:
                    function = getattr(importlib.import_module(item["module"]), item["function"])
                    found.append(plain(function(*item["arguments"])))
        except BaseException as error:
            found.append({"error": type(error).__name__})
    with open("orrery_outputs.json", "w") as file:
        json.dump(found, file)
main()
'''


class CodeVerifier:
    """The verifier of domain ``code``.

    Components: ``code`` (there is a program to run), ``ran`` (it came to an end within its limits) and ``tests``, the share of
    the hidden inputs for which it gave what it should; of a repository also ``words``: it was said what was changed, as the
    issue asks. A sandbox that breaks, or refuses, gives no verdict.

    Args:
        sandbox: None for the one that the process shares.
        limits: of one program on all its inputs.
    """

    version = 1

    def __init__(self, sandbox: Sandbox | None = None, limits: Limits = LIMITS) -> None:
        self._sandbox, self._limits = sandbox, limits

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        key = task.key or {}
        return judged(outcome, lambda reply: self._components(key, outcome, reply), grader=f"code/{self.version}")

    def _components(self, key: Mapping[str, Any], outcome: Outcome, reply: str) -> dict[str, float]:
        in_repository = key["kind"] == "repository"
        files = edited_files(key["files"], outcome) if in_repository else _program_files(reply)
        if files is None:
            return {"code": 0.0, "ran": 0.0, "tests": 0.0}
        said = {"words": float(bool(reply.strip()))} if in_repository else {}
        inputs = [test["input"] for test in key["tests"]]
        outputs = run_inputs(self._sandbox or shared_sandbox(), files, inputs, self._limits)
        if outputs is None:
            return {**said, "code": 1.0, "ran": 0.0, "tests": 0.0}
        passed = sum(_same(test["expected"], given) for test, given in zip(key["tests"], outputs, strict=True))
        return {**said, "code": 1.0, "ran": 1.0, "tests": passed / len(inputs)}


def run_inputs(
    sandbox: Sandbox, files: Mapping[str, bytes], inputs: Sequence[Mapping[str, Any]], limits: Limits = LIMITS
) -> list[Any] | None:
    """What a program gives for each input; None where it did not come to an end, or left no report of the right length.

    Args:
        inputs: ``{"module", "function", "arguments"}``, or ``{"program", "stdin"}``.

    Raises:
        SandboxError: the sandbox broke or refused.
    """
    kept = {path: content for path, content in files.items() if not path.startswith(f"{_INPUTS}/")}
    given = {**kept, _INPUTS: json.dumps(list(inputs)).encode()}
    result = sandbox.run(Program.python(_RUNNER), given, limits, ("orrery_outputs.json",))
    if result.ending == "refused":
        raise SandboxError(f"refused: {result.reason}")
    try:
        outputs = json.loads(result.files.get("orrery_outputs.json", b""))
    except (ValueError, RecursionError):
        return None
    return outputs if result.ending == "ok" and isinstance(outputs, list) and len(outputs) == len(inputs) else None


def code_of(reply: str) -> str | None:
    """The last fenced block of a reply, where it is Python or says nothing of its language; None where there is none."""
    if len(reply) > 4 * _MOST_CODE:
        return None
    language, code = "", ""
    opened: tuple[str, list[str]] | None = None
    for line in reply.replace("\r\n", "\n").split("\n"):  # a pattern over all lines takes the square of their number
        fence = line.rstrip(" \t")
        if opened is None:
            opened = (found[1], []) if (found := _OPENS.fullmatch(fence)) else None
        elif fence == "```":
            language, code, opened = opened[0], "".join(f"{inner}\n" for inner in opened[1]), None
        else:
            opened[1].append(line)
    right = language.lower() in ("", "python", "python3", "py") and len(code) <= _MOST_CODE
    return code if right and code.strip() else None


def _program_files(reply: str) -> dict[str, bytes] | None:
    code = code_of(reply)
    return None if code is None else {"solution.py": code.encode("utf-8", "replace")}


def edited_files(files: Mapping[str, str], outcome: Outcome) -> dict[str, bytes] | None:
    """The repository as the agent left it: the tools' own effects, made again from the calls; None where nothing was changed."""
    now, changed = dict(files), False
    for call in outcome.calls:
        if call.is_error or not isinstance(call.arguments, Mapping) or call.name not in ("write_file", "replace_in_file"):
            continue
        path = str(call.arguments["path"])
        if call.name == "write_file":
            now[path] = str(call.arguments["content"])
        else:
            now[path] = now[path].replace(str(call.arguments["old"]), str(call.arguments["new"]), 1)
        changed = True
    if not changed or len(now) > _MOST_FILES or sum(map(len, now.values())) > 10 * _MOST_CODE:
        return None
    return {path: text.encode("utf-8", "replace") for path, text in now.items()}


def _same(expected: Any, given: Any) -> bool:
    """By value and type; of text that a program printed, spaces at the ends of lines and empty lines at the end do not count."""
    if isinstance(expected, Mapping) and "printed" in expected:
        said = given.get("value") if isinstance(given, Mapping) else None
        return isinstance(said, str) and _lines(said) == _lines(expected["printed"])
    return canonical_json(_tagged(expected)) == _canonical(given)


def _canonical(given: Any) -> str:
    try:
        return canonical_json(given)
    except (ValueError, TypeError, RecursionError):
        return ""


def _tagged(value: Any) -> Any:
    """A JSON value as the runner writes it."""
    if isinstance(value, list):
        return {"list": [_tagged(item) for item in value]}
    return {"value": value}


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines
