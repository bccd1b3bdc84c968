"""Tests for problems that have none: what most of several submissions agree on.

After Kimi k1.5 (arXiv 2501.12599, section 2.1): of ten submissions, an input becomes a test where at least seven give the same
output, and the problem is kept where at least nine pass all the tests. Submissions run in the sandbox; none of them is trusted.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.verifiers.code import run_inputs
from services.sandbox import Sandbox
from trajectories.canonical import canonical_json

__all__ = ["AgreedTests", "agreed_tests"]


@dataclass(frozen=True)
class AgreedTests:
    """What came of the inputs."""

    tests: tuple[tuple[Mapping[str, Any], Any], ...]
    """(input, output as the sandbox's runner writes it) of each input that is a test."""
    agreement: tuple[float, ...]
    """Of each input: the share of submissions that gave its most common output, 0 where that is an error."""
    passing: tuple[bool, ...]
    """Of each submission: whether it passes all the tests."""
    kept: bool
    """Whether the problem may be used."""


def agreed_tests(
    sandbox: Sandbox,
    submissions: Sequence[str],
    inputs: Sequence[Mapping[str, Any]],
    *,
    agreeing: float = 0.7,
    passing: float = 0.9,
) -> AgreedTests:
    """Runs every submission on every input.

    Args:
        submissions: Python sources, each as ``solution.py``.
        inputs: as `rewards.verifiers.code.run_inputs` takes them.
        agreeing: share of the submissions that must give one output, above a half, so that there is only one such output.
        passing: share of the submissions that must pass all the tests.

    Raises:
        ValueError: no submissions, or shares that make no sense.
        SandboxError: the sandbox broke or refused.
    """
    if not submissions or not inputs:
        raise ValueError("agreement needs at least one submission and one input")
    if not 0.5 < agreeing <= 1 or not 0 < passing <= 1:
        raise ValueError(f"agreeing is above 0.5 and passing above 0, both at most 1, not {agreeing} and {passing}")
    outputs = [run_inputs(sandbox, {"solution.py": source.encode("utf-8", "replace")}, inputs) for source in submissions]
    given = [[_text(one[place]) if one is not None else None for one in outputs] for place in range(len(inputs))]
    tests, agreement, right = [], [], []
    for item, texts in zip(inputs, given, strict=True):
        text, count = next(iter(Counter(text for text in texts if text is not None).most_common(1)), (None, 0))
        agreement.append(count / len(submissions))
        if text is not None and count >= math.ceil(agreeing * len(submissions) - 1e-9):
            source = texts.index(text)
            found = outputs[source]
            assert found is not None
            tests.append((item, found[len(agreement) - 1]))
            right.append([other == text for other in texts])
    passed = [bool(right) and all(row[number] for row in right) for number in range(len(submissions))]
    return AgreedTests(tuple(tests), tuple(agreement), tuple(passed), sum(passed) >= math.ceil(passing * len(submissions) - 1e-9))


def _text(output: Any) -> str | None:
    """Two outputs are one where these are equal; an error, and what the runner could not write, agrees with nothing."""
    if not isinstance(output, Mapping) or "error" in output or "strange" in output:
        return None
    try:
        return canonical_json(output)
    except (ValueError, TypeError, RecursionError):
        return None
