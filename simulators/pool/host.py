"""What runs inside one actor: many environments by slot, and one method that takes a list of operations.

An operation that raises, or takes too long, gives a `Failure` in its place and ends its own episode; its neighbours in
the batch go on.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simulators.environment import Environment, Observation
from simulators.playable import open_world
from simulators.pool.alarm import Alarm, TimeUp
from simulators.stochastic import ToolTroubles
from simulators.users import AnyVoice
from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Ending, Fault, Outcome
from trajectories.tasks import Task

__all__ = ["Abort", "Apply", "EnvironmentHost", "Failure", "Finish", "Operation", "Reset", "Step", "TimeLimits"]


@dataclass(frozen=True)
class Failure:
    """In place of a result: the operation could not be done."""

    fault: Fault
    """From ``environment`` when it raised, from ``infrastructure`` when it took too long or its actor died."""


@dataclass(frozen=True)
class Reset:
    slot: str
    task: Task
    seed: int


@dataclass(frozen=True)
class Step:
    slot: str
    message: Message


@dataclass(frozen=True)
class Abort:
    slot: str
    ending: Ending
    fault: Fault | None = None
    message: Message | None = None


@dataclass(frozen=True)
class Finish:
    """Asks for the outcome and frees the slot."""

    slot: str


@dataclass(frozen=True)
class Apply:
    """A pure function of one item, in no slot."""

    function: Callable[[Any], Any]
    item: Any


Operation = Reset | Step | Abort | Finish | Apply


@dataclass(frozen=True)
class TimeLimits:
    """Seconds that one operation may take."""

    operation: float
    """Of one environment."""
    item: float
    """Of `Apply`, which may be a whole episode or anything else."""

    def of(self, operation: Operation) -> float:
        return self.item if isinstance(operation, Apply) else self.operation

    def of_call(self, operations: Sequence[Operation]) -> float:
        """Most seconds of `EnvironmentHost.run`: it begins no operation after the limit of one, and ends what it began."""
        longest = max(map(self.of, operations))
        return longest if len(operations) == 1 else self.operation + longest


class EnvironmentHost:
    """The environments of one actor; the first arguments are those of `Environment`.

    Args: limits: of time; only in a main thread, with SIGALRM for themselves. None where nothing is ever interrupted.
    """

    def __init__(
        self,
        max_turns: int,
        end_on_malformed: bool,
        troubles: ToolTroubles | None = None,
        voice: AnyVoice | None = None,
        limits: TimeLimits | None = None,
    ) -> None:
        self._max_turns, self._end_on_malformed, self._troubles, self._voice = max_turns, end_on_malformed, troubles, voice
        self._limits, self._alarm = limits, Alarm() if limits is not None else None
        self._running: dict[str, tuple[str, Environment]] = {}  # with the task's word for its world, a name or path
        self._idle: dict[str, list[Environment]] = {}  # by that word; an environment plays one episode after the other
        self._tools: dict[str, tuple[ToolSpec, ...]] = {}

    def run(self, operations: Sequence[Operation]) -> list[Any]:
        """The result of each operation, in order. When they take longer together than one of them may, only of those that
        were done: the caller asks again for the others, and can tell a slow batch from an actor that hangs."""
        started = time.monotonic()
        results = []
        for operation in operations:
            results.append(self._perform_in_time(operation))
            if self._limits is not None and time.monotonic() - started > self._limits.operation:
                break
        return results

    def pid(self) -> int:
        return os.getpid()

    def _perform_in_time(self, operation: Operation) -> Any:
        if self._limits is None or self._alarm is None:
            return self._perform(operation)
        seconds = self._limits.of(operation)
        try:
            return self._alarm.call(lambda: self._perform(operation), seconds)
        except TimeUp:
            return self._lost(operation, Fault("infrastructure", f"{_name(operation)} timed out after {seconds:g} s"))

    def _perform(self, operation: Operation) -> Any:
        try:
            if isinstance(operation, Step):
                return self._environment(operation.slot).step(operation.message)
            if isinstance(operation, Reset):
                return self._reset(operation)
            if isinstance(operation, Finish):
                return self._finish(operation.slot)
            if isinstance(operation, Abort):
                return self._environment(operation.slot).abort(operation.ending, operation.fault, operation.message)
            return operation.function(operation.item)
        except Exception as error:  # whatever broke is a fault of this one episode and is told to whoever asked
            return self._lost(operation, Fault("environment", f"{type(error).__name__}: {error}"))

    def _lost(self, operation: Operation, fault: Fault) -> Failure:
        if not isinstance(operation, Apply):
            self._running.pop(operation.slot, None)
        return Failure(fault)

    def _reset(self, operation: Reset) -> Observation:
        task = operation.task
        idle = self._idle.setdefault(task.world, [])
        environment = idle.pop() if idle else self._new_environment(task.world)
        observation = environment.reset(task, operation.seed)
        self._running[operation.slot] = (task.world, environment)
        # One tuple per world, so that a batch of observations carries its tools once.
        return Observation(observation.messages, self._tools.setdefault(task.world, observation.tools))

    def _new_environment(self, world: str) -> Environment:
        return Environment(
            open_world(world),
            max_turns=self._max_turns,
            end_on_malformed=self._end_on_malformed,
            troubles=self._troubles,
            voice=self._voice,
        )

    def _finish(self, slot: str) -> Outcome:
        outcome = self._environment(slot).outcome()
        world, environment = self._running.pop(slot)
        self._idle[world].append(environment)
        return outcome

    def _environment(self, slot: str) -> Environment:
        if slot not in self._running:
            raise KeyError(f"there is no episode in slot {slot!r}: it was never reset, is over, or was lost")
        return self._running[slot][1]


def _name(operation: Operation) -> str:
    return "item" if isinstance(operation, Apply) else type(operation).__name__.lower()
