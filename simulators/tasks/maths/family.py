"""One kind of problem: how it is drawn, and how it is put into words."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.tasks.domains.protocol import Problem

__all__ = ["Family", "Question"]


@dataclass(frozen=True, slots=True)
class Question:
    """A problem in one language."""

    text: str
    key: Mapping[str, Any]
    """What `rewards.verifiers.maths` needs; its ``kind`` says what is asked for."""
    answer: str
    """A right answer, as the answer line gives it."""
    form: str = ""
    """How the answer is to be written, where the usual words for its kind do not do."""


@dataclass(frozen=True, slots=True)
class Family:
    about: str
    """One line."""
    tags: tuple[str, ...]
    draw: Callable[[int, random.Random], Problem]
    """From (level, generator) to a problem that has the level in it where it matters."""
    put: Callable[[Problem, str], Question]
    """From (problem, language)."""
