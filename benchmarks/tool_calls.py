"""Tool calls per second: in one process, in the pool's actors, and shipped to them from the driver.

The calls are JSON texts as a policy writes them, a mix of reads, searches and changes over the worlds that ship. Each
episode starts from a fork of a shared instance; a change whose precondition fails is answered with a tool error, as in
real episodes, and counts as a call.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from benchmarks.figure import Figure, Limit, Unit, seconds_of, take_turns
from benchmarks.workload import Workload
from simulators.pool import EnvironmentPool, PoolConfig
from simulators.worlds import WorldState, load, names
from simulators.worlds.spec import ArgumentSpec, OperationSpec
from trajectories.messages import Message, ToolCall
from trajectories.seeds import derive_rng, derive_seed
from trajectories.tasks import Task

__all__ = ["Call", "ToolCallsBenchmark", "measure", "plan_calls"]

MIX = {"read": 0.5, "search": 0.2, "change": 0.25, "decline": 0.05}
"""Share of each kind of call."""
Call = tuple[str, str]
"""Tool and JSON text of its arguments."""
Chunk = tuple[str, int, int, int]
"""World, seed, episodes, calls of each."""


@dataclass(frozen=True, kw_only=True)
class ToolCallsBenchmark:
    chunks: int = 64
    """Groups of episodes over the same instance; the worlds that ship take turns."""
    episodes: int = 64
    """Episodes of each group."""
    calls: int = 8
    """Calls of each episode."""
    slots: int = 256
    """Episodes that are played side by side through the pool, for calls shipped from the driver."""
    actors: int = 1
    """Pool actors."""

    def __post_init__(self) -> None:
        for key in ("chunks", "episodes", "calls", "slots", "actors"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")

    def quick(self) -> "ToolCallsBenchmark":
        return replace(self, chunks=len(names()), episodes=4, slots=8)


def measure(settings: ToolCallsBenchmark, workload: Workload, repeats: int) -> list[Figure]:
    """Calls per second; needs a running Ray. `workload` has `settings.slots` tasks, or fewer that are used again."""
    worlds = names()
    chunks = [
        (worlds[index % len(worlds)], index, settings.episodes, settings.calls) for index in range(settings.chunks)
    ]
    calls = settings.chunks * settings.episodes * settings.calls
    errors = sum(_play_chunk(chunk) for chunk in chunks)  # plans are made here, before anything is measured
    (in_process,) = take_turns(repeats, lambda: calls / seconds_of(lambda: [_play_chunk(chunk) for chunk in chunks]))
    limit = Limit("in one process", in_process)
    mixed: dict[str, float] = {"calls": float(calls), "tool_error_share": errors / calls}
    unit: Unit = "calls/s"
    with EnvironmentPool(PoolConfig(actors=settings.actors, max_turns=settings.calls + 1)) as pool:
        through = asyncio.run(_measure_pool(pool, settings, chunks, workload, repeats))
    actors = {"actors": float(settings.actors)}
    return [
        Figure("tool calls, in one process", unit, in_process, None, mixed),
        Figure("tool calls, made in pool actors", unit, through["map"], limit, mixed | actors),
        Figure("tool calls, oracle episodes in pool actors", unit, through["play_many"], None, actors),
        Figure(
            "tool calls, shipped to pool actors",
            unit,
            through["step"],
            limit,
            actors | {"batch": float(settings.slots)},
        ),
    ]


async def _measure_pool(
    pool: EnvironmentPool,
    settings: ToolCallsBenchmark,
    chunks: Sequence[Chunk],
    workload: Workload,
    repeats: int,
) -> dict[str, tuple[float, ...]]:
    tasks = [workload.tasks[index % len(workload.tasks)] for index in range(settings.slots)]
    episodes = [(task, derive_seed(workload.seed, "user", task.id, 0), {"kind": "oracle"}) for task in tasks]
    messages = [_messages(task, settings.calls) for task in tasks]
    rates: dict[str, list[float]] = {"map": [], "play_many": [], "step": []}
    for repeat in range(repeats + 1):  # the first one makes the plans in the actors and is not measured
        started = time.perf_counter()
        await pool.map(_play_chunk, chunks)
        mapped = time.perf_counter()
        played = await pool.play_many(episodes)
        ended = time.perf_counter()
        seconds = await _ship(pool, tasks, messages)
        if repeat:
            rates["map"].append(settings.chunks * settings.episodes * settings.calls / (mapped - started))
            rates["play_many"].append(sum(len(outcome.calls) for _, _, outcome in played) / (ended - mapped))
            rates["step"].append(settings.slots * settings.calls / seconds)
    return {name: tuple(values) for name, values in rates.items()}


async def _ship(pool: EnvironmentPool, tasks: Sequence[Task], messages: Sequence[Sequence[Message]]) -> float:
    """Seconds of all steps; every round is one batch, as when many episodes wait for their tools at once."""
    await pool.reset_many((str(slot), task, 0) for slot, task in enumerate(tasks))
    started = time.perf_counter()
    for number in range(len(messages[0])):
        results = await pool.step_many((str(slot), turns[number]) for slot, turns in enumerate(messages))
        for result in results.values():
            if isinstance(result, Exception):
                raise result
    seconds = time.perf_counter() - started
    await pool.outcome_many(str(slot) for slot in range(len(tasks)))
    return seconds


def _play_chunk(chunk: Chunk) -> int:
    """Every episode of a chunk on a fork of its instance; returns how many calls were answered with an error."""
    base, plan = _plan(chunk)
    errors = 0
    for calls in plan:
        call = base.fork().call
        for tool, arguments in calls:
            errors += call(tool, arguments).isError
    return errors


@lru_cache(maxsize=4096)
def _plan(chunk: Chunk) -> tuple[WorldState, list[list[Call]]]:
    """Made once per process, so that what is measured is answering calls and not inventing them."""
    world, seed, episodes, calls = chunk
    base = load(world).instantiate(seed)
    rng = derive_rng(seed, "tool-calls", world)
    return base, [plan_calls(base, calls, rng) for _ in range(episodes)]


def _messages(task: Task, count: int) -> list[Message]:
    """One assistant message per call."""
    state = load(task.world).instantiate(task.seed, task.gold.initialise)
    calls = plan_calls(state, count, derive_rng(task.seed, "tool-calls", task.id))
    return [
        Message("assistant", tool_calls=(ToolCall(f"functions.{tool}:{index}", tool, arguments),))
        for index, (tool, arguments) in enumerate(calls)
    ]


def plan_calls(state: WorldState, count: int, rng: random.Random) -> list[Call]:
    """So many calls in the mix `MIX`, all of which fit the schemas and the records of `state`."""
    operations: dict[str, list[OperationSpec]] = {}
    for operation in state.world.operations.values():
        operations.setdefault("change" if operation.changes_state else operation.kind, []).append(operation)
    kinds = rng.choices(list(operations), [MIX[kind] for kind in operations], k=count)
    return [_call(state, rng.choice(operations[kind]), rng) for kind in kinds]


def _call(state: WorldState, operation: OperationSpec, rng: random.Random) -> Call:
    values: dict[str, Any] = {}
    for argument in operation.arguments.values():
        if not (argument.optional and rng.random() < 0.5):
            values[argument.name] = _value(state, argument, rng)
    return operation.name, json.dumps(values, separators=(",", ":"))


def _value(state: WorldState, argument: ArgumentSpec, rng: random.Random) -> Any:
    """One that the schema accepts, of a record that exists."""
    if argument.kind == "key":
        return rng.choice(list(state.keys(argument.entity)))
    if argument.kind == "value":
        return rng.choice([fields[argument.field] for fields in state.records(argument.entity).values()])
    if "enum" in argument.schema:
        return rng.choice(list(argument.schema["enum"]))
    made: dict[str, Callable[[], Any]] = {
        "integer": lambda: rng.randint(argument.schema["minimum"], argument.schema["maximum"]),
        "boolean": lambda: rng.random() < 0.5,
        "string": lambda: "note"[: argument.schema["maxLength"]],
    }
    return made[argument.schema["type"]]()
