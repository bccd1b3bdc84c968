"""An event loop whose clock jumps to the next timer: hours of sleeping pass in no time, in exact order.

And a run of nothing but time: groups that take so long, batches that take so long to be learnt from.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from rl.rollout.scheduling import Group, Rule, Scheduler
from trajectories.outcomes import Outcome
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task
from trajectories.trajectory import Trajectory


class VirtualTime(asyncio.SelectorEventLoop):
    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def simulate(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(main)


def task(name: str, tags: Sequence[str] = ()) -> Task:
    return Task(name, "order_desk", 0, "train", 1, Persona(), Ledger("Hello"), Rubric(), Gold(), tags=tuple(tags))


def played(group: Group, ended: bool = True) -> list[Trajectory]:
    return [
        Trajectory(f"{group.number}/{index}", group.task.id, outcome=Outcome("completed") if ended else None) for index in (0, 1)
    ]


@dataclass
class Timed:
    """A run whose groups take `seconds(number)` and whose batches take `training` seconds."""

    rule: Rule
    seconds: Callable[[int], float]
    training: float = 0.0
    together: bool = False
    slots: int = 10**6
    """Groups that play at once."""
    parts: Callable[[int], int] = lambda number: 1
    """Plays until a group is finished."""
    batches: list[list[Group]] = field(default_factory=list)
    plays: list[int] = field(default_factory=list)
    """Numbers of the groups, each time that one was played."""
    beginnings: dict[int, int] = field(default_factory=dict)
    """Iterations learnt when a group's first play really began."""
    learnt: int = 0

    async def run(self, **resumed: Any) -> float:
        """All iterations; the virtual seconds that they took."""
        clock, slots = asyncio.get_running_loop().time, asyncio.Semaphore(self.slots)
        self.learnt = resumed.get("learnt", 0)
        recorded = resumed.pop("recorded", [])

        async def tasks(iteration: int) -> list[Task]:
            return [task(f"{iteration}-{place}") for place in range(self.rule.size)]

        async def one(group: Group) -> list[Trajectory]:
            async with slots:
                self.plays.append(group.number)
                self.beginnings.setdefault(group.number, self.learnt)
                await asyncio.sleep(self.seconds(group.number))
                return played(group, self.plays.count(group.number) >= self.parts(group.number))

        async def play(groups: Sequence[Group]) -> list[list[Trajectory]]:
            return list(await asyncio.gather(*map(one, groups)))

        began = clock()
        committed = [[group.number for group in groups] for groups in recorded]
        async with Scheduler(self.rule, tasks, play, together=self.together, committed=committed, **resumed) as scheduler:
            for step in range(self.learnt + 1, self.rule.iterations + 1):
                batch = recorded[step - 1] if step <= len(recorded) else await scheduler.batch(step)
                self.batches.append(batch)
                await asyncio.sleep(self.training)
                self.learnt = step
                scheduler.learnt(step)
        return clock() - began
