"""Programs made of steps: every step matters, words and code agree, and repositories are what their tools say."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers.code import run_inputs
from services.sandbox import SandboxConfig, open_sandbox
from simulators.playable import open_world
from simulators.tasks.code import DOMAIN
from simulators.tasks.code.operations import OPERATIONS
from simulators.tasks.code.pipelines import draw_input, draw_pipeline, expression, mutants, run, source, takes, without
from simulators.tasks.domains.stream import DomainMix, candidate
from tests.simulators.tasks.domains.checking import certify_sample
from trajectories.canonical import canonical_json


def test_the_oracle_passes_and_no_cheat_is_paid() -> None:
    report = certify_sample("code", 24)
    assert report.certified == report.oracle_passes == 24, report.reasons[:3]
    assert set(report.cheat_scores.values()) == {0.0}
    assert set(DOMAIN.cheats) <= set(report.cheat_scores)


def test_the_python_of_every_operation_does_what_our_function_does() -> None:
    rng, lines, inputs, wanted = random.Random(0), [], [], []
    for name, operation in OPERATIONS.items():
        for turn in range(3):
            step = {"name": name, "values": [rng.randint(*ends) for ends in operation.ranges]}
            lines.append(f"def {name}_{turn}(x):\n    return {expression(step)}\n")
            for x in [draw_input(operation.takes, rng) for _ in range(6)] + ([[]] if operation.takes == "numbers" else [""]):
                inputs.append({"module": "solution", "function": f"{name}_{turn}", "arguments": [x]})
                wanted.append(run([step], x))
    with open_sandbox(SandboxConfig()) as sandbox:
        given_back = run_inputs(sandbox, {"solution.py": "\n".join(lines).encode()}, inputs)
    assert given_back is not None
    for item, value, found in zip(inputs, wanted, given_back, strict=True):
        right = {"list": [{"value": v} for v in value]} if isinstance(value, list) else {"value": value}
        assert found == right, item


@given(st.integers(1, 5), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_every_step_of_a_pipeline_matters(level: int, seed: int) -> None:
    steps = draw_pipeline(level + 2, random.Random(seed))
    assert steps == draw_pipeline(level + 2, random.Random(seed)) and len(steps) == level + 2
    inputs = [draw_input(takes(steps), random.Random(seed + i)) for i in range(200)]
    for place in range(len(steps)):
        shorter = without(steps, place)
        assert shorter is None or any(run(shorter, x) != run(steps, x) for x in inputs), OPERATIONS[steps[place]["name"]].english
    assert all(mutant != steps for mutant in mutants(steps, random.Random(0)))
    compile(source(steps), "solution.py", "exec")


@given(st.sampled_from(list(DOMAIN.families)), st.integers(1, 5), st.integers(0, 2**32), st.sampled_from(["en", "zh"]))
@settings(max_examples=30, deadline=None)
def test_drawing_and_rendering_are_functions(family: str, level: int, seed: int, language: str) -> None:
    one, two = (DOMAIN.draw(family, level, random.Random(seed)) for _ in range(2))
    assert canonical_json(one) == canonical_json(two)
    drafts = [DOMAIN.render(problem, family, level, language) for problem in (one, two)]
    assert drafts[0] == drafts[1]
    assert len(drafts[0].key["tests"]) >= 12
    for test in drafts[0].key["tests"]:
        arguments = test["input"].get("arguments") or [test["input"].get("stdin", "").rstrip("\n")]
        shown = repr(arguments[0]) if "arguments" in test["input"] else f"\n{arguments[0]}\n"
        assert len(shown) < 12 or shown not in drafts[0].prompt, "a hidden input was shown"


@pytest.fixture
def repository() -> object:
    task, _ = candidate(DOMAIN, 0, mix=DomainMix(families=("repository",)), run_seed=0, split="train")
    return open_world("code").instantiate(task.seed, task.gold.initialise)


def test_a_repository_is_read_changed_and_tested(repository) -> None:
    files = repository.call("list_files", {}).content
    assert "README.md" in files and "toolbox/steps.py" in files
    assert "FAIL tests.test_report.Tests.test_report" in repository.call("run_tests", {}).content
    assert not repository.call("write_file", {"path": "notes/a.txt", "content": "x"}).isError
    assert repository.call("read_file", {"path": "notes/a.txt"}).structuredContent == {"content": "x"}
    assert not repository.call("replace_in_file", {"path": "notes/a.txt", "old": "x", "new": "y"}).isError
    assert repository.call("run_tests", {}).content == repository.call("run_tests", {}).content


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("write_file", {"path": "../../etc/passwd", "content": ""}, "cannot be written"),
        ("write_file", {"path": "/etc/passwd", "content": ""}, "cannot be written"),
        ("write_file", {"path": "a/./b", "content": ""}, "cannot be written"),
        ("write_file", {"path": "orrery_inputs.json/x", "content": ""}, "cannot be written"),
        ("write_file", {"path": "é" * 200, "content": ""}, "cannot be written"),
        ("write_file", {"path": "README.md/x", "content": ""}, "is a folder, or lies in a file"),
        ("write_file", {"path": "toolbox", "content": ""}, "is a folder, or lies in a file"),
        ("write_file", {"path": "a", "content": "x" * 60_000}, "longer than"),
        ("read_file", {"path": "nothing.py"}, "there is no file"),
        ("replace_in_file", {"path": "README.md", "old": "e", "new": ""}, "times in README.md"),
        ("run_tests", {"path": "x"}, "Additional properties"),
    ],
)
def test_what_cannot_be_done_is_told(repository, tool, arguments, words) -> None:
    result = repository.call(tool, arguments)
    assert result.isError and words in result.content


def test_episodes_have_files_of_their_own() -> None:
    task, _ = candidate(DOMAIN, 0, mix=DomainMix(families=("repository",)), run_seed=0, split="train")
    world = open_world("code")
    one, two = (world.instantiate(task.seed, task.gold.initialise) for _ in range(2))
    one.call("write_file", {"path": "README.md", "content": "gone"})
    assert "gone" not in two.call("read_file", {"path": "README.md"}).content


def test_tests_that_never_end_are_told_and_break_nothing(repository) -> None:
    repository.call("write_file", {"path": "tests/test_report.py", "content": "import os\nos.kill(os.getpid(), 9)\n"})
    assert '"ending":"killed"' in repository.call("run_tests", {}).content
