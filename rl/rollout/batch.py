"""Many episodes at once: groups of rollouts of one task, and batches of groups, with a bound on what is in flight.

The order of the result is that of the tasks, whatever finished first.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rl.rollout.agent_loop import Episodes, RolloutLimits, check_sampling, rollout
from rl.rollout.engine import Engine
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Trajectory

if TYPE_CHECKING:
    from rl.policy.dialects import Dialect

__all__ = ["Progress", "rollout_batch", "rollout_group"]

Progress = Callable[[int, int, Trajectory], None]
"""Called with (episodes done, episodes in all, the one that just ended)."""


async def rollout_group(
    task: Task,
    k: int,
    seed: int,
    engine: Engine,
    pool: Episodes,
    dialect: "Dialect",
    sampling: Sampling,
    limits: RolloutLimits,
    *,
    prefix: str = "",
    for_training: bool = True,
) -> list[Trajectory]:
    """`k` rollouts of one task, in the order of their index."""
    return await rollout_batch(
        [task], k, seed, engine, pool, dialect, sampling, limits, in_flight=k, prefix=prefix, for_training=for_training
    )


async def rollout_batch(
    tasks: Sequence[Task],
    k: int,
    seed: int,
    engine: Engine,
    pool: Episodes,
    dialect: "Dialect",
    sampling: Sampling,
    limits: RolloutLimits,
    *,
    in_flight: int = 128,
    first_rollout: int = 0,
    prefix: str = "",
    for_training: bool = True,
    progress: Progress | None = None,
) -> list[Trajectory]:
    """`k` rollouts of each task: those of the first task, then those of the second, and so on.

    Args:
        in_flight: episodes that run together. Somewhat more than ``engine.max_num_seqs`` keeps the engine full while
            environments answer.
        first_rollout: index of each task's first rollout here: the others may be played elsewhere, or were.
        prefix: see `rollout`.

    Raises:
        ValueError: for refused sampling, or when one task comes twice (its rollouts could not be told apart).
    """
    if for_training:
        check_sampling(sampling)
    if len({task.id for task in tasks}) != len(tasks):
        raise ValueError("a task comes twice in one batch: its rollouts could not be told apart")
    slots = asyncio.Semaphore(in_flight)
    done = 0

    async def one(task: Task, index: int) -> Trajectory:
        nonlocal done
        async with slots:
            trajectory = await rollout(
                task, seed, engine, pool, dialect, sampling, limits,
                rollout_index=index, prefix=prefix, for_training=for_training,
            )  # fmt: skip
        done += 1
        if progress is not None:
            progress(done, len(tasks) * k, trajectory)
        return trajectory

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one(task, index)) for task in tasks for index in range(first_rollout, first_rollout + k)]
    return [task.result() for task in running]
