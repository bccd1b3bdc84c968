"""The command line as a person meets it: exit codes, messages and files."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import tests.pipelines.probe_command  # noqa: F401  registers `orrery probe`
from pipelines import cli


@dataclass
class Result:
    status: int
    out: str
    error: str


Orrery = Callable[..., Result]


@pytest.fixture
def orrery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Orrery:
    monkeypatch.chdir(tmp_path)  # any directory will do: the configuration travels with the package

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["orrery", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(caught.value.code or 0), captured.out, captured.err)

    return call


def summary(path: str = "outputs/probe/latest") -> dict:
    return json.loads((Path(path) / "summary.json").read_text())


def test_help_lists_every_command_with_its_first_line(orrery: Orrery) -> None:
    result = orrery("--help")
    assert result.status == 0
    assert "probe        A command for the tests of the command line." in result.out
    assert all(name in result.out for name in cli.available())


def test_command_help_shows_every_key_with_value_type_and_meaning(orrery: Orrery) -> None:
    result = orrery("probe", "optimizer.lr=0.25", "--help")
    assert result.status == 0 and "It does nothing, or fails" in result.out
    assert "optimizer.lr=0.25  (float)\n      Size of a step." in result.out
    assert "optimizer.name=muonclip  (muonclip | adamw)" in result.out
    assert "seed=0  (int)" in result.out and "count=1000" in result.out


def test_a_run_leaves_config_log_and_summary(orrery: Orrery) -> None:
    result = orrery("probe", "seed=3", "worlds=[a,b]", "optimizer.name=adamw")
    assert result.status == 0 and "run directory: outputs/probe/20" in result.out and not result.error
    assert summary() == {"seed": 3, "optimizer": "adamw", "resumed": False}
    config = yaml.safe_load(Path("outputs/probe/latest/config.yaml").read_text())
    assert config["worlds"] == ["a", "b"] and config["optimizer"] == {"name": "adamw", "lr": 0.001}
    assert "orrery probe seed=3 'worlds=[a,b]'" in Path("outputs/probe/latest/run.log").read_text()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", "optimizer.lrr: unknown key; did you mean 'optimizer.lr'?"),
        ("lr=1", "lr: unknown key; did you mean 'optimizer.lr'?"),
        ("sed=1", "sed: unknown key; did you mean 'seed'?"),
        ("+sed=1", "sed: unknown key; did you mean 'seed'?"),
        ("seed=abc", "seed: Value 'abc' of type 'str' could not be converted to Integer"),
        ("seed=-1", "seed: must be in"),
        ("workers=0", "workers: must be at least 1, not 0"),
        ("optimizer=fast", "optimizer: orrery probe offers no choice of that name"),
        ("optimizer=3", "Config group override must be a string or a list. Got int"),
        ("optimizer.lr=null", "optimizer.lr: "),
        ("optimizer.lr=-1", "optimizer.lr: must be above 0, not -1.0"),
        ("optimizer.name=adam", "optimizer.name: 'adam' is not one of muonclip, adamw; did you mean 'adamw'?"),
        ("resume=yes", "resume: "),
        ("seed", "Error parsing override 'seed'"),
    ],
)
def test_a_mistaken_key_or_value_is_one_message_that_names_it(orrery: Orrery, override: str, message: str) -> None:
    result = orrery("probe", override)
    assert result.status == 2
    assert result.error.startswith(f"orrery probe: {message}") and "Traceback" not in result.error
    assert not Path("outputs").exists()


def test_an_unknown_command_is_told_with_the_nearest(orrery: Orrery) -> None:
    result = orrery("prob")
    assert result.status == 2 and "no command 'prob'; did you mean 'probe'?" in result.error


def test_m_sweeps_with_one_run_directory_per_arm(orrery: Orrery) -> None:
    result = orrery("probe", "seed=1,2", "-m", "optimizer.name=adamw,muonclip", "out=sweep")
    assert result.status == 0, result.error
    found = [summary(f"sweep/{arm}") for arm in range(4)]
    assert [(row["seed"], row["optimizer"]) for row in found] == [
        (1, "adamw"), (1, "muonclip"), (2, "adamw"), (2, "muonclip"),
    ]  # fmt: skip
    assert "arm 3: optimizer.name=muonclip" in result.out


def test_a_sweep_without_out_is_dated_and_latest(orrery: Orrery) -> None:
    assert orrery("probe", "-m", "seed=5,6").status == 0
    assert summary("outputs/probe/latest/1")["seed"] == 6


def test_a_mistake_in_the_last_arm_shows_before_the_first_has_run(orrery: Orrery) -> None:
    result = orrery("probe", "-m", "optimizer.lr=0.1,-1")
    assert result.status == 2 and "optimizer.lr: must be above 0" in result.error
    assert not Path("outputs").exists()


def test_a_second_run_in_the_same_directory_is_refused_and_a_finished_one_is_left_alone(orrery: Orrery) -> None:
    assert orrery("probe", "out=x").status == 0
    again = orrery("probe", "out=x")
    assert again.status == 2 and "x already holds a run" in again.error
    resumed = orrery("probe", "out=x", "resume=auto")
    assert resumed.status == 0 and "finished already" in resumed.out
    assert summary("x")["resumed"] is False


@pytest.mark.parametrize(
    ("fail", "status", "message"),
    [
        ("user", 2, "world.yaml line 3: no such field"),
        ("disk", 2, "the disk is full while writing shard"),
        ("interrupt", 130, "stopped"),
        ("crash", 1, "RuntimeError: a bug"),
    ],
)
def test_a_failed_run_says_what_happened_and_how_to_go_on(orrery: Orrery, fail: str, status: int, message: str) -> None:
    result = orrery("probe", f"fail={fail}", "out=x")
    assert result.status == status and message in result.error
    assert "continue with out=x resume=auto" in result.error
    assert ("Traceback" in result.error) == (fail == "crash")
    assert {"interrupt": "KeyboardInterrupt", "disk": "No space left"}.get(fail, message) in Path("x/run.log").read_text()
    assert not Path("x/summary.json").exists()


def test_cfg_job_prints_the_composed_config_and_runs_nothing(orrery: Orrery) -> None:
    result = orrery("probe", "optimizer.lr=0.5", "--cfg", "job")
    assert result.status == 0 and yaml.safe_load(result.out)["optimizer"]["lr"] == 0.5
    assert not Path("outputs").exists()


def test_a_directory_of_ones_own_groups_joins_ours(orrery: Orrery, tmp_path: Path) -> None:
    group = tmp_path / "mine" / "speed"
    group.mkdir(parents=True)
    (group / "slow.yaml").write_text("# @package optimizer\nlr: 0.125\n")
    result = orrery("probe", "--config-dir", "mine", "+speed=slow", "--cfg", "job")
    assert result.status == 0 and yaml.safe_load(result.out)["optimizer"]["lr"] == 0.125
    (group / "slow.yaml").write_text("# @package optimizer\nlrr: 0.125\n")
    wrong = orrery("probe", "--config-dir", "mine", "+speed=slow")
    assert wrong.status == 2 and "optimizer.lrr: unknown key (in speed/slow.yaml); did you mean" in wrong.error


def test_a_choice_that_does_not_exist_is_told_with_those_that_do(orrery: Orrery) -> None:
    result = orrery("synthesize", "rewards=verdikt")
    assert result.status == 2
    assert "rewards: there is no 'verdikt'; choose one of gym, shaped, verdict; did you mean 'verdict'?" in result.error
