"""Many episodes at once: groups of rollouts of one task, and batches of groups, with a bound on what is in flight.

The order of the result is that of the tasks, whatever finished first.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rl.rollout.agent_loop import Episodes, RolloutLimits, check_sampling, rollout
from rl.rollout.engine import Engine
from rl.rollout.unfinished import WaitingSlots
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Trajectory

if TYPE_CHECKING:
    from rl.policy.dialects import Dialect

__all__ = ["Progress", "rollout_batch"]

Progress = Callable[[int, int, Trajectory], None]
"""Called with (episodes done, episodes in all, the one that just ended); never for one that is unfinished."""


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
    in_flight: int | asyncio.Semaphore = 128,
    first_rollout: int = 0,
    prefix: str = "",
    for_training: bool = True,
    progress: Progress | None = None,
    earlier: Sequence[Trajectory] = (),
    waiting: WaitingSlots | None = None,
) -> list[Trajectory]:
    """`k` rollouts of each task: those of the first task, then those of the second, and so on.

    Args:
        in_flight: episodes that run together. Somewhat more than ``engine.max_num_seqs`` keeps the engine full while
            environments answer. A semaphore is shared with other batches: together they have so many, first come, first served.
        first_rollout: index of each task's first rollout here: the others may be played elsewhere, or were.
        prefix: see `rollout`.
        earlier: what earlier calls gave for rollouts of this batch, in any order: unfinished ones go on, finished ones are in
            the result as they are, and those that are missing begin.
        waiting: see `rollout`.

    Raises:
        ValueError: for refused sampling, when one task comes twice (its rollouts could not be told apart), or when an earlier
            rollout is none of this batch.
    """
    if for_training:
        check_sampling(sampling)
    if len({task.id for task in tasks}) != len(tasks):
        raise ValueError("a task comes twice in one batch: its rollouts could not be told apart")
    members = [(task, index) for task in tasks for index in range(first_rollout, first_rollout + k)]
    begun = _by_rollout(earlier, {(task.id, index) for task, index in members})
    slots = in_flight if isinstance(in_flight, asyncio.Semaphore) else asyncio.Semaphore(in_flight)
    done = sum(trajectory.outcome is not None for trajectory in earlier)

    async def one(task: Task, index: int) -> Trajectory:
        nonlocal done
        unfinished = begun.get((task.id, index))
        if unfinished is not None and unfinished.outcome is not None:
            return unfinished
        async with slots:
            trajectory = await rollout(
                task, seed, engine, pool, dialect, sampling, limits,
                rollout_index=index, prefix=prefix, for_training=for_training, unfinished=unfinished, waiting=waiting,
            )  # fmt: skip
        if trajectory.outcome is not None:
            done += 1
            if progress is not None:
                progress(done, len(members), trajectory)
        return trajectory

    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(task, index)) for task, index in members]
    except ExceptionGroup as several:  # whoever plays a batch waits for the errors by their names
        raise several.exceptions[0] from several
    return [task.result() for task in running]


def _by_rollout(earlier: Sequence[Trajectory], members: set[tuple[str, int]]) -> dict[tuple[str, int], Trajectory]:
    begun: dict[tuple[str, int], Trajectory] = {}
    for trajectory in earlier:
        key = (trajectory.task_id, trajectory.rollout)
        if key not in members or key in begun:
            raise ValueError(f"earlier rollout {trajectory.id}: rollout {key[1]} of task {key[0]} is not in this batch, or twice")
        begun[key] = trajectory
    return begun
