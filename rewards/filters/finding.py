"""What a filter found, and where."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from rewards.filters.config import FilterConfig
from trajectories.messages import ToolCall
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["Filter", "Finding", "calls", "spoken"]

_MOST_CHARACTERS: Final = 200
"""Of the words that a finding quotes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing of its kind in a dialogue."""

    where: str
    """``messages[3]``, ``messages[3].tool_calls[0]`` and so on; positions count from 0."""
    problem: str
    words: str
    """Of the dialogue, unbounded."""

    @property
    def reasons(self) -> str:
        return _storable(f"{self.where}: {self.problem}")

    @property
    def evidence(self) -> str:
        return _storable(self.words)


Filter = Callable[[Trajectory, Task | None, FilterConfig], Finding | None]
"""None where there is nothing to find."""


def spoken(trajectory: Trajectory) -> Iterator[tuple[int, str]]:
    """Position and text of what the user reads of the assistant."""
    for at, message in enumerate(trajectory.messages):
        if message.role == "assistant" and message.content:
            yield at, message.content


def calls(trajectory: Trajectory) -> Iterator[tuple[str, ToolCall]]:
    """Where each call stands, and the call."""
    for at, message in enumerate(trajectory.messages):
        for index, call in enumerate(message.tool_calls):
            yield f"messages[{at}].tool_calls[{index}]", call


def _storable(text: str) -> str:
    """What a policy writes may be endless, and hold halves of surrogate pairs, which no column of text does."""
    cut = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
    return cut.encode("utf-8", "replace").decode()
