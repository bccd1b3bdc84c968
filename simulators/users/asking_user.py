"""The user of a task that is a question: it asks, and leaves with the answer."""

from trajectories.messages import Message
from trajectories.tasks import Task

__all__ = ["AskingUser"]


class AskingUser:
    """Says the opening, then one follow-up after each message of the agent that calls no tool, and leaves after the last.

    It answers nothing: whatever the task needs stands in it or is found with the tools.
    """

    def __init__(self, task: Task) -> None:
        self._opening, self._waiting = task.ledger.opening, list(task.ledger.follow_ups)

    def opening(self) -> Message:
        return Message("user", self._opening)

    def reply(self, message: Message) -> Message | None:
        """The next follow-up; None when the user leaves."""
        return Message("user", self._waiting.pop(0)) if self._waiting else None
