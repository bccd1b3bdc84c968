"""Which tasks each iteration has: a pure function of seed, settings and what was observed long enough ago.

Without prioritised sampling, tasks are numbered through, each is used once, and nothing is observed. With it, each iteration
draws from a fixed set of problems, without repeats, in proportion to 1 - success rate (Kimi k1.5, arXiv 2501.12599, section
2.3.4). Iteration s uses what was observed of the iterations up to s - 1 - `delay` and nothing newer, however much is known: so
a resumed run, and one whose rollouts run ahead of the training, draw the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pipelines.learning.recipe import RecipeSettings
from trajectories.seeds import derive_seed

__all__ = ["Place", "TaskPlan"]

Place = tuple[int, int]
"""(grade, number): which task of which stream."""


class TaskPlan:
    """The places of each iteration.

    Args:
        size: tasks of one iteration.
        delay: how many iterations may be asked for before the one that they follow is observed.
    """

    def __init__(self, recipe: RecipeSettings, size: int, seed: int, delay: int = 0) -> None:
        self._curriculum, self._priority = recipe.curriculum, recipe.priority
        self._size, self._seed, self._delay = size, seed, delay
        self._seen: dict[int, list[tuple[int, int, float]]] = {}
        """By iteration: (grade, number, pass rate). All of them, so that any iteration can be drawn again."""

    @property
    def learns(self) -> bool:
        """Whether what is observed matters."""
        return self._priority.pool > 0

    def places(self, step: int) -> list[Place]:
        """Of iteration `step`, from 1.

        Raises:
            ValueError: an iteration that `step` depends on has not been observed.
        """
        grades = self._curriculum.deal(step, self._size, self._seed)
        if not self.learns:
            return list(zip(grades, range((step - 1) * self._size, step * self._size), strict=True))
        if (missing := self.missing(step)) is not None:
            raise ValueError(f"the tasks of iteration {step} depend on iteration {missing}, which has not been observed")
        drawn = {grade: iter(self._draw(step, grade, grades.count(grade))) for grade in set(grades)}
        return [(grade, next(drawn[grade])) for grade in grades]

    def missing(self, step: int) -> int | None:
        """The first iteration that `step` depends on and that has not been observed."""
        needed = range(1, step - self._delay) if self.learns else ()
        return next((number for number in needed if number not in self._seen), None)

    def observe(self, step: int, rates: Mapping[int, float]) -> None:
        """The pass rates of what iteration `step` has learnt from.

        Args:
            rates: by number, counted from 0 over the places of all iterations, those of the first one first.
        """
        drawn = {before: self.places(before + 1) for before in {number // self._size for number in rates}}
        self._seen[step] = [(*drawn[number // self._size][number % self._size], rate) for number, rate in rates.items()]

    def state_dict(self) -> list[Any]:
        """What was observed, as JSON values."""
        return [[step, [list(entry) for entry in entries]] for step, entries in sorted(self._seen.items())]

    def load_state_dict(self, state: Iterable[Any]) -> None:
        self._seen = {step: [(grade, number, rate) for grade, number, rate in entries] for step, entries in state}

    def weights(self, step: int, grade: int) -> np.ndarray:
        """[pool]: of each problem of a grade at iteration `step`; 1 for one that has not been seen."""
        rates = np.zeros(self._priority.pool)
        for number in range(1, step - self._delay):
            for of, problem, rate in self._seen[number]:
                if of == grade:
                    rates[problem] = rate
        return np.maximum(1.0 - rates, self._priority.floor)

    def _draw(self, step: int, grade: int, count: int) -> list[int]:
        """`count` different problems, one after the other in proportion to their weights (Efraimidis and Spirakis, 2006)."""
        rng = np.random.default_rng(derive_seed(self._seed, "priority", step, grade))
        keys = np.log1p(-rng.random(self._priority.pool)) / self.weights(step, grade)
        return np.argsort(-keys, kind="stable")[:count].tolist()
