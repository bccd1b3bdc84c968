"""The tasks that a policy learns from, made ahead of their iteration.

`TaskPlan` says which they are; who asks, and when, changes nothing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from pipelines.learning.observed import pass_rate
from pipelines.learning.settings import LearningSettings
from pipelines.learning.task_plan import Place, TaskPlan
from rewards.composition import RewardConfig
from rewards.verifiers import verify
from simulators.tasks.stream import TaskStream
from trajectories.seeds import derive_seed
from trajectories.tasks import Split, Task
from trajectories.trajectory import Trajectory

__all__ = ["TaskFeed", "ask_for_tasks", "make_tasks"]


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


class TaskFeed:
    """The tasks of each iteration. Needs a running Ray.

    Args:
        workers: processes that make tasks side by side.
        delay: how many iterations may be asked for before the one that they follow is observed: 0 where rollouts wait for
            the training before them.
    """

    def __init__(
        self,
        settings: LearningSettings,
        stream: TaskStream,
        rewards: RewardConfig,
        seed: int,
        workers: int,
        *,
        delay: int = 0,
    ) -> None:
        self._plan = TaskPlan(settings.recipe, settings.prompts_per_step, seed, delay)
        self._streams = [grade.of(stream) for grade in settings.recipe.curriculum.grades] or [stream]
        self._steps, self._rewards, self._seed, self._workers = settings.steps, rewards, seed, workers
        self._promised: dict[int, dict[int, list[ray.ObjectRef]]] = {}
        self._next = settings.steps + 1  # none is made ahead before one was asked for: a resumed run has its first ones recorded

    def batch(self, step: int) -> list[Task]:
        """The certified tasks of iteration `step`, from 1; those of the next one begin to be made.

        Raises:
            ValueError: an iteration that `step` depends on has not been observed.
            UncertifiableError: when no candidate for a task is certified.
        """
        places = self._plan.places(step)
        self._next = step + 1  # first, because `observe` may run in another thread
        promised = self._promised.pop(step, None) or self._ask(places)
        made = {grade: iter([task for part in ray.get(parts) for task in part]) for grade, parts in promised.items()}
        tasks = [next(made[grade]) for grade, _ in places]
        self._ask_ahead()
        return tasks

    def observe(self, step: int, numbers: Sequence[int], trajectories: Sequence[Trajectory]) -> None:
        """What became of the groups that iteration `step` has learnt from; one without a valid member says nothing.

        Args:
            numbers: of the groups, counted from 0 over the tasks of all iterations, those of the first one first.
            trajectories: as many of each group, in order.
        """
        if not self._plan.learns:
            return
        size = len(trajectories) // len(numbers)
        rates = [pass_rate(trajectories[start : start + size]) for start in range(0, len(trajectories), size)]
        self._plan.observe(step, {number: rate for number, rate in zip(numbers, rates, strict=True) if rate is not None})
        self._ask_ahead()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed feed must know, as JSON values; empty without prioritised sampling."""
        return {"seen": self._plan.state_dict()} if self._plan.learns else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was; what was promised before is asked for anew."""
        self._promised = {}
        self._plan.load_state_dict(state.get("seen", []))

    def _ask(self, places: Sequence[Place]) -> dict[int, list[ray.ObjectRef]]:
        """Promises by grade."""
        asked = {}
        for grade in dict.fromkeys(grade for grade, _ in places):
            numbers = [number for of, number in places if of == grade]
            # A seed of its own: the tasks of reinforcement learning are not those of the demonstrations.
            seed = derive_seed(self._seed, "learning", *[grade] * bool(grade))
            asked[grade] = ask_for_tasks(self._streams[grade], numbers, seed, "train", self._rewards, parts=self._workers)
        return asked

    def _ask_ahead(self) -> None:
        if self._next <= self._steps and self._next not in self._promised and self._plan.missing(self._next) is None:
            self._promised[self._next] = self._ask(self._plan.places(self._next))
