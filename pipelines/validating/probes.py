"""The evidence of `orrery validate`: candidates as certification judges them, and probes that play what it let through."""

import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import ray

from rewards.verifiers import verify
from simulators.pool import EnvironmentPool
from simulators.tasks.agents import play
from simulators.tasks.certify import MAX_TURNS, certify, cheating_agents, observed
from simulators.tasks.oracle import OracleAgent
from simulators.tasks.stream import TaskStream, UncertifiableError
from simulators.worlds import load
from trajectories.codec import from_row, to_row
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.seeds import derive_seed
from trajectories.tasks import Split, Task

__all__ = ["CANDIDATE_SCHEMA", "CHUNK", "PROBE_SCHEMA", "draw_chunks", "probe_tasks"]

Row = dict[str, Any]
Verify = Callable[[Task, Outcome], Reward]

CHUNK: Final = 32
"""Tasks of one call to a worker."""

CANDIDATE_SCHEMA: Final = pa.schema(
    {
        "number": pa.int64(),
        "task_id": pa.string(),
        "world": pa.string(),
        "certified": pa.bool_(),
        "reasons": pa.list_(pa.string()),
    }
)
"""One row per candidate of a number. `task_id` is empty where none could be composed."""

PROBE_SCHEMA: Final = pa.schema(
    {
        "number": pa.int64(),
        "task_id": pa.string(),
        "world": pa.string(),
        "probe": pa.string(),
        "reward": pa.float64(),
        "valid": pa.bool_(),
        "cause": pa.string(),
    }
)
"""One row per task and probe; of mutated oracles of one name the one with the highest reward."""


def draw_chunks(
    stream: TaskStream, seed: int, split: Split, numbers: range, workers: int
) -> Iterator[tuple[list[Row], list[tuple[int, Row]]]]:
    """Rows of all candidates, and the certified tasks in their stored form with their numbers; in order, as many chunks at
    once as workers."""
    draw = ray.remote(num_cpus=1)(_draw)
    waiting: deque[ray.ObjectRef] = deque()
    starts = iter(numbers[::CHUNK])
    while True:
        while len(waiting) <= workers and (start := next(starts, None)) is not None:
            waiting.append(draw.remote(stream, seed, split, range(start, min(start + CHUNK, numbers.stop))))
        if not waiting:
            return
        yield ray.get(waiting.popleft())


async def probe_tasks(pool: EnvironmentPool, tasks: Sequence[tuple[int, Row]], seed: int) -> list[Row]:
    """Rows of every probe on every task, played and judged in the actors; in the order of tasks and probes."""
    parts = await pool.map(functools.partial(_probe_task, verify, seed), tasks)
    return [row for part in parts for row in part]


def _draw(stream: TaskStream, seed: int, split: Split, numbers: range) -> tuple[list[Row], list[tuple[int, Row]]]:
    """Rows of the candidates of these numbers, and the stored form of the tasks that the stream gives for them."""
    candidates: list[Row] = []
    tasks: list[tuple[int, Row]] = []
    for number in numbers:
        seen: dict[str, Task] = {}

        def noting(task: Task, outcome: Outcome, seen: dict[str, Task] = seen) -> Reward:
            seen.setdefault(task.id, task)  # certification judges every candidate, so none is missed
            return verify(task, outcome)

        try:
            accepted = stream.task(number, run_seed=seed, split=split, verify=noting)
        except UncertifiableError as error:
            if not seen:
                world = stream.worlds[number % len(stream.worlds)]
                candidates.append(_candidate(number, "", world, [f"compose: {error}"]))
        else:
            seen.pop(accepted.id)
            tasks.append((number, to_row(accepted)))
            candidates.append(_candidate(number, accepted.id, accepted.world, []))
        for task in seen.values():
            certificate = certify(task, load(task.world), verify).certificate
            candidates.append(_candidate(number, task.id, task.world, certificate.reasons if certificate else ["none"]))
    return candidates, tasks


def _candidate(number: int, task_id: str, world: str, reasons: Sequence[str]) -> Row:
    return {"number": number, "task_id": task_id, "world": world, "certified": not reasons, "reasons": list(reasons)}


def _probe_task(verify: Verify, seed: int, item: tuple[int, Row]) -> list[Row]:
    number, task = item[0], from_row(Task, item[1])
    world, user_seed = load(task.world), derive_seed(seed, "validate", task.id)
    verdicts: dict[str, Reward] = {}
    try:
        messages, _, best = play(task, world, OracleAgent(task), user_seed, max_turns=MAX_TURNS)
        verdicts["oracle"] = verify(task, best)
        for name, agent in cheating_agents(task, world, messages[:2]):
            outcome = play(task, world, agent, user_seed, max_turns=MAX_TURNS)[2]
            if name.startswith("mutated_") and observed(outcome) == observed(best):
                continue
            reward = verify(task, outcome)
            verdicts[name] = max(verdicts.get(name, reward), reward, key=_suspicion)
    except Exception as error:  # nothing that the policy does raises, so something of ours is broken: no verdict
        verdicts["oracle"] = Reward.invalid(f"{type(error).__name__}: {error}")
    return [
        {
            "number": number, "task_id": task.id, "world": task.world, "probe": name,
            "reward": reward.value, "valid": reward.valid, "cause": reward.cause,
        }
        for name, reward in verdicts.items()
    ]  # fmt: skip


def _suspicion(reward: Reward) -> float:
    """A pass of a cheat says more than a fault, which says more than a failure."""
    return 0.5 if reward.value is None else reward.value
