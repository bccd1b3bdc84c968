"""Turns of the assistant that neither say nor do anything."""

import re
from typing import Final

from rewards.filters.config import FilterConfig
from rewards.filters.finding import Finding
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["empty_turn"]

_VISIBLE: Final = re.compile(r"[^\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
"""Any character but spaces and those that are drawn as nothing."""


def empty_turn(trajectory: Trajectory, task: Task | None, config: FilterConfig) -> Finding | None:
    for at, message in enumerate(trajectory.messages):
        if message.role == "assistant" and not message.tool_calls and _VISIBLE.search(message.content) is None:
            return Finding(f"messages[{at}]", "neither words nor calls", message.content)
    return None
