"""The loop with the extras of the recipe: what is observed decides the tasks, and a killed run goes on as if nothing was."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pipelines.learning.observed import pass_rate
from pipelines.learning.recipe import Priority, RecipeSettings
from pipelines.learning.task_plan import TaskPlan
from tests.pipelines import learning_run
from tests.pipelines.learning_run import make_policy, settings, some_task, train, weights
from trajectories.shards import read
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

RECIPE = RecipeSettings(priority=Priority(pool=8), final_temperature=0.5, drop_groups=("all_fail",))


class PlannedTasks:
    """`TaskFeed` without Ray."""

    def __init__(self, size: int) -> None:
        self._plan = TaskPlan(RECIPE, size, seed=11, delay=1)

    def batch(self, step: int) -> list[Task]:
        return [some_task(number) for _, number in self._plan.places(step)]

    def observe(self, step: int, numbers: Sequence[int], trajectories: Sequence[Trajectory]) -> None:
        rates = {number: pass_rate(trajectories[2 * at : 2 * at + 2]) for at, number in enumerate(numbers)}
        self._plan.observe(step, {number: rate for number, rate in rates.items() if rate is not None})

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self._plan.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._plan.load_state_dict(state["seen"])


class Killed(BaseException):
    pass


def test_a_killed_run_goes_on_with_the_same_tasks_temperatures_and_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(learning_run, "LocalTasks", PlannedTasks)
    learning, policy = settings("one_step_off", recipe=RECIPE), make_policy(tmp_path / "start")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(learning, policy, whole)
    trained = 0

    def watch(event: str) -> None:
        nonlocal trained
        trained += event == "before train_batch"
        if trained == 4:
            raise Killed

    with pytest.raises(Killed):
        train(learning, policy, killed, watch=watch)
    train(learning, policy, killed, resume=True)
    first, second = ([(row["id"], row["segments"]) for row in read(run / "rollouts")] for run in (whole, killed))
    assert first == second and weights(whole) == weights(killed)
    used = {segment["sampling"]["temperature"] for _, segments in first for segment in segments if segment["sampling"]}
    assert sorted(used) == pytest.approx([0.5, 2 / 3, 5 / 6, 1.0])
