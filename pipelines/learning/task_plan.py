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

_REMEMBERED = 64
"""Iterations whose places are kept: more than can be on their way, so that nothing is drawn twice."""


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
        self._reached = 0  # iterations from the first one on that have been observed
        self._newest: tuple[int, dict[int, np.ndarray]] = (0, {})  # rates by grade, after so many iterations
        self._drawn: dict[int, list[Place]] = {}

    @property
    def learns(self) -> bool:
        """Whether what is observed matters."""
        return self._priority.pool > 0

    def places(self, step: int) -> list[Place]:
        """Of iteration `step`, from 1.

        Raises:
            ValueError: an iteration that `step` depends on has not been observed.
        """
        if not self.learns:
            grades = self._curriculum.deal(step, self._size, self._seed)
            return list(zip(grades, range((step - 1) * self._size, step * self._size), strict=True))
        if (missing := self.missing(step)) is not None:
            raise ValueError(f"the tasks of iteration {step} depend on iteration {missing}, which has not been observed")
        if step not in self._drawn:
            self._drawn[step] = self._places(step)
            self._drawn.pop(step - _REMEMBERED, None)
        return list(self._drawn[step])

    def missing(self, step: int) -> int | None:
        """The first iteration that `step` depends on and that has not been observed."""
        while self._reached + 1 in self._seen:
            self._reached += 1
        return self._reached + 1 if self.learns and self._reached + 1 < step - self._delay else None

    def observe(self, step: int, rates: Mapping[int, float]) -> None:
        """The pass rates of what iteration `step` has learnt from.

        Args:
            rates: by number, counted from 0 over the places of all iterations, those of the first one first.
        """
        drawn = {before: self.places(before + 1) for before in {number // self._size for number in rates}}
        if step in self._seen:
            self._forget()
        self._seen[step] = [(*drawn[number // self._size][number % self._size], rate) for number, rate in rates.items()]

    def state_dict(self) -> list[Any]:
        """What was observed, as JSON values."""
        return [[step, [list(entry) for entry in entries]] for step, entries in sorted(self._seen.items())]

    def load_state_dict(self, state: Iterable[Any]) -> None:
        self._seen = {step: [(grade, number, rate) for grade, number, rate in entries] for step, entries in state}
        self._forget()

    def weights(self, step: int, grade: int) -> np.ndarray:
        """[pool]: of each problem of a grade at iteration `step`; 1 for one that has not been seen."""
        rates = self._rates(max(0, step - 1 - self._delay)).get(grade)
        return np.maximum(1.0 - (np.zeros(self._priority.pool) if rates is None else rates), self._priority.floor)

    def _rates(self, count: int) -> dict[int, np.ndarray]:
        """[pool] by grade: the newest rate of each problem after `count` iterations, 0 for one that has not been seen.

        What was added up is gone on from; only an iteration of long ago is added up from the first one.
        """
        added, newest = self._newest if self._newest[0] <= count else (0, {})
        if added == count:
            return newest
        rates = {grade: of.copy() for grade, of in newest.items()}
        for number in range(added + 1, count + 1):
            for grade, problem, rate in self._seen[number]:
                rates.setdefault(grade, np.zeros(self._priority.pool))[problem] = rate
        if count > self._newest[0]:
            self._newest = count, rates
        return rates

    def _forget(self) -> None:
        """What was derived from observations that are others now."""
        self._reached, self._newest, self._drawn = 0, (0, {}), {}

    def _places(self, step: int) -> list[Place]:
        grades = self._curriculum.deal(step, self._size, self._seed)
        drawn = {grade: iter(self._draw(step, grade, grades.count(grade))) for grade in set(grades)}
        return [(grade, next(drawn[grade])) for grade in grades]

    def _draw(self, step: int, grade: int, count: int) -> list[int]:
        """`count` different problems, one after the other in proportion to their weights (Efraimidis and Spirakis, 2006)."""
        rng = np.random.default_rng(derive_seed(self._seed, "priority", step, grade))
        keys = np.log1p(-rng.random(self._priority.pool)) / self.weights(step, grade)
        return np.argsort(-keys, kind="stable")[:count].tolist()
