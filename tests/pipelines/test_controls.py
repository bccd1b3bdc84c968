"""Controls are compared task by task, and start from the settings of the run that they are compared with."""

import json
from pathlib import Path

import pytest

from pipelines import composition
from pipelines.controls import ARMS, Controls, _overrides, _typed
from pipelines.controls_report import Outcome, gain_over_seeds, lead_over_seeds, learning_curve, summary_of, write_report
from pipelines.run_directory import RunDirectory
from pipelines.schema import load
from pipelines.structured import build, plain
from trajectories.codec import to_row
from trajectories.rewards import Reward
from trajectories.shards import write
from trajectories.trajectory import Trajectory


def outcome(after: list[float | None], before: list[float | None]) -> Outcome:
    tasks = [f"task-{number}" for number in range(len(after))]
    return Outcome(dict(zip(tasks, after, strict=True)), dict(zip(tasks, before, strict=True)), seconds=12.0)


def test_a_gain_is_over_tasks_that_have_a_verdict_before_and_after():
    one = outcome([1, 1, None, 0], [0, 1, 1, None])
    assert one.pairs() == ([1, 1], [0, 1])
    assert one.gain().mean == 0.5


def test_tasks_are_paired_by_name_not_by_place():
    one = Outcome({"a": 1.0, "b": 0.0}, {"b": 0.0, "a": 1.0}, seconds=1.0)
    assert one.gain().mean == 0.0 and one.gain().high == 0.0


def test_a_task_that_one_side_lacks_is_an_error_and_no_zero():
    with pytest.raises(KeyError):
        Outcome({"a": 1.0}, {"a": 1.0, "b": 0.0}, seconds=1.0).pairs()


def test_the_mean_over_seeds_weighs_tasks():
    both = [outcome([1, 1, 1, 1], [0, 0, 1, 1]), outcome([1, 0], [0, 1])]
    assert gain_over_seeds(both, 0).mean == pytest.approx(2 / 6)
    found = summary_of({4: both[0], 9: both[1]}, 0)
    assert list(found["seeds"]) == ["4", "9"] and found["seeds"]["4"]["gain"]["mean"] == 0.5
    assert found["gain"]["mean"] == pytest.approx(2 / 6)


def test_one_arm_leads_another_by_what_it_passes_more_of_the_same_tasks():
    arm = {4: outcome([1, 1, None, 0], [0, 0, 0, 0]), 9: outcome([1], [0])}
    other = {9: outcome([0], [0]), 4: outcome([1, 0, 1, None], [1, 1, 1, 1])}
    assert lead_over_seeds(arm, other, 0).mean == pytest.approx((0 + 1 + 1) / 3), "two tasks lack a verdict on one side"
    assert lead_over_seeds(other, arm, 0).mean == pytest.approx(-2 / 3)


def test_the_settings_of_a_run_survive_the_way_through_a_command_line():
    quickstart = build(load("quickstart").config, composition.composed("quickstart", ["rollouts.engine.kv_cache_gb=0.25"]))
    settings = plain(quickstart)
    sections = {key: value for name in ("rollouts", "rewards") for key, value in _overrides(settings[name], name)}
    again = plain(build(load("evaluate").config, composition.composed("evaluate", _typed(sections))))
    assert again["rollouts"] == settings["rollouts"] and again["rewards"] == settings["rewards"]
    sft = dict(_overrides(settings["sft"], "sft"))
    assert plain(build(load("sft").config, composition.composed("sft", _typed(sft))))["sft"] == settings["sft"]


def test_the_report_shows_every_arm_of_every_seed(tmp_path: Path):
    outcomes = {arm: {5: outcome([1.0, 0.0] * 20, [0.0, 0.0] * 20)} for arm in ("rl", "shuffled")}
    with RunDirectory.open("controls", {}, out=tmp_path / "run") as run:
        write_report(run, 0, outcomes, {5: {"pass": 0.65, "ci95": [0.6, 0.7]}})
    report = (tmp_path / "run/report.md").read_text()
    assert report.count("| shuffled |") == 2 and "| +0.000 (+0.000 to +0.000) |" in report
    assert "+0.500 (" in report and "0.650 (0.600 to 0.700)" in report
    json.dumps(summary_of(outcomes["rl"], 0))


def test_a_learning_curve_weighs_groups_alike_and_leaves_faults_out(tmp_path: Path):
    def episode(step: int, task: str, rollout: int, reward: Reward) -> Trajectory:
        return Trajectory(id=f"{step}/{task}/{rollout}", task_id=task, rollout=rollout, reward=reward)

    passed, failed = (Reward(value, True, None, {"pass": value}) for value in (1.0, 0.0))
    fault = Reward(None, False, "engine", {})
    rows = [episode(1, "a", 0, passed), episode(1, "a", 1, passed), episode(1, "a", 2, fault), episode(5, "b", 0, failed)]
    later = [episode(6, "c", 0, passed), episode(7, "c", 0, failed)]
    for number, held in enumerate((rows, later)):
        write([to_row(row) for row in held], tmp_path / f"run-{number}" / "rollouts")
    points = learning_curve([tmp_path / "run-0", tmp_path / "run-1", tmp_path / "without"])
    assert [(step, estimate.mean) for step, estimate in points] == [(3.0, 0.5), (6.5, 0.5)]
    assert learning_curve([tmp_path / "without"]) == []


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_is_a_quickstart_that_differs_in_learning_alone(arm: str):
    plainly = plain(build(load("quickstart").config, composition.composed("quickstart", [])))
    changed = plain(build(load("quickstart").config, composition.composed("quickstart", list(ARMS[arm]))))
    assert {key for key in plainly if plainly[key] != changed[key]} == (set() if not ARMS[arm] else {"learning"})
    optimizer = changed["learning"]["trainer"]["optimizer"]
    assert (optimizer["name"] == "adamw") == (arm == "adamw") and (optimizer["qk_clip_threshold"] is None) == (arm == "adamw")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"seeds": ()}, "seeds: at least one"),
        ({"seeds": (1, 1)}, "seeds: at least one, each once"),
        ({"arms": ("dpo",)}, "arms: there is no 'dpo'; there are rl, shuffled"),
    ],
)
def test_settings_that_make_no_comparison_are_refused_by_key(overrides: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Controls(**overrides)
