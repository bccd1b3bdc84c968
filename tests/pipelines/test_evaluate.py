"""Pass rates are over verdicts; what is no verdict is counted apart."""

import pytest

from pipelines.evaluate import Evaluate, Examination, by_world, pass_values, passes
from trajectories.rewards import Reward
from trajectories.trajectory import Provenance, Trajectory


def episode(value: float | None, world: str = "travel") -> Trajectory:
    reward = Reward.invalid("engine: it died") if value is None else Reward(value - 0.1, components={"pass": value})
    return Trajectory(id="x", task_id="x", reward=reward, provenance=Provenance(world=world))


def test_a_fault_is_neither_pass_nor_failure_and_is_told():
    found = passes([episode(1.0), episode(1.0), episode(0.0), episode(None)])
    assert found["pass"] == pytest.approx(2 / 3) and found["invalid"] == 1
    assert found["ci95"] == passes([episode(1.0), episode(1.0), episode(0.0)])["ci95"]
    assert "invalid" not in passes([episode(0.0)])


def test_what_a_pass_is_worth_does_not_change_the_pass_rate():
    assert pass_values([episode(1.0), episode(0.0), episode(None)]) == [1.0, 0.0, None]


def test_worlds_are_reported_one_by_one_in_the_order_in_which_they_come():
    found = by_world([episode(1.0, "travel"), episode(0.0, "order_desk"), episode(0.0, "travel")])
    assert {world: estimate["pass"] for world, estimate in found.items()} == {"travel": 0.5, "order_desk": 0.0}
    assert list(found) == ["travel", "order_desk"]


def test_a_set_whose_every_episode_broke_has_no_pass_rate_and_does_not_stop_the_others():
    found = by_world([episode(None, "travel"), episode(1.0, "order_desk")])
    assert found["order_desk"]["pass"] == 1.0
    assert found.get("travel", {}).get("pass") is None


@pytest.mark.parametrize("key", ["unseen_count", "harder_count"])
def test_a_set_of_less_than_no_tasks_is_refused_by_its_key(key):
    Examination(**{key: 0})
    with pytest.raises(ValueError, match=f"^{key}: "):
        Examination(**{key: -1})


def test_a_world_that_is_trained_on_is_not_unseen():
    with pytest.raises(ValueError, match=r"^unseen_world: travel is one of tasks.worlds"):
        Examination(unseen_world="travel")


def test_a_count_of_nothing_is_refused_by_its_key():
    with pytest.raises(ValueError, match="count: must be at least 1"):
        Evaluate(count=0)
