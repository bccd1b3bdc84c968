"""What every verifier is: a pure function from a task and an outcome to a reward."""

from typing import Protocol

from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["Verifier"]


class Verifier(Protocol):
    """Judges outcomes of one domain."""

    version: int
    """Raised by whoever changes a verdict: a reward names it (`Reward.grader`), and rewards of two versions do not compare."""

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        """1.0 for a pass and 0.0 for a failure, with one component per criterion; invalid, with its cause, after a
        fault.

        The same arguments always give the same reward, and no outcome makes it raise.
        """
        ...
