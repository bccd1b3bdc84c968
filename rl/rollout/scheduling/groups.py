"""The rollouts of one task: what is begun, waited for and learnt from as a whole."""

from dataclasses import dataclass

from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["Group"]


@dataclass(frozen=True, slots=True)
class Group:
    """One task and its rollouts so far."""

    number: int
    """Place in the order of dispatch over the whole run, from 0."""
    iteration: int
    """Whose tasks it belongs to, from 1. Seeds and names hang on it, whichever iteration learns from the group in the end."""
    task: Task
    began: int
    """Iterations that were learnt when it began."""
    trajectories: tuple[Trajectory, ...] = ()
    """In the order of their index; none before it was played. One without an outcome is unfinished."""

    @property
    def finished(self) -> bool:
        """Whether every rollout has come to its end, a fault included."""
        return bool(self.trajectories) and all(trajectory.outcome is not None for trajectory in self.trajectories)
