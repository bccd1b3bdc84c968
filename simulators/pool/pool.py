"""The pool as callers see it: slots that are reset, stepped and finished, from any number of coroutines at once.

Calls that coroutines make at the same time travel together: one remote call per actor, and the next batch gathers while
it runs. Where an episode runs, when, and how often its actor died changes nothing about its results.
"""

import asyncio
import contextlib
import functools
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import ray

from simulators.environment import Observation, StepResult
from simulators.playable import open_world
from simulators.pool.config import PoolConfig
from simulators.pool.host import Abort, Apply, Failure, Finish, Reset, Step
from simulators.pool.lane import DEATH, Lane, SlotFault
from simulators.tasks.agents import make_agent, play
from simulators.tasks.teacher import ErrorMix
from simulators.users import AnyVoice
from simulators.worlds import WorldSpec
from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Ending, Fault, Outcome
from trajectories.tasks import Task

__all__ = ["EnvironmentPool", "PoolError"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class PoolError(RuntimeError):
    """Work that belongs to no slot could not be done."""


class EnvironmentPool:
    """Environments in Ray actors. `ray.init` comes first; all methods but `close` belong into one event loop at a time.

    A slot is any string; it names one episode from `reset` until `outcome`. Of one slot only one call is under way.

    Args:
        voice: who puts users' decisions into words, see `Environment`; it is pickled. One that asks a model takes its time,
            which `PoolConfig.operation_seconds` must allow for.
    """

    def __init__(self, config: PoolConfig | None = None, voice: AnyVoice | None = None) -> None:
        config = config or PoolConfig()
        if not ray.is_initialized():
            raise RuntimeError("EnvironmentPool needs a Ray cluster: call ray.init first")
        self.config = config
        self._episode = {**config.episode, "voice": voice}
        self._lanes = [Lane(config, self._episode) for _ in range(config.actors)]

    async def reset(self, slot: str, task: Task, seed: int) -> Observation:
        """Starts an episode in a slot; one that is there is dropped. The methods of one slot raise `SlotFault`."""
        return _result(slot, await self._lane(slot).do(Reset(slot, task, seed)))

    async def step(self, slot: str, message: Message) -> StepResult:
        """Answers one assistant message; see `Environment.step`."""
        return _result(slot, await self._lane(slot).do(Step(slot, message)))

    async def abort(self, slot: str, ending: Ending, fault: Fault | None = None, message: Message | None = None) -> None:
        """Ends the episode from outside; see `Environment.abort`."""
        _result(slot, await self._lane(slot).do(Abort(slot, ending, fault, message)))

    async def outcome(self, slot: str) -> Outcome:
        """What can be observed of the episode; frees the slot."""
        return _result(slot, await self._lane(slot).do(Finish(slot)))

    async def reset_many(self, items: Iterable[tuple[str, Task, int]]) -> dict[str, Observation | SlotFault]:
        """`reset` of many (slot, task, seed); an episode that broke has its fault in place of the result."""
        return await _gather({slot: self.reset(slot, task, seed) for slot, task, seed in items})

    async def step_many(self, items: Iterable[tuple[str, Message]]) -> dict[str, StepResult | SlotFault]:
        """`step` of many (slot, message)."""
        return await _gather({slot: self.step(slot, message) for slot, message in items})

    async def abort_many(self, items: Iterable[tuple[str, Ending, Fault | None]]) -> dict[str, SlotFault | None]:
        """`abort` of many (slot, ending, fault)."""
        return await _gather({slot: self.abort(slot, ending, fault) for slot, ending, fault in items})

    async def outcome_many(self, slots: Iterable[str]) -> dict[str, Outcome | SlotFault]:
        """`outcome` of many slots."""
        return await _gather({slot: self.outcome(slot) for slot in slots})

    async def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """`function` of each item, computed in the actors; results in the order of the items.

        Args:
            function: pure, for it is called again when an actor dies; it and the items are pickled.
            items: drawn as the queues have room for them, so that they may be made as they are needed.

        Raises:
            PoolError: the function raised, took longer than `item_seconds`, or no actor survived it.
        """
        results = await self._apply(function, items)
        for index, result in enumerate(results):
            if isinstance(result, Failure):
                raise PoolError(f"item {index}: {result.fault.message}")
        return results

    async def play_many(
        self, items: Iterable[tuple[Task, int, Mapping[str, Any]]]
    ) -> list[tuple[tuple[Message, ...], tuple[ToolSpec, ...], Outcome]]:
        """Whole episodes of scripted agents, played inside the actors.

        Args:
            items: (task, seed of the user, policy); a policy is ``kind`` and the keywords of `make_agent`, for example
                ``{"kind": "teacher", "competence": 0.8, "run_seed": 7, "errors": {"wrong_digit": 1.0}}``.

        Returns:
            For each: dialogue with system prompt, tools, outcome; of an episode that took longer than `item_seconds`, or
            that no actor survived, nothing but an outcome that ended by this fault.

        Raises:
            PoolError: a policy or a task that cannot be played.
        """
        results = await self._apply(functools.partial(_play, self._episode), items)
        for index, result in enumerate(results):
            if isinstance(result, Failure):
                if result.fault.source != "infrastructure":
                    raise PoolError(f"item {index}: {result.fault.message}")
                results[index] = ((), (), Outcome("fault", faults=(result.fault,)))
        return results

    def pids(self) -> list[int]:
        """Process ids of the actors that live; one that died is replaced when it is next needed."""
        answers = [lane.actor.pid.remote() for lane in self._lanes]
        pids = []
        for answer in answers:
            with contextlib.suppress(*DEATH):
                pids.append(ray.get(answer))
        return pids

    @property
    def deaths(self) -> int:
        """Actors that were replaced so far."""
        return sum(lane.deaths for lane in self._lanes)

    def close(self) -> None:
        """Ends the actors; their episodes are gone."""
        for lane in self._lanes:
            lane.close()

    def __enter__(self) -> "EnvironmentPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _apply(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        futures = []
        for item in items:
            lane = min(self._lanes, key=lambda lane: lane.queued)
            futures.append(await lane.submit(Apply(function, item)))
        return await asyncio.gather(*futures)

    def _lane(self, slot: str) -> Lane:
        return self._lanes[zlib.crc32(slot.encode("utf-8", "surrogatepass")) % len(self._lanes)]


def _result(slot: str, result: Any) -> Any:
    if isinstance(result, Failure):
        raise SlotFault(slot, result.fault)
    return result


async def _gather(calls: Mapping[str, Any]) -> dict[str, Any]:
    results = await asyncio.gather(*calls.values(), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, SlotFault):
            raise result
    return dict(zip(calls, results, strict=True))


def _play(episode: dict[str, Any], item: tuple[Task, int, Mapping[str, Any]]) -> Any:
    task, seed, policy = item
    settings = dict(policy)
    if isinstance(settings.get("errors"), Mapping):
        settings["errors"] = ErrorMix(**settings["errors"])
    world = open_world(task.world)
    agent = make_agent(settings.pop("kind"), task, cast(WorldSpec, world), **settings)
    return play(task, world, agent, seed, **episode)
