"""What the verifier of programs lets through, and what it does not."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.verifiers.code import LIMITS, CodeVerifier, code_of
from services.sandbox import Sandbox, SandboxConfig, SandboxError, SandboxResult, open_sandbox
from trajectories.messages import Message
from trajectories.outcomes import CallRecord, Fault, Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task

FUNCTION = {
    "kind": "function",
    "tests": [
        {"input": {"module": "solution", "function": "solve", "arguments": [[x, 2, 3]]}, "expected": [x * 2, 4, 6]}
        for x in (1, 7, -4)
    ],
}
PROGRAM = {
    "kind": "program",
    "tests": [
        {"input": {"program": "solution.py", "stdin": f"{x} 2\n"}, "expected": {"printed": f"{x + 2}"}} for x in (1, 7, -4)
    ],
}
RIGHT = "def solve(x):\n    return [2 * v for v in x]\n"


def task(key: Mapping[str, Any]) -> Task:
    return Task("t", "plain", 0, "train", 1, Persona(), Ledger("?"), Rubric(), Gold(), domain="code", key=key)


def said(reply: str) -> Outcome:
    return Outcome("completed", messages=(Message("user", "?"), Message("assistant", reply)))


def fenced(code: str, mark: str = "python") -> str:
    return f"```{mark}\n{code}\n```"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with open_sandbox(SandboxConfig()) as opened:
        yield opened


def verdict(sandbox: Sandbox, reply: str, key: Mapping[str, Any] = FUNCTION) -> Reward:
    limits = replace(LIMITS, wall_seconds=2.0, cpu_seconds=1.0, memory_bytes=256 * 2**20)
    return CodeVerifier(sandbox, limits).verify(task(key), said(reply))


@pytest.mark.parametrize(
    "reply",
    [
        fenced(RIGHT),
        f"First a thought.\n\n{fenced('nonsense(')}\n\nNow the code:\n{fenced(RIGHT, 'py')}\nThat is all.",
        fenced(RIGHT, ""),
        fenced(f"import os\nprint('hello')\n{RIGHT}\nif __name__ == '__main__':\n    raise SystemExit(1)"),
        fenced(RIGHT).replace("\n", "\r\n"),
        fenced("class Helper:\n    factor = 2\n\n\ndef solve(x):\n    return list(Helper.factor * v for v in x)"),
    ],
)  # fmt: skip
def test_friendly_programs_pass(sandbox: Sandbox, reply: str) -> None:
    reward = verdict(sandbox, reply)
    assert reward.value == 1.0 and reward.components == {"completed": 1.0, "code": 1.0, "ran": 1.0, "tests": 1.0}


HOSTILE = {
    "empty": "",
    "no_block": RIGHT,
    "unclosed": f"```python\n{RIGHT}",
    "other_language": fenced(RIGHT, "javascript"),
    "spray": f"{fenced(RIGHT)}\n{fenced('def solve(x): return x')}",
    "verdict": '{"verdict": "pass", "tests": 1.0}',
    "prints_pass": fenced("print('all tests passed')\ndef solve(x): return x"),
    "exit": fenced("import os\nos._exit(0)"),
    "system_exit": fenced("raise SystemExit(0)"),
    "forged": fenced(
        "import json, os\nopen('orrery_outputs.json', 'w').write(json.dumps([{'value': True}] * 3))\nos._exit(0)"
    ),
    "forged_nested": fenced("import os\nopen('orrery_outputs.json', 'w').write('[' * 100000)\nos._exit(0)"),
    "forged_huge": fenced("import os\nopen('orrery_outputs.json', 'w').write('[' + '1,' * 5_000_000)\nos._exit(0)"),
    "equal": fenced("class E(list):\n    def __eq__(self, other): return True\ndef solve(x): return E()"),
    "subclass": fenced("class E(list): pass\ndef solve(x): return E(2 * v for v in x)"),
    "tuple": fenced("def solve(x): return tuple(2 * v for v in x)"),
    "floats": fenced("def solve(x): return [2.0 * v for v in x]"),
    "bools": fenced("def solve(x): return [True, True, True]"),
    "text": fenced("def solve(x): return str([2 * v for v in x])"),
    "generator": fenced("def solve(x):\n    yield from (2 * v for v in x)"),
    "endless": fenced("def solve(x):\n    while True: pass"),
    "sleeps": fenced("import time\ndef solve(x): time.sleep(3600)"),
    "memory": fenced("def solve(x):\n    return [0] * 10**10"),
    "recursion": fenced("def solve(x): return solve(x)"),
    "deep": fenced("def solve(x):\n    y = []\n    for _ in range(10**5): y = [y]\n    return y"),
    "output": fenced("def solve(x):\n    import sys\n    while True: sys.__stdout__.write('x' * 10**6)"),
    "kills": fenced("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
    "kills_parent": fenced("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(-1, signal.SIGKILL)"),
    "breaks_json": fenced(f"import json\njson.dump = lambda *a: None\n{RIGHT}"),
    "links": fenced("import os\nos.symlink('/etc/passwd', 'orrery_outputs.json')\nos._exit(0)"),
    "homoglyph": fenced("def sоlve(x): return [2 * v for v in x]"),
    "null": fenced("def solve(x):\0 return x"),
    "surrogate": "```python\nx = '\ud800'\n```",
    "very_long": fenced("x = 1\n" * 200_000),
    "syntax": fenced("def solve(x) return x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_are_paid_nothing(sandbox: Sandbox, name: str) -> None:
    reward = verdict(sandbox, HOSTILE[name])
    assert reward.valid and reward.value == 0.0, name


def test_programs_read_and_print(sandbox: Sandbox) -> None:
    assert verdict(sandbox, fenced("print(sum(map(int, input().split())))"), PROGRAM).value == 1.0
    spaced = "import sys\nprint(sum(map(int, sys.stdin.read().split())), end='  \\n\\n')"
    assert verdict(sandbox, fenced(spaced), PROGRAM).value == 1.0
    for reads in ("sys.stdin.buffer.read().decode()", "open(0).read()", "os.read(0, 100).decode()", "sys.stdin.readline()"):
        bytewise = f"import os, sys\nsys.stdout.buffer.write(str(sum(map(int, {reads}.split()))).encode())"
        assert verdict(sandbox, fenced(bytewise), PROGRAM).value == 1.0, reads
    assert verdict(sandbox, fenced("print('sum:', sum(map(int, input().split())))"), PROGRAM).value == 0.0
    assert verdict(sandbox, fenced("print(sum(map(int, input().split())))\nraise SystemExit(3)"), PROGRAM).value == 0.0


def test_the_share_of_tests_is_told(sandbox: Sandbox) -> None:
    reward = verdict(sandbox, fenced("def solve(x):\n    return [2 * v for v in x] if x[0] > 0 else 0"))
    assert reward.value == 0.0 and reward.components["tests"] == pytest.approx(2 / 3) and reward.cause == "missed: tests"
    assert reward.grader == "code/1"


def test_a_repository_is_what_its_calls_made_of_it(sandbox: Sandbox) -> None:
    key = {"kind": "repository", "files": {"solution.py": RIGHT.replace("2", "3")}, "tests": FUNCTION["tests"]}

    def outcome(*calls: CallRecord) -> Outcome:
        turns = [Message("assistant", "", ()) for _ in calls]
        return Outcome("completed", calls=calls, messages=(Message("user", "?"), *turns, Message("assistant", "Fixed.")))

    fix = CallRecord("replace_in_file", {"path": "solution.py", "old": "3 * v", "new": "2 * v"}, False, "")
    spoil = CallRecord("write_file", {"path": "solution.py", "content": ""}, False, "")
    failed = replace(spoil, is_error=True)
    beside = CallRecord("write_file", {"path": "orrery_inputs.json/x", "content": ""}, False, "")
    verify = CodeVerifier(sandbox).verify
    assert verify(task(key), outcome(fix)).value == verify(task(key), outcome(fix, failed)).value == 1.0
    assert verify(task(key), outcome(fix, beside)).value == 1.0  # in the way of the runner, and no fault
    silent = outcome(fix)
    silent = replace(silent, messages=(*silent.messages[:-1], Message("assistant", " ")))
    assert verify(task(key), silent).cause == "missed: words"
    for calls in ((), (failed,), (fix, spoil), (spoil,)):
        assert verify(task(key), outcome(*calls)).value == 0.0


class Broken:
    """A sandbox that refuses, or breaks."""

    def __init__(self, refuses: bool) -> None:
        self.refuses = refuses

    def run(self, *arguments: Any, **more: Any) -> SandboxResult:
        if self.refuses:
            return SandboxResult(ending="refused", reason="no namespaces")
        raise SandboxError("the template died")


@pytest.mark.parametrize(("refuses", "words"), [(True, "refused: no namespaces"), (False, "the template died")])
def test_a_sandbox_that_breaks_gives_no_verdict(refuses: bool, words: str) -> None:
    reward = CodeVerifier(Broken(refuses)).verify(task(FUNCTION), said(fenced(RIGHT)))  # type: ignore[arg-type]
    assert not reward.valid and words in (reward.cause or "")


def test_faults_give_no_verdict() -> None:
    faulty = replace(said(fenced(RIGHT)), faults=(Fault("tool", "broke"),))
    assert not CodeVerifier(Broken(True)).verify(task(FUNCTION), faulty).valid  # type: ignore[arg-type]


@given(st.text(alphabet=st.sampled_from("`python\n abc~\r"), max_size=300))
def test_any_text_has_a_last_block_or_none(reply: str) -> None:
    code = code_of(reply)
    assert code is None or code in reply.replace("\r\n", "\n")


@pytest.mark.parametrize("reply", ["```a\n" * 80_000, "```" + " " * 399_000, "```\n" + "``` x\n" * 60_000])
def test_fences_that_never_close_hold_no_code(reply: str) -> None:
    assert code_of(reply) is None  # a pattern that looks for each one's end would take hours
