"""One actor, the queue in front of it, and the journal that outlives it.

Environments are deterministic: an episode is its task, its seed and the agent's messages. The journal keeps these for
every running episode, so a dead actor is replaced and its episodes are played again up to where they were. A result
is written into the journal before anybody sees it, and a replay that gives other results ends its episode as a fault.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, WorkerCrashedError

from simulators.environment import Observation, StepResult
from simulators.pool.host import Apply, EnvironmentHost, Failure, Finish, Operation, Reset
from trajectories.outcomes import Fault

__all__ = ["DEATH", "Lane", "SlotFault"]

DEATH = (RayActorError, WorkerCrashedError, OutOfMemoryError)
"""What Ray raises when an actor's process is gone."""


class SlotFault(RuntimeError):
    """One episode was lost to something that is not the policy; its slot is free again."""

    def __init__(self, slot: str, fault: Fault) -> None:
        super().__init__(slot, fault)
        self.slot, self.fault = slot, fault

    def __str__(self) -> str:
        return f"slot {self.slot}: {self.fault.source}: {self.fault.message}"


@dataclass
class _Episode:
    operations: list[Operation] = field(default_factory=list)
    prints: list[int | None] = field(default_factory=list)
    """Hash of what each operation returned."""


class Lane:
    """Operations go in, results come out, deaths stay inside.

    Args:
        actor_options: of Ray.
        arguments: of `EnvironmentHost`.
        batch: most operations per call of the actor.
        max_deaths: an operation that its actor does not survive this many times alone is given up.
    """

    def __init__(self, actor_options: dict[str, Any], arguments: dict[str, Any], batch: int, max_deaths: int) -> None:
        self._remote = ray.remote(**actor_options)(EnvironmentHost)
        self._arguments, self._batch, self._max_deaths = arguments, batch, max_deaths
        self._queue: deque[tuple[Operation, asyncio.Future[Any]]] = deque()
        self._episodes: dict[str, _Episode] = {}
        self._worker: asyncio.Task[None] | None = None
        self._in_doubt = False  # a call was abandoned: the actor may be ahead of the journal
        self._closed = False
        self.deaths = 0
        self.actor = self._start()

    def submit(self, operation: Operation) -> "asyncio.Future[Any]":
        """The future result of an operation: what the host returns, or a `Failure`."""
        if self._closed:
            raise RuntimeError("the environment pool is closed")
        loop = asyncio.get_running_loop()
        if self._worker is not None and self._worker.get_loop() is not loop:
            self._abandon()  # its event loop ended; what waited there waits no more
            self._worker = None
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.append((operation, future))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._drain())
        return future

    def close(self) -> None:
        self._closed = True
        ray.kill(self.actor, no_restart=True)

    async def _drain(self) -> None:
        # One call at a time: while it runs the next batch gathers, and after a death it is known what was under way.
        await asyncio.sleep(0)
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            futures = [future for _, future in batch]
            try:
                if self._in_doubt:
                    await self._revive()
                    self._in_doubt = False
                results = await self._run([operation for operation, _ in batch])
            except Exception as error:
                self._in_doubt = True
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            except BaseException:  # the event loop is ending
                self._in_doubt = True
                for future in futures:
                    future.cancel()
                raise
            else:
                for future, result in zip(futures, results, strict=True):
                    if not future.done():
                        future.set_result(result)

    def _abandon(self) -> None:
        """Forgets what an ended event loop left behind; whether the actor did some of it is not known."""
        if self._queue or (self._worker is not None and not self._worker.done()):
            self._in_doubt = True
            self._queue.clear()

    async def _run(self, operations: list[Operation]) -> list[Any]:
        deaths = 0
        while True:
            try:
                results = await self.actor.run.remote(operations)
            except DEATH as error:
                deaths += 1
                alone = len(operations) == 1
                if alone and deaths >= self._max_deaths:
                    reason = f"the environment's actor died {deaths} times on this operation: {_first_line(error)}"
                    results = [Failure(Fault("infrastructure", reason))]
                    self._record(operations, results)
                    await self._revive()
                    return results
                await self._revive()
                if not alone:  # perhaps one of them kills it: find out which, and save the others
                    return [result for operation in operations for result in await self._run([operation])]
            else:
                self._record(operations, results)
                return results

    async def _revive(self) -> None:
        """A new actor in the state that the journal tells; gives its episodes up when that fails again and again."""
        if self._closed:
            raise RuntimeError("the environment pool was closed")
        for _ in range(self._max_deaths):
            self.deaths += 1
            with contextlib.suppress(Exception):  # usually dead already
                ray.kill(self.actor, no_restart=True)
            self.actor = self._start()
            try:
                await self._replay()
                return
            except DEATH:
                continue
        self._episodes.clear()
        self.actor = self._start()

    async def _replay(self) -> None:
        slots = list(self._episodes)
        for first in range(0, len(slots), self._batch):
            episodes = [(slot, self._episodes[slot]) for slot in slots[first : first + self._batch]]
            operations = [operation for _, episode in episodes for operation in episode.operations]
            results = iter(await self.actor.run.remote(operations))
            for slot, episode in episodes:
                if [_print(next(results)) for _ in episode.operations] != episode.prints:
                    del self._episodes[slot]  # another world than before: whoever asks next is told there is no episode
                    await self.actor.run.remote([Finish(slot)])

    def _record(self, operations: list[Operation], results: list[Any]) -> None:
        for operation, result in zip(operations, results, strict=True):
            if isinstance(operation, Apply):
                continue
            if isinstance(result, Failure) or isinstance(operation, Finish):
                self._episodes.pop(operation.slot, None)
                continue
            if isinstance(operation, Reset):
                self._episodes[operation.slot] = _Episode()
            episode = self._episodes[operation.slot]
            episode.operations.append(operation)
            episode.prints.append(_print(result))

    def _start(self) -> Any:
        return self._remote.remote(**self._arguments)


def _print(result: Any) -> int | None:
    if isinstance(result, StepResult):
        return hash((result.messages, result.terminated, result.truncated))
    return hash(result.messages) if isinstance(result, Observation) else None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
