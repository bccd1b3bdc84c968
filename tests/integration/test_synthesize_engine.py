"""`orrery synthesize policy.kind=engine`: real vLLM plays, its tokens are the rows', and its record replays them without it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rl.policy.presets import build_model
from rl.policy.source import PolicyConfig, save_policy
from rl.policy.tokenizer import train_tokenizer
from simulators import worlds
from trajectories.codec import from_row
from trajectories.shards import read
from trajectories.trajectory import Trajectory

ORRERY = str(Path(sys.executable).with_name("orrery"))


@pytest.fixture(scope="module")
def garbage(memory_directory: Path) -> Path:
    """A policy with random weights: it writes anything, and still every call that it opens is a call."""
    corpus = [json.dumps(tool.to_openai()) for tool in worlds.load("order_desk").tool_specs()] * 2
    tokenizer = train_tokenizer(corpus, 512, dialect="kimi_k2")
    directory = memory_directory / "garbage"
    config = PolicyConfig(dialect="kimi_k2", tools_format="none")
    save_policy(config, directory, build_model("nano_k2", tokenizer, seed=0).eval(), tokenizer)
    return directory


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_engine_plays_and_its_record_gives_the_same_rows_without_it(garbage: Path, tmp_path: Path) -> None:
    def synthesize(out: str, *more: str) -> dict:
        command = [ORRERY, "synthesize", "count=6", "samples=2", "keep=all", "tasks.worlds=[order_desk]", f"out={out}"]
        command += ["policy.kind=engine", f"policy.engine.path={garbage}", "policy.engine.tools_format=none"]
        command += ["policy.engine.max_tokens=1024"]
        command += ["policy.engine.max_turns=4", "policy.engine.max_turn_tokens=64", "policy.engine.kv_cache_gb=0.2"]
        done = subprocess.run([*command, *more], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        return json.loads((tmp_path / out / "summary.json").read_text())

    live = synthesize("live", "workers=2")
    assert live["faults"] == {} and live["rows"] + sum(live["dropped"].values()) == 12
    for row in read(tmp_path / "live"):
        trajectory = from_row(Trajectory, row)
        sampled = [segment for segment in trajectory.segments if segment.origin == "policy"]
        assert sampled and all(segment.sampling.grammar == "tool_calls" for segment in sampled)
        assert trajectory.id == f"{trajectory.task_id}-{trajectory.rollout}"
        assert trajectory.metadata["policy"] == "engine" and "garbage" in trajectory.provenance.models["policy"]
        assert trajectory.metadata["counted"] and trajectory.metadata["label"] in ("near_miss", "failure")
    command = [ORRERY, "validate", "dataset=live", f"tokens.path={garbage}", "out=checked"]
    checked = subprocess.run(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert checked.returncode == 0, checked.stdout
    assert json.loads((tmp_path / "checked/summary.json").read_text())["checks"]["tokens"]["looked_at"] == live["rows"]
    replayed = synthesize("replayed", f"policy.engine.file={tmp_path / 'live/completions.sqlite'}")
    assert replayed["dataset_digest"] == live["dataset_digest"]


def test_an_engine_without_a_model_is_refused_before_anything_starts(tmp_path: Path) -> None:
    for more, words in (
        ((), "policy.engine.path: names the model directory"),
        (("policy.engine.path=absent",), "policy.engine: "),
    ):
        command = [ORRERY, "synthesize", "policy.kind=engine", "out=x", *more]
        done = subprocess.run(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 2 and words in done.stdout and "Traceback" not in done.stdout, done.stdout
        assert not (tmp_path / "x").exists()
