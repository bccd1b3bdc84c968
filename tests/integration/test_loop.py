"""The whole loop through its real command line, tiny: what it leaves behind, what kill -9 leaves behind, what stops it."""

import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from transformers import AutoTokenizer

from rl.policy.presets import build_model, save
from trajectories.codec import from_row
from trajectories.columns import from_batch
from trajectories.shard_files import Layout, read_batches
from trajectories.shards import read
from trajectories.trajectory import Trajectory

pytestmark = pytest.mark.timeout(900)

ENGINE = ["rollouts.engine.max_num_seqs=16", "rollouts.engine.kv_cache_gb=0.25", "rollouts.engine.threads=1"]
LEARNING = [
    "learning.prompts_per_step=4",
    "learning.group_size=4",
    # A policy of thirty steps passes nothing; that some turns do not parse gives it something to learn.
    "rewards.malformed_penalty=0.5",
    "learning.trainer.skip_zero_advantage=false",
]
LIMITS = [
    "policy.tools_format=none",
    "rollouts.engine.max_model_len=512",
    "rollouts.pool.end_on_malformed=true",
    "rollouts.limits.max_turns=4",
    "rollouts.limits.max_turn_tokens=48",
    "rollouts.limits.max_tokens=480",
]
GYM = ["tasks.domains=[tool_use,maths]", "rewards=gym"]
EXAMINATION = [
    "examination.unseen_count=6",
    "examination.harder=[2]",
    "examination.harder_count=6",
]


@dataclass
class Shell:
    """Runs `orrery`; whatever it starts, children of children too, carries a mark in its environment."""

    directory: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        log = (self.directory / f"{len(list(self.directory.glob('*.log')))}-{arguments[0]}.log").open("w+")
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("orrery")), *arguments],
            cwd=self.directory,
            env=os.environ | {"ORRERY_TEST_MARK": self.mark},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit status, and everything that was printed."""
        number = len(list(self.directory.glob("*.log")))
        status = self.start(*arguments).wait(timeout=800)
        return status, (self.directory / f"{number}-{arguments[0]}.log").read_text()

    def left(self, patience: float = 30.0) -> list[str]:
        """Command lines of marked processes that still live after a while, but for Ray's own idle agents."""
        deadline = time.monotonic() + patience
        while (found := self._working()) and time.monotonic() < deadline:
            time.sleep(0.25)
        return found

    def end(self) -> None:
        for process in self._marked():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _working(self) -> list[str]:
        # Two of Ray's processes look only now and then whether their parent lives.
        return [line for line in self._marked().values() if not re.match(r"ray::(Dashboard|RuntimeEnv)Agent", line)]

    def _marked(self) -> dict[int, str]:
        found = {}
        for place in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if place.name.isdigit() and self.mark.encode() in (place / "environ").read_bytes():
                    found[int(place.name)] = (place / "cmdline").read_text().replace("\0", " ").strip()
        return found


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("loop"))
    yield shell
    shell.end()


@pytest.fixture(scope="module")
def quickstart(shell: Shell) -> Path:
    status, printed = shell.run(
        "quickstart",
        "out=quick",
        "demonstrations=300",
        "sft.seconds=null",
        "sft.steps=30",
        "held_out=24",
        "learning.steps=2",
        "examination.greedy_count=6",
        *LEARNING,
        *ENGINE,
        *EXAMINATION,
    )
    assert status == 0, printed
    assert "On 24 held-out tasks" in printed and "run directory: quick" in printed
    return shell.directory / "quick"


@pytest.fixture(scope="module")
def policy(quickstart: Path) -> Path:
    return quickstart / "sft" / "policy"


def train(policy: Path, *overrides: str) -> list[str]:
    return ["train", f"policy.path={policy}", *LEARNING, *LIMITS, *ENGINE, *overrides]


def test_the_summary_holds_every_figure_of_the_quickstart(quickstart: Path) -> None:
    summary = json.loads((quickstart / "summary.json").read_text())
    assert summary["seconds"] > 0
    assert {"synthesize", "cold start", "learn"} <= summary["phases"].keys()
    assert all(seconds > 0 for seconds in summary["phases"].values())
    assert summary["policy"]["parameters"] > summary["policy"]["active_parameters"] > 1_000_000
    assert summary["dataset"]["rows"] == 300 and summary["dataset"]["shards"] == 1
    held = summary["held_out"]
    assert held["tasks"] == 24
    for name in ("sft", "rl", "oracle", "teacher", "null", "always_refuse", "always_act"):
        low, high = held[name]["ci95"]
        assert 0 <= low <= held[name]["pass"] <= high <= 1, name
    low, high = held["difference"]["ci95"]
    assert held["difference"]["mean"] == pytest.approx(held["rl"]["pass"] - held["sft"]["pass"])
    assert low <= held["difference"]["mean"] <= high
    assert held["oracle"]["pass"] == 1 and held["null"]["pass"] == 0
    assert max(held["always_refuse"]["pass"], held["always_act"]["pass"]) <= 0.1
    found = summary["train"]
    assert (found["steps"], found["rollouts"], found["weight_syncs"]) == (2, 32, 2)
    assert found["tokens"] > 0 and summary["engine"]["rollout_tokens_per_second"] > 0
    assert 0 < found["mean_logprob_difference"] <= 1e-5 and found["max_logprob_difference"] <= 1e-3
    assert set(summary["apart"]) == {"unseen_world", "difficulty_2", "greedy"}
    assert all(summary["apart"][name]["oracle"]["pass"] == 1 for name in ("unseen_world", "difficulty_2"))


