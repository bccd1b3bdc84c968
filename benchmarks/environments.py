"""Thousands of environments, users included, alive at once: what they take, and whether one death loses any.

Every episode is played by the oracle to its end and judged; half way one actor is killed while it works. An episode is
lost when its outcome does not come, or does not pass.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.figure import Figure
from rewards.composition import CompositeReward, RewardConfig
from simulators.pool import EnvironmentPool, PoolConfig
from simulators.pool.pool import SlotFault
from simulators.tasks.oracle import OracleAgent
from simulators.tasks.stream import TaskStream
from trajectories.messages import Message
from trajectories.seeds import derive_seed
from trajectories.tasks import Task

__all__ = ["EnvironmentsBenchmark", "measure"]


@dataclass(frozen=True, kw_only=True)
class EnvironmentsBenchmark:
    environments: int = 10_000
    """Episodes that are alive at once."""
    tasks: int = 500
    """Different tasks among them; each is played by as many users."""
    difficulty: int = 3
    """Sub-goals of each task: the more, the longer an episode lives."""
    actors: int = 2
    """Pool actors; the first is killed half way."""

    def __post_init__(self) -> None:
        for key in ("environments", "tasks", "actors"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")
        if self.tasks > self.environments:
            raise ValueError(f"tasks: {self.tasks} different tasks do not fit {self.environments} environments")

    def quick(self) -> "EnvironmentsBenchmark":
        return replace(self, environments=100, tasks=10)


def measure(settings: EnvironmentsBenchmark, repeats: int, seed: int) -> list[Figure]:
    """Steps per second and memory of all repeats; needs a running Ray."""
    stream = TaskStream(difficulty=settings.difficulty)
    tasks = stream.tasks(range(settings.tasks), run_seed=seed, split="train", verify=CompositeReward(RewardConfig()).score)
    runs = [asyncio.run(_live(settings, tasks, seed)) for _ in range(repeats)]
    details = {
        "environments": float(settings.environments),
        "actors": float(settings.actors),
        "deaths": float(sum(run.deaths for run in runs)),
        "lost": float(sum(run.lost for run in runs)),
    }
    return [
        Figure("live environments, stepped to their end", "steps/s", tuple(run.rate for run in runs), None, details),
        Figure("live environments, memory at most", "MiB", tuple(run.mebibytes for run in runs), None, details),
    ]


@dataclass(frozen=True)
class _Run:
    rate: float
    """Steps per second, the death included."""
    mebibytes: float
    """Of driver and actors together at most, beyond what they took before the first reset."""
    deaths: int
    lost: int


async def _live(settings: EnvironmentsBenchmark, tasks: Sequence[Task], seed: int) -> _Run:
    chosen = {str(number): tasks[number % len(tasks)] for number in range(settings.environments)}
    agents = {slot: OracleAgent(task) for slot, task in chosen.items()}
    passed = steps = 0
    judge = CompositeReward(RewardConfig()).score
    with EnvironmentPool(PoolConfig(actors=settings.actors, max_turns=24)) as pool:
        before, most, victim = _mebibytes(pool), 0.0, pool.pids()[0]
        seeds = {slot: derive_seed(seed, "user", task.id, slot) for slot, task in chosen.items()}
        started = time.perf_counter()
        opened = await pool.reset_many((slot, task, seeds[slot]) for slot, task in chosen.items())
        dialogues: dict[str, list[Message]] = {
            slot: list(seen.messages) for slot, seen in opened.items() if not isinstance(seen, SlotFault)
        }
        # Half way: when the median episode has had half of its turns.
        turns = sorted(len(task.gold.calls) + 1 for task in chosen.values())
        fatal = max(1, turns[len(turns) // 2] // 2)
        for number in range(1, turns[-1] + 1):
            asked = {slot: agents[slot].act(messages) for slot, messages in dialogues.items()}
            steps += len(asked)
            work = asyncio.ensure_future(pool.step_many(asked.items()))
            if number == fatal:
                await asyncio.sleep(0.05)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            ended = []
            for slot, result in (await work).items():
                if isinstance(result, SlotFault):
                    del dialogues[slot]
                    continue
                dialogues[slot] += [asked[slot], *result.messages]
                if result.terminated or result.truncated:
                    ended.append(slot)
            most = max(most, _mebibytes(pool))
            outcomes = await asyncio.gather(*(pool.outcome(slot) for slot in ended), return_exceptions=True)
            for slot, outcome in zip(ended, outcomes, strict=True):
                del dialogues[slot]
                if not isinstance(outcome, BaseException):
                    passed += judge(chosen[slot], outcome, None).components.get("pass") == 1.0
        seconds = time.perf_counter() - started
        return _Run(steps / seconds, most - before, pool.deaths, settings.environments - passed)


def _mebibytes(pool: EnvironmentPool) -> float:
    """Proportional set size of this process and of the actors: shared pages count once."""
    return sum(_pss(pid) for pid in (os.getpid(), *pool.pids())) / 1024


def _pss(pid: int) -> int:
    """KiB."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return 0
