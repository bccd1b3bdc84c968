"""The pool as callers see it: slots that are reset, stepped and finished, from any number of coroutines at once.

Calls that coroutines make at the same time travel together: one remote call per actor, and the next batch gathers while
it runs. Where an episode runs, when, and how often its actor died changes nothing about its results.
"""

import asyncio
import contextlib
import functools
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ray

from simulators.environment import Observation, StepResult
from simulators.pool.host import Abort, Apply, Failure, Finish, Reset, Step
from simulators.pool.lane import DEATH, Lane, SlotFault
from simulators.stochastic import ToolTroubles
from simulators.tasks.agents import make_agent, play
from simulators.tasks.teacher import ErrorMix
from simulators.worlds import load
from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Ending, Fault, Outcome
from trajectories.tasks import Task

__all__ = ["EnvironmentPool", "PoolConfig", "PoolError"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class PoolError(RuntimeError):
    """Work that belongs to no slot could not be done."""


@dataclass(frozen=True)
class PoolConfig:
    """How environments are spread over Ray actors, which decides speed, never results; and what `Environment` is given:
    max_turns, end_on_malformed and troubles."""

    actors: int = 1
    """Actor processes; each holds many environments."""
    max_turns: int = 12
    """Assistant messages per episode."""
    end_on_malformed: bool = False
    """Whether a call that is no JSON object, or names no tool, ends the episode with ending ``malformed``."""
    troubles: ToolTroubles = field(default_factory=ToolTroubles)
    """How often tools misbehave; never, unless a rate is set."""
    batch: int = 256
    """Most operations (steps, resets, ...) per remote call."""
    cpus_per_actor: float = 0.1
    """Ray's logical CPUs per actor; environments wait for the policy most of the time."""
    max_deaths: int = 3
    """An operation that its actor does not survive this many times, alone, becomes a fault of its episode."""

    def __post_init__(self) -> None:
        for name in ("actors", "max_turns", "batch", "max_deaths"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.cpus_per_actor < 0:
            raise ValueError(f"cpus_per_actor is at least 0, not {self.cpus_per_actor}")


class EnvironmentPool:
    """Environments in Ray actors. `ray.init` comes first; all methods but `close` belong into one event loop at a time.

    A slot is any string; it names one episode from `reset` until `outcome`. Of one slot only one call is under way.
    """

    def __init__(self, config: PoolConfig | None = None) -> None:
        config = config or PoolConfig()
        if not ray.is_initialized():
            raise RuntimeError("EnvironmentPool needs a Ray cluster: call ray.init first")
        self.config = config
        arguments = _episode_settings(config)
        options = {"num_cpus": config.cpus_per_actor, "max_restarts": 0}
        self._lanes = [Lane(options, arguments, config.batch, config.max_deaths) for _ in range(config.actors)]

    async def reset(self, slot: str, task: Task, seed: int) -> Observation:
        """Starts an episode in a slot; one that is there is dropped. The methods of one slot raise `SlotFault`."""
        return _result(slot, await self._lane(slot).submit(Reset(slot, task, seed)))

    async def step(self, slot: str, message: Message) -> StepResult:
        """Answers one assistant message; see `Environment.step`."""
        return _result(slot, await self._lane(slot).submit(Step(slot, message)))

    async def abort(
        self, slot: str, ending: Ending, fault: Fault | None = None, message: Message | None = None
    ) -> None:
        """Ends the episode from outside; see `Environment.abort`."""
        _result(slot, await self._lane(slot).submit(Abort(slot, ending, fault, message)))

    async def outcome(self, slot: str) -> Outcome:
        """What can be observed of the episode; frees the slot."""
        return _result(slot, await self._lane(slot).submit(Finish(slot)))

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

    async def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """`function` of each item, computed in the actors; results in the order of the items.

        Args:
            function: pure, for it is called again when an actor dies; it and the items are pickled.

        Raises:
            PoolError: the function raised, or no actor survived it.
        """
        lanes = self._lanes
        futures = [lanes[index % len(lanes)].submit(Apply(function, item)) for index, item in enumerate(items)]
        results = await asyncio.gather(*futures)
        for index, result in enumerate(results):
            if isinstance(result, Failure):
                raise PoolError(f"item {index}: {result.fault.message}")
        return results

    async def play_many(
        self, items: Sequence[tuple[Task, int, Mapping[str, Any]]]
    ) -> list[tuple[tuple[Message, ...], tuple[ToolSpec, ...], Outcome]]:
        """Whole episodes of scripted agents, played inside the actors.

        Args:
            items: (task, seed of the user, policy); a policy is ``kind`` and the keywords of `make_agent`, for example
                ``{"kind": "teacher", "competence": 0.8, "run_seed": 7, "errors": {"wrong_digit": 1.0}}``.

        Returns:
            For each: dialogue with system prompt, tools, outcome.
        """
        return await self.map(functools.partial(_play, _episode_settings(self.config)), items)

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

    def _lane(self, slot: str) -> Lane:
        return self._lanes[zlib.crc32(slot.encode("utf-8", "surrogatepass")) % len(self._lanes)]


def _episode_settings(config: PoolConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ("max_turns", "end_on_malformed", "troubles")}


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
    world = load(task.world)
    return play(task, world, make_agent(settings.pop("kind"), task, world, **settings), seed, **episode)
