"""Tool calls per second: in one process, in the pool's actors beside as many plain processes, and shipped to actors.

The calls are JSON texts as a policy writes them, a mix of reads, searches and changes over the worlds that ship. Each
episode starts from a fork of a shared instance; a change whose precondition fails is answered with a tool error, as in
real episodes, and counts as a call.
"""

import asyncio
import contextlib
import json
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing.pool import Pool
from typing import Any

from benchmarks.figure import Figure, Limit, Unit, seconds_of, take_turns
from benchmarks.workload import Workload
from simulators.pool import EnvironmentPool, PoolConfig
from simulators.worlds import WorldState, load, names
from simulators.worlds.spec import ArgumentSpec, OperationSpec
from trajectories.messages import Message, ToolCall
from trajectories.seeds import derive_rng, derive_seed
from trajectories.tasks import Task

__all__ = ["Call", "ToolCallsBenchmark", "measure", "plan_calls", "sort_of"]

MIX = {"read": 0.5, "search": 0.2, "change": 0.25, "decline": 0.05}
"""Share of each sort of call, see `sort_of`."""
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
    actors: int = 2
    """Pool actors, and plain processes beside them."""

    def __post_init__(self) -> None:
        for key in ("chunks", "episodes", "calls", "slots", "actors"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")

    def quick(self) -> "ToolCallsBenchmark":
        return replace(self, chunks=len(names()), episodes=4, slots=8)


def measure(settings: ToolCallsBenchmark, workload: Workload, repeats: int) -> list[Figure]:
    """Calls per second; needs a running Ray. `workload` has `settings.slots` tasks, or fewer that are used again."""
    worlds = names()
    chunks = [(worlds[index % len(worlds)], index, settings.episodes, settings.calls) for index in range(settings.chunks)]
    calls = settings.chunks * settings.episodes * settings.calls
    errors = sum(_play_chunk(chunk) for chunk in chunks)  # plans are made here, before anything is measured
    tasks = [workload.tasks[index % len(workload.tasks)] for index in range(settings.slots)]
    episodes = [(task, derive_seed(workload.seed, "user", task.id, 0), {"kind": "oracle"}) for task in tasks]
    messages = [_messages(task, settings.calls) for task in tasks]
    oracle_calls: list[int] = []

    with (
        _processes(settings.actors) as processes,
        EnvironmentPool(PoolConfig(actors=settings.actors, max_turns=settings.calls + 1)) as pool,
        asyncio.Runner() as runner,
    ):

        def in_process() -> float:
            return calls / seconds_of(lambda: [_play_chunk(chunk) for chunk in chunks])

        def in_processes() -> float:
            def work() -> None:
                shares = [chunks[number :: len(processes)] for number in range(len(processes))]
                played = [process.map_async(_play_chunk, share) for process, share in zip(processes, shares, strict=True)]
                for answer in played:
                    answer.get()

            return calls / seconds_of(work)

        def in_actors() -> float:
            return calls / seconds_of(lambda: runner.run(pool.map(_play_chunk, chunks)))

        def whole_episodes() -> float:
            def work() -> None:
                played = runner.run(pool.play_many(episodes))
                oracle_calls.append(sum(len(outcome.calls) for _, _, outcome in played))

            seconds = seconds_of(work)
            return oracle_calls[-1] / seconds

        def shipped() -> float:
            return settings.slots * settings.calls / runner.run(_ship(pool, tasks, messages))

        one, several, mapped, oracle, sent = take_turns(repeats, in_process, in_processes, in_actors, whole_episodes, shipped)
    mixed: dict[str, float] = {"calls": float(calls), "tool_error_share": errors / calls}
    actors = {"actors": float(settings.actors)}
    unit: Unit = "calls/s"
    beside = Limit("in as many plain processes, together", several, ">= 0.60")
    alone = Limit("in one process", one)
    return [
        Figure("tool calls, in one process", unit, one, None, mixed),
        Figure("tool calls, made in pool actors", unit, mapped, beside, mixed | actors),
        Figure("tool calls, oracle episodes in pool actors", unit, oracle, None, actors),
        Figure("tool calls, shipped to pool actors", unit, sent, alone, actors | {"batch": float(settings.slots)}),
    ]


@contextlib.contextmanager
def _processes(count: int) -> Iterator[list[Pool]]:
    """So many pools of one process each, so that every process has the same work each time and makes its plans once."""
    with contextlib.ExitStack() as stack:
        # Not forked: a copy of a process that Ray's threads run in may hang.
        yield [stack.enter_context(multiprocessing.get_context("spawn").Pool(1)) for _ in range(count)]


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
        operations.setdefault(sort_of(operation), []).append(operation)
    sorts = rng.choices(list(operations), [MIX[sort] for sort in operations], k=count)
    return [_call(state, rng.choice(operations[sort]), rng) for sort in sorts]


def sort_of(operation: OperationSpec) -> str:
    """``change``, ``decline``, ``read`` (one record) or ``search`` (over all records: lists and figures too)."""
    if operation.changes_state:
        return "change"
    return "search" if operation.kind in ("search", "list", "compute") else operation.kind


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
