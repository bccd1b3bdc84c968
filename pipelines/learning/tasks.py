"""The tasks that a policy learns from, made ahead of their iteration."""

import math
from collections.abc import Iterator, Sequence

import ray

from pipelines.learning.settings import LearningSettings
from rewards.composition import RewardConfig
from rewards.verifiers import verify
from simulators.tasks.stream import TaskStream
from trajectories.seeds import derive_seed
from trajectories.tasks import Split, Task

__all__ = ["ask_for_tasks", "make_tasks", "task_batches"]


def ask_for_tasks(
    stream: TaskStream, numbers: Sequence[int], seed: int, split: Split, rewards: RewardConfig, *, parts: int
) -> list[ray.ObjectRef]:
    """Promises of the certified tasks of these numbers: lists that follow one another, made side by side on a running
    Ray."""
    size = math.ceil(len(numbers) / parts)
    chunks = [list(numbers[start : start + size]) for start in range(0, len(numbers), size)]
    return [make_tasks.remote(stream, chunk, seed, split, rewards) for chunk in chunks]


@ray.remote(num_cpus=1)
def make_tasks(stream: TaskStream, numbers: list[int], seed: int, split: Split, rewards: RewardConfig) -> list[Task]:
    return stream.tasks(numbers, run_seed=seed, split=split, verify=verify)


def task_batches(
    settings: LearningSettings, stream: TaskStream, rewards: RewardConfig, seed: int, done: int, workers: int
) -> Iterator[list[Task]]:
    """The tasks of each iteration after `done`; those of the next one are made while this one runs."""
    size = settings.prompts_per_step

    def ask(step: int) -> list[ray.ObjectRef]:
        # A seed of its own: the tasks of reinforcement learning are not those of the demonstrations.
        numbers = range((step - 1) * size, step * size)
        return ask_for_tasks(stream, numbers, derive_seed(seed, "learning"), "train", rewards, parts=workers)

    coming = ask(done + 1) if done < settings.steps else []
    for step in range(done + 1, settings.steps + 1):
        tasks = [task for part in ray.get(coming) for task in part]
        if step < settings.steps:
            coming = ask(step + 1)
        yield tasks
