"""The quickstart's comparison is paired task by task, and its report can be written whatever was measured."""

from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.evaluate import Examination, passes
from pipelines.learning.settings import LearningSettings
from pipelines.quickstart import Quickstart, _held_out, _take_over, check
from pipelines.quickstart_report import _chosen, write_report
from pipelines.run_directory import RunDirectory
from pipelines.structured import plain
from rewards.verifiers import verifier_for
from simulators.tasks.stream import TaskStream
from trajectories.messages import Message
from trajectories.rewards import Reward
from trajectories.trajectory import Trajectory


def episode(value: float | None, text: str = "Done.") -> Trajectory:
    reward = Reward.invalid("engine: it died") if value is None else Reward(value, components={"pass": value})
    messages = (Message("system", "You run a desk."), Message("user", "Cancel 123."), Message("assistant", text))
    return Trajectory(id="x", task_id="x", messages=messages, reward=reward, metadata={"world": "travel"})


def episodes(*values: float | None) -> list[Trajectory]:
    return [episode(value) for value in values]


def test_the_difference_is_over_tasks_with_a_verdict_before_and_after():
    found = _held_out(episodes(0, 0, None, 1, 0), episodes(1, 1, 1, 1, None), seed=0)
    assert found["tasks"] == 5
    assert (found["sft"]["pass"], found["rl"]["pass"]) == (0.25, 1.0)
    assert found["difference"]["mean"] == pytest.approx(2 / 3)
    low, high = found["difference"]["ci95"]
    assert low < 2 / 3 < high <= 1.0


def test_pairing_narrows_the_interval():
    before, after = [0.0, 1.0] * 50, [1.0, 1.0] * 5 + [0.0, 1.0] * 45
    paired = _held_out(episodes(*before), episodes(*after), seed=0)["difference"]
    crossed = _held_out(episodes(*before), episodes(*after[1:], after[0]), seed=0)["difference"]
    assert paired["mean"] == pytest.approx(crossed["mean"])
    assert paired["ci95"][0] > 0 > crossed["ci95"][0]


@pytest.mark.parametrize(
    ("before", "after", "chosen"),
    [
        ([1.0, 0.0, 0.0], [1.0, 1.0, 0.0], (1, 2)),
        ([0.0, 0.0], [0.0, 0.0], (0, 1)),
        ([0.0], [1.0], (0, 0)),
        ([None, 0.0, 0.0], [1.0, None, 1.0], (0, 1)),
    ],
)
def test_the_dialogues_to_show_are_one_that_was_learnt_and_another_that_fails(before, after, chosen):
    assert _chosen(episodes(*before), episodes(*after)) == chosen


def test_a_report_is_written_without_curves_and_without_anything_apart(tmp_path: Path):
    verify = verifier_for("tool_use").verify
    tasks = TaskStream(worlds=("travel",)).tasks(range(2), run_seed=0, split="held_out", verify=verify)
    before, after = episodes(0, 0), [episode(1.0, "``` <|im_end|> done"), episode(0.0)]
    rulers = {name: passes(episodes(0, 0)) for name in ("oracle", "null", "always_refuse", "always_act", "teacher")}
    summary = {
        "policy": {"parameters": 3_000_000, "active_parameters": 2_000_000},
        "held_out": _held_out(before, after, 0) | rulers,
        "apart": {},
        "by_world": {"sft": {"travel": passes(before)}, "rl": {"travel": passes(after)}},
        "train": {"weight_syncs": 2, "max_logprob_difference": 1e-6, "mean_logprob_difference": 1e-7, "faults": {}},
    }
    with RunDirectory.open("quickstart", {}, out=tmp_path / "run") as run:
        write_report(run, summary, tasks, before, after)
    report = (tmp_path / "run/report.md").read_text()
    assert (tmp_path / "run/learning.png").stat().st_size > 10_000 and "](learning.png)" in report
    assert tasks[0].ledger.goal in report and tasks[1].ledger.goal in report
    assert report.index("### Before RL") < report.index("### The same task after RL") < report.index("### After RL, another task")
    assert "3,000,000 parameters" in report


@pytest.mark.parametrize("key", ["demonstrations", "held_out"])
def test_a_quickstart_of_nothing_is_refused_by_its_key(key):
    with pytest.raises(ValueError, match=f"{key}: must be at least 1"):
        Quickstart(**{key: 0})


def test_a_world_that_does_not_exist_is_refused_before_anything_starts(orrery):
    result = orrery("quickstart", "out=x", "tasks.worlds=[atlantis]", "demonstrations=4", "held_out=2")
    assert result.status == 2 and "no world 'atlantis'; give one of" in result.error
    assert "Traceback" not in result.error and not Path("x/synthesize").exists()


def test_a_cold_start_of_other_settings_is_refused_by_the_key_that_differs(orrery):
    with RunDirectory.open("quickstart", plain(Quickstart(demonstrations=7)), out=Path("other")):
        pass
    same = ("quickstart", "out=x", "cold_start=other")
    result = orrery(*same, "demonstrations=8")
    assert result.status == 2 and "demonstrations (was 7, now 8)" in result.error
    assert orrery(*same[:2], "cold_start=nowhere").error.startswith("orrery quickstart: cold_start: nowhere holds no run")
    assert not Path("x").exists()


def test_a_cold_start_that_was_not_examined_is_refused(tmp_path: Path):
    config = Quickstart(cold_start=str(tmp_path / "other"))
    with RunDirectory.open("quickstart", plain(Quickstart(learning=LearningSettings(steps=3))), out=tmp_path / "other"):
        pass
    with pytest.raises(UserError, match="did not come as far as its first examination"):
        check(config)


def test_what_came_before_learning_is_taken_over_whole(tmp_path: Path):
    source = tmp_path / "other"
    for name in ("synthesize", "sft", "examined/before"):
        (source / name).mkdir(parents=True)
        (source / name / "file").write_text(name)
    with RunDirectory.open("quickstart", {}, out=tmp_path / "run") as run:
        run.file("sft.copy/half").write_text("of a run that was killed while it copied")
        _take_over(source, run)
        (source / "sft/file").write_text("changed later")
        _take_over(source, run)
        assert {path.name for path in run.path.iterdir() if path.is_dir()} == {"synthesize", "sft", "examined"}
        assert [path.name for path in (run.path / "sft").iterdir()] == ["file"]
        assert (run.path / "sft/file").read_text() == "sft"


def test_tasks_to_be_examined_on_are_the_tasks_to_learn():
    with pytest.raises(ValueError, match=r"examination\.tasks: .* set that one"):
        Quickstart(examination=Examination(tasks=TaskStream(difficulty=3)))
