"""One actor, the queue in front of it, and the journal that outlives it.

Environments are deterministic: an episode is its task, its seed and the agent's messages. The journal keeps these for
every running episode, so an actor that died, or hangs, is replaced and its episodes are played again up to where they were.
A result is written into the journal before anybody sees it, and a replay that gives other results ends its episode as a
fault.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RayActorError, WorkerCrashedError

from simulators.environment import Observation, StepResult
from simulators.pool.config import PoolConfig
from simulators.pool.host import Apply, EnvironmentHost, Failure, Finish, Operation, Reset
from trajectories.outcomes import Fault

__all__ = ["DEATH", "Lane", "SlotFault"]

DEATH = (RayActorError, WorkerCrashedError, OutOfMemoryError, NodeDiedError, ObjectLostError)
"""What Ray raises when an actor's process is gone, or its node with the results that were still there."""


class _NoAnswer(Exception):
    """The actor is alive, and does not answer."""


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
        episode: what `EnvironmentHost` is given beside the limits.
    """

    def __init__(self, config: PoolConfig, episode: Mapping[str, Any]) -> None:
        # SPREAD: one actor per node before any node has two, so that a node that is lost takes few environments along.
        options = {"num_cpus": config.cpus_per_actor, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        self._remote = ray.remote(**options)(EnvironmentHost)
        self._config, self._episode = config, episode
        self._queue: asyncio.Queue[tuple[Operation, asyncio.Future[Any]]] = asyncio.Queue(config.max_queued)
        self._episodes: dict[str, _Episode] = {}
        self._worker: asyncio.Task[None] | None = None
        self._in_doubt = False  # a call was abandoned: the actor may be ahead of the journal
        self._closed = False
        self.deaths = 0
        self._answered = False  # once, since it was started
        self.actor: Any = self._start()

    @property
    def queued(self) -> int:
        """Operations that wait."""
        return self._queue.qsize()

    async def submit(self, operation: Operation) -> "asyncio.Future[Any]":
        """The future result of an operation: what the host returns, or a `Failure`. Waits while the queue is full."""
        if self._closed:
            raise RuntimeError("the environment pool is closed")
        loop = asyncio.get_running_loop()
        if self._worker is not None and self._worker.get_loop() is not loop:
            self._abandon()  # its event loop ended; what waited there waits no more
        future: asyncio.Future[Any] = loop.create_future()
        await self._queue.put((operation, future))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._drain())
        return future

    async def do(self, operation: Operation) -> Any:
        """The result of an operation; see `submit`."""
        return await (await self.submit(operation))

    def close(self) -> None:
        self._closed = True
        ray.kill(self.actor, no_restart=True)

    async def _drain(self) -> None:
        # One call at a time: while it runs the next batch gathers, and after a death it is known what was under way.
        await asyncio.sleep(0)
        while not self._queue.empty():
            batch = [self._queue.get_nowait() for _ in range(min(self._config.batch, self._queue.qsize()))]
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
        if not self._queue.empty() or (self._worker is not None and not self._worker.done()):
            self._in_doubt = True
        self._queue, self._worker = asyncio.Queue(self._config.max_queued), None

    async def _run(self, operations: list[Operation]) -> list[Any]:
        """The results of all of them, and of whatever kills the actor, or makes it hang, a `Failure`."""
        results: list[Any] = []
        suspects, deaths = False, 0
        while left := operations[len(results) :]:
            together = left[:1] if suspects else left
            try:
                found = await self._call(together)
            except (*DEATH, _NoAnswer) as error:
                suspects = True  # perhaps one of them did it: from here on one by one, to find out and to save the others
                deaths += len(together) == 1
                if deaths < self._config.max_deaths:
                    await self._revive()
                    continue
                reason = f"the environment's actor was lost {deaths} times on this operation: {_first_line(error)}"
                found = [Failure(Fault("infrastructure", reason))]
                self._record(together, found)
                await self._revive()
            else:
                self._record(together[: len(found)], found)
            results += found
            deaths = 0
        return results

    async def _call(self, operations: list[Operation]) -> list[Any]:
        """Results of the first operations, at least one; see `EnvironmentHost.run`.

        Raises:
            _NoAnswer: there were none in time.
            RayError: one of `DEATH`.
        """
        if not self._answered:  # it may wait for its place on the cluster, and that has no limit
            await self.actor.pid.remote()
            self._answered = True
        seconds = self._config.limits.of_call(operations) + self._config.grace_seconds
        call = asyncio.wrap_future(self.actor.run.remote(operations).future())
        try:
            # Not `wait_for`: after a long stay elsewhere this loop finds answer and deadline at once, and the answer counts.
            await asyncio.wait((call,), timeout=seconds)
            if not call.done():
                raise _NoAnswer(f"it did not answer for {seconds:g} s")
            return list(call.result())
        finally:
            call.cancel()

    async def _revive(self) -> None:
        """A new actor in the state that the journal tells; gives its episodes up when that fails again and again."""
        if self._closed:
            raise RuntimeError("the environment pool was closed")
        for _ in range(self._config.max_deaths):
            self.deaths += 1
            with contextlib.suppress(Exception):  # usually dead already
                ray.kill(self.actor, no_restart=True)
            self.actor = self._start()
            try:
                await self._replay()
                return
            except (*DEATH, _NoAnswer):
                continue
        self._episodes.clear()
        self.actor = self._start()

    async def _replay(self) -> None:
        slots = list(self._episodes)
        for first in range(0, len(slots), self._config.batch):
            episodes = [(slot, self._episodes[slot]) for slot in slots[first : first + self._config.batch]]
            operations = [operation for _, episode in episodes for operation in episode.operations]
            found: list[Any] = []
            while len(found) < len(operations):
                found += await self._call(operations[len(found) :])
            results = iter(found)
            for slot, episode in episodes:
                if [_print(next(results)) for _ in episode.operations] != episode.prints:
                    del self._episodes[slot]  # another world than before: whoever asks next is told there is no episode
                    await self._call([Finish(slot)])

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
        self._answered = False
        return self._remote.remote(**self._episode, limits=self._config.limits)


def _print(result: Any) -> int | None:
    if isinstance(result, StepResult):
        return hash((result.messages, result.terminated, result.truncated))
    return hash(result.messages) if isinstance(result, Observation) else None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
