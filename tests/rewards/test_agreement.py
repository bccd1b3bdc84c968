"""Seven of ten agree on an output, nine of ten pass: then there are tests."""

from collections.abc import Iterator

import pytest

from rewards.agreement import agreed_tests
from services.sandbox import Sandbox, SandboxConfig, open_sandbox

RIGHT, WRONG, RAISES = (f"def solve(x):\n    return {expression}\n" for expression in ("x * 2", "x + 2", "1 / 0"))
INPUTS = [{"module": "solution", "function": "solve", "arguments": [x]} for x in (2, 5, 9)]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with open_sandbox(SandboxConfig()) as opened:
        yield opened


def test_nine_right_ones_make_tests_and_keep_the_problem(sandbox: Sandbox) -> None:
    found = agreed_tests(sandbox, [RIGHT] * 9 + [WRONG], INPUTS)
    assert [output for _, output in found.tests] == [{"value": 4}, {"value": 10}, {"value": 18}]
    assert found.agreement == (1.0, 0.9, 0.9) and found.kept and found.passing == (True,) * 9 + (False,)


def test_seven_right_ones_make_tests_and_the_problem_is_dropped(sandbox: Sandbox) -> None:
    found = agreed_tests(sandbox, [WRONG] * 3 + [RIGHT] * 7, INPUTS)
    assert len(found.tests) == 3 and not found.kept and sum(found.passing) == 7


def test_six_agree_on_nothing(sandbox: Sandbox) -> None:
    found = agreed_tests(sandbox, [RIGHT] * 6 + [WRONG] * 4, INPUTS)
    assert [item["arguments"] for item, _ in found.tests] == [[2]], "both say 4 to 2"
    assert found.agreement == (1.0, 0.6, 0.6) and found.kept


def test_errors_and_programs_that_end_themselves_agree_on_nothing(sandbox: Sandbox) -> None:
    found = agreed_tests(sandbox, [RAISES] * 9 + ["import os\nos._exit(0)"], INPUTS)
    assert not found.tests and not found.kept and found.agreement == (0.0,) * 3 and not any(found.passing)


def test_what_makes_no_sense_is_told(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match=r"agreeing is above 0\.5"):
        agreed_tests(sandbox, [RIGHT], INPUTS, agreeing=0.5)
    with pytest.raises(ValueError, match="at least one submission"):
        agreed_tests(sandbox, [], INPUTS)