def test_the_run_directory_holds_config_log_curves_report_and_policy(quickstart: Path) -> None:
    config = yaml.safe_load((quickstart / "config.yaml").read_text())
    assert config["command"] == "quickstart" and config["learning"]["group_size"] == 4
    assert "orrery quickstart out=quick" in (quickstart / "run.log").read_text()
    assert list((quickstart / "tensorboard").glob("events.out.tfevents.*"))
    curves = [json.loads(line) for line in (quickstart / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in curves] == [1, 2]
    wanted = (
        "reward/mean", "reward/pass_rate", "train/kl_per_token", "train/entropy_per_token",
        "train/log_prob_difference_max", "rollout/policy_tokens_per_trajectory", "time/rollout_seconds",
    )  # fmt: skip
    assert all(math.isfinite(row[name]) for row in curves for name in wanted)
    report = (quickstart / "report.md").read_text()
    assert "](learning.png)" in report and (quickstart / "learning.png").stat().st_size > 10_000
    for heading in ("### Before RL", "### The same task after RL", "### After RL, another task"):
        assert report.count(heading) == 1
    assert {"config.json", "model.safetensors", "orrery_policy.json"} <= {path.name for path in (quickstart / "policy").iterdir()}


def test_training_moved_the_policy(quickstart: Path, policy: Path) -> None:
    assert (quickstart / "policy" / "model.safetensors").read_bytes() != (policy / "model.safetensors").read_bytes()


def test_a_second_run_in_the_same_directory_is_refused_and_the_first_is_untouched(quickstart: Path, shell: Shell) -> None:
    before = (quickstart / "summary.json").read_bytes()
    status, printed = shell.run("quickstart", "out=quick")
    assert status == 2 and "quick already holds a run" in printed and "Traceback" not in printed
    assert (quickstart / "summary.json").read_bytes() == before


@pytest.fixture(scope="module")
def killed(shell: Shell, policy: Path) -> Path:
    """A run of four iterations whose driver was killed behind the checkpoint of the second, the third's rollouts recorded."""
    mine = shell.directory / "mine"
    shutil.copytree(policy, mine)
    driver = shell.start(*train(mine, "out=killed", *GYM, "learning.steps=4", "learning.checkpoint_every=2"))
    run = shell.directory / "killed"
    deadline = time.monotonic() + 600
    while not (run / "rollouts/.writing/train/00002.parquet").exists():
        assert driver.poll() is None, f"it ended too early; its output is in {shell.directory}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    assert shell.left() == [], "engine, trainer and Ray end with their driver"
    assert json.loads((run / "checkpoints/tally.json").read_text())["step"] == 2
    return run


def recorded(paths: list[Path]) -> list[Trajectory]:
    return [from_row(Trajectory, row) for path in paths for batch in read_batches(path) for row in from_batch(batch)]


@pytest.mark.slow
def test_a_killed_run_continues_and_neither_loses_nor_repeats_a_rollout(killed: Path, shell: Shell) -> None:
    mine = shell.directory / "mine"
    run = shutil.copytree(killed, shell.directory / "resumed")
    safe = recorded(Layout(run / "rollouts", "train").sealed())
    assert len(safe) == 48
    arguments = train(mine, "out=resumed", *GYM, "resume=auto", "learning.checkpoint_every=2")
    status, printed = shell.run(*arguments, "learning.steps=5")
    assert status == 2 and "learning.steps (was 4, now 5)" in printed
    status, printed = shell.run(*arguments, "learning.steps=4")
    assert status == 0, printed
    summary = json.loads((run / "summary.json").read_text())["train"]
    assert (summary["steps"], summary["rollouts"], len(summary["pass_rates"])) == (4, 64, 4)
    # Each of the four updates, and the weights of the checkpoint into the new engine.
    assert summary["weight_syncs"] == 5
    rows = [from_row(Trajectory, row) for row in read(run / "rollouts")]
    assert rows[:48] == safe, "what the first engine said is not said again"
    names = [(row.id, row.task_id, row.rollout) for row in rows]
    assert len(names) == len(set(names)) == 64
    versions = [{segment.policy_version for segment in row.segments if segment.origin == "policy"} for row in rows]
    assert versions == [{step} for step in range(4) for _ in range(16)]
    assert {row.metadata["domain"] for row in rows} == {"tool_use", "maths"}, "one joint gym"
    assert {row.reward.grader for row in rows if row.reward} == {"tool_use/1", "maths/1"}
    curves = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert curves == [1, 2, 3, 4]
    assert shell.left() == []


@pytest.mark.slow
def test_a_checkpoint_of_another_architecture_is_refused(killed: Path, shell: Shell) -> None:
    mine = shell.directory / "mine"
    shutil.copytree(killed, shell.directory / "changed")
    aside = mine.rename(mine.with_name("aside"))
    try:
        tokenizer = AutoTokenizer.from_pretrained(aside)
        save(build_model("nano_qwen3_moe", tokenizer, seed=0), tokenizer, mine)
        overrides = ["out=changed", *GYM, "resume=auto", "learning.steps=4", "learning.checkpoint_every=2"]
        status, printed = shell.run(*train(mine, *overrides))
    finally:
        shutil.rmtree(mine)
        aside.rename(mine)
    assert status == 2 and "is a checkpoint of another architecture" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("bug", [pytest.param("rotary", marks=pytest.mark.slow), "experts"])
def test_each_of_vllms_bugs_planted_back_stops_the_run(bug: str, policy: Path, shell: Shell) -> None:
    status, printed = shell.run(*train(policy, f"out={bug}", f"rollouts.engine.plant_bug={bug}", "learning.steps=3"))
    assert status == 2
    assert "weight sync" in printed or "log-probability" in printed
    assert "Traceback" not in printed
    assert not (shell.directory / bug / "summary.json").exists()
    assert not (shell.directory / bug / "policy").exists(), "nothing is published that was learnt from garbage"
    assert shell.left() == []


@pytest.mark.slow
def test_evaluate_measures_a_policy_between_its_rulers(policy: Path, shell: Shell) -> None:
    status, printed = shell.run(
        "evaluate", "out=evaluated", "count=12", f"policy.path={policy}", *LIMITS, *ENGINE, *EXAMINATION,
        "examination.tasks.domains=[tool_use,maths]",
    )  # fmt: skip
    assert status == 0, printed
    summary = json.loads((shell.directory / "evaluated/summary.json").read_text())
    agents = summary["held_out"]["agents"]
    assert {"sampled", "oracle", "null", "always_refuse", "always_act"} == agents.keys()
    assert agents["oracle"]["pass"] == 1 and agents["null"]["pass"] == 0
    groups = {"order_desk", "it_tickets", "travel", "maths"}
    assert set(agents["oracle"]["by_world"]) == set(summary["held_out"]["by_world"]) == groups
    assert set(summary["apart"]) == {"unseen_world", "difficulty_2", "greedy"}
    assert summary["apart"]["unseen_world"]["oracle"]["pass"] == 1
    assert len(list(read(shell.directory / "evaluated/rollouts", "held_out"))) == 12
    status, printed = shell.run("evaluate", "count=12", f"policy.path={policy}", "policy.tools_format=json")
    assert status == 2 and "policy.tools_format: " in printed and "was trained with none" in printed


@pytest.mark.slow
def test_controls_go_on_from_one_cold_start_and_are_examined_on_the_same_tasks(shell: Shell) -> None:
    tiny = ["demonstrations=60", "sft.steps=10", "held_out=12", "learning.steps=2", "examination.greedy_count=3"]
    overrides = ",".join(f'"{key}"' for key in (*tiny, *LEARNING, *ENGINE, *EXAMINATION))
    status, printed = shell.run("controls", "out=controls", "seeds=[3]", "arms=[shuffled,more_sft]", f"overrides=[{overrides}]")
    assert status == 0, printed
    run = shell.directory / "controls"
    arms = json.loads((run / "summary.json").read_text())["arms"]
    assert list(arms) == ["rl", "shuffled", "more_sft"]
    assert len({str(arm["seeds"]["3"]["before"]) for arm in arms.values()}) == 1
    assert all(arm["seeds"]["3"]["seconds"] > 0 for arm in arms.values())
    first, second = (run / "seed-3" / arm / "sft/policy/model.safetensors" for arm in ("rl", "shuffled"))
    assert first.read_bytes() == second.read_bytes()
    weights = {(run / "seed-3" / arm / "policy/model.safetensors").read_bytes() for arm in ("rl", "shuffled")}
    weights.add((run / "seed-3/more_sft/sft/policy/model.safetensors").read_bytes())
    assert len(weights) == 3 and first.read_bytes() not in weights, "each arm went its own way"
    assert "| more_sft |" in (run / "report.md").read_text()


def test_a_truncated_shard_of_demonstrations_is_named_and_nothing_is_learnt_from_it(quickstart: Path, shell: Shell) -> None:
    data = shutil.copytree(quickstart / "synthesize", shell.directory / "truncated")
    shard = data / "data" / "train-00000-of-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-1000])
    status, printed = shell.run("sft", "out=cold", "data=truncated", "sft.seconds=null", "sft.steps=1")
    assert status == 2 and shard.name in printed
    assert "Traceback" not in printed and "ray::" not in printed
    assert not (shell.directory / "cold/policy").exists()
