"""Turns of the assistant that nobody reads to their end."""

import re
from typing import Final

from rewards.filters.config import FilterConfig
from rewards.filters.finding import Finding, spoken
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["long_turn"]

_WORD: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\s\u3400-\u4dbf\u4e00-\u9fff]+")
"""A Chinese character, or what stands between spaces or Chinese characters."""


def long_turn(trajectory: Trajectory, task: Task | None, config: FilterConfig) -> Finding | None:
    for at, text in spoken(trajectory):
        if len(text) > config.max_characters:
            return Finding(f"messages[{at}]", f"{len(text)} characters, more than {config.max_characters}", text)
        if len(text) > config.max_words:  # no text has more words than characters
            words = sum(1 for _ in _WORD.finditer(text))
            if words > config.max_words:
                return Finding(f"messages[{at}]", f"{words} words, more than {config.max_words}", text)
    return None
