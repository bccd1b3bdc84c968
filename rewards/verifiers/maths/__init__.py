"""Verdicts about maths, STEM and logic: the answer line of the reply against the task's key, exactly.

The key says of what kind the answer is (`rewards.verifiers.maths.kinds`). Nothing of a reply is ever executed or handed to a
reader without bounds: an answer that is too long, too deep or too large is simply not right.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from rewards.verifiers.judging import judged
from rewards.verifiers.maths.kinds import is_right
from rewards.verifiers.maths.numbers import unwrapped
from trajectories.answers import answer_of
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["MathsVerifier"]

_MOST_CHARACTERS: Final = 1_000_000
"""Of a reply that is read at all."""

_BOXED: Final = re.compile(r"\\boxed\b")


class MathsVerifier:
    """`answered`: there is one answer line; `correct`: what it says is right."""

    version: int = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        key = task.key or {}
        return judged(outcome, lambda reply: _components(reply, key), grader=f"maths/{self.version}")


def _components(reply: str, key: Mapping[str, Any]) -> Mapping[str, float]:
    if len(reply) > _MOST_CHARACTERS:
        return {"answered": 0.0, "correct": 0.0}
    answer = answer_of(reply)
    if answer is None and key["kind"] == "expression":
        answer = _boxed(reply)
    if answer is None:
        return {"answered": 0.0, "correct": 0.0}
    said = answer if key.get("verbatim") else unwrapped(answer)
    return {"answered": 1.0, "correct": float(is_right(said, key))}


def _boxed(reply: str) -> str | None:
    """The content of the only ``\\boxed{}``, where it ends the reply's last line."""
    last = reply.rstrip().splitlines()[-1:] or [""]
    found = _BOXED.search(last[0])
    if len(last[0]) > 2_000 or found is None or len(_BOXED.findall(reply)) != 1:
        return None
    return last[0][found.start() :].rstrip("$. 。")
