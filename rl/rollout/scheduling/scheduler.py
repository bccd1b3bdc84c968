"""Plays groups ahead of the learner, as far as a rule admits, and hands them over batch by batch, each exactly once.

One event loop, no processes, no clock: playing is a function that is given, and time passes in it alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from rl.rollout.scheduling.groups import Group
from rl.rollout.scheduling.rule import Rule
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["Play", "Scheduler", "TaskSource"]

TaskSource = Callable[[int], Awaitable[Sequence[Task]]]
"""The tasks of an iteration; asked once for each, in order."""
Play = Callable[[Sequence[Group]], Awaitable[Sequence[Sequence[Trajectory]]]]
"""Plays, or plays on, groups of one iteration; the trajectories of each, unfinished ones where its budget is used up."""


class Scheduler:
    """Owns the groups between their beginning and their batch; a context manager, at whose end what still plays is ended.

    Args:
        together: the groups of an iteration are played by one call; otherwise each by its own.
        learnt: iterations that the trainer has learnt.
        committed: numbers of the groups of each iteration that was committed before. They are not played; where that is more
            than the trainer has learnt, it learns from them again before the first batch is asked for.
        waiting: unfinished groups at the last commit.
    """

    def __init__(
        self,
        rule: Rule,
        tasks: TaskSource,
        play: Play,
        *,
        together: bool = True,
        learnt: int = 0,
        committed: Sequence[Iterable[int]] = (),
        waiting: Sequence[Group] = (),
    ) -> None:
        self._rule, self._tasks, self._play, self._together = rule, tasks, play, together
        self._learnt = learnt
        self._gone = {number for numbers in committed for number in numbers}
        self._kept = {group.number: group for group in waiting}
        oldest = next(number for number in range(len(self._gone) + 1) if number not in self._gone)
        self._admitted = min(learnt, oldest // rule.size)
        self._groups: dict[int, Group] = {}  # begun and not handed over, by number
        self._finished: list[int] = []
        self._playing: dict[asyncio.Task[None], list[int]] = {}

    @property
    def waiting(self) -> list[Group]:
        """Groups that are unfinished and not being played: they go on with the next iteration."""
        playing = {number for numbers in self._playing.values() for number in numbers}
        return [group for number, group in self._groups.items() if not group.finished and number not in playing]

    async def batch(self, step: int) -> list[Group]:
        """The groups that iteration `step` learns from, in the order to commit them; waits until they are there.

        Raises:
            Exception: whatever `play` or `tasks` raised.
        """
        self._take_in([playing for playing in self._playing if playing.done()])  # an error is not put off for others' sake
        await self._admit()
        if self._rule.in_parts:
            self._start(self.waiting)
            await self.settle()
        while (taken := self._rule.batch(step, list(self._groups.values()), self._finished)) is None:
            if self._rule.in_parts:  # the due ones to their end; where nobody is finished, everybody's next part
                self._start(self._rule.due(step, self.waiting) or self.waiting)
                await self.settle()
            else:
                await self._until_one_ends()
        for group in taken:
            del self._groups[group.number]
        self._finished = [number for number in self._finished if number in self._groups]
        return taken

    async def settle(self) -> None:
        """Waits until nothing is played any more."""
        while self._playing:
            await self._until_one_ends()

    def learnt(self, step: int) -> None:
        """The engine has the weights of iteration `step`; what they admit begins with the next batch that is asked for."""
        self._learnt = step

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for playing in self._playing:
            playing.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)

    async def _admit(self) -> None:
        while self._rule.admits(self._admitted + 1, self._learnt):
            first = self._admitted * self._rule.size
            self._admitted += 1
            fresh = [
                self._kept.get(number) or Group(number, self._admitted, task, self._learnt)
                for number, task in enumerate(await self._tasks(self._admitted), first)
                if number not in self._gone
            ]
            self._groups |= {group.number: group for group in fresh}
            self._start(fresh)

    def _start(self, groups: Sequence[Group]) -> None:
        numbers = {group.iteration: [each.number for each in groups if each.iteration == group.iteration] for group in groups}
        units = numbers.values() if self._together else [[number] for found in numbers.values() for number in found]
        for unit in units:
            self._playing[asyncio.create_task(self._play_on(unit))] = unit

    async def _play_on(self, numbers: list[int]) -> None:
        groups = [self._groups[number] for number in numbers]
        for group, trajectories in zip(groups, await self._play(groups), strict=True):
            played = self._groups[group.number] = replace(group, trajectories=tuple(trajectories))
            if played.finished:
                self._finished.append(group.number)

    async def _until_one_ends(self) -> None:
        ended, _ = await asyncio.wait(self._playing, return_when=asyncio.FIRST_COMPLETED)
        self._take_in(ended)

    def _take_in(self, ended: Iterable[asyncio.Task[None]]) -> None:
        for each in ended:
            del self._playing[each]
            each.result()
