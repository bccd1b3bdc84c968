"""One verifier per domain, found by the domain's name; each is imported when it is first asked for."""

from functools import lru_cache
from importlib import import_module
from typing import Final, cast

from rewards.verifiers.protocol import Verifier
from rewards.verifiers.tool_use import ToolUseVerifier
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["VERIFIERS", "ToolUseVerifier", "Verifier", "verifier_for", "verify"]

VERIFIERS: Final = {
    "tool_use": "ToolUseVerifier",
    "maths": "MathsVerifier",
    "instructions": "InstructionsVerifier",
    "faithfulness": "FaithfulnessVerifier",
    "code": "CodeVerifier",
    "long_context": "LongContextVerifier",
    "documents": "DocumentsVerifier",
    "search": "SearchVerifier",
    "safety": "SafetyVerifier",
}
"""By domain: the class in the module of the domain's name."""


@lru_cache(maxsize=len(VERIFIERS))
def verifier_for(domain: str) -> Verifier:
    """The verifier of `domain`, e.g. ``"tool_use"``.

    Raises:
        ValueError: when there is none; the message lists those that exist.
    """
    if domain not in VERIFIERS:
        raise ValueError(f"rewards/verifiers: no verifier for domain {domain!r}; there are: {', '.join(sorted(VERIFIERS))}")
    return cast(Verifier, getattr(import_module(f"rewards.verifiers.{domain}"), VERIFIERS[domain])())


def verify(task: Task, outcome: Outcome) -> Reward:
    """The verdict of the verifier of the task's own domain.

    Raises:
        ValueError: the task's domain has none.
    """
    return verifier_for(task.domain).verify(task, outcome)
