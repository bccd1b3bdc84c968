"""TRL's trainers take what `orrery long2short` makes, loaded from the folder alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from pipelines.long2short import Long2Short
from pipelines.long2short import run as long2short
from pipelines.run_directory import RunDirectory
from pipelines.structured import plain
from rl.policy.dialects import DIALECTS
from rl.policy.presets import build_model, save
from rl.policy.tokenizer import train_tokenizer
from tests.trajectories.formats.cases import played, write
from trajectories.trajectory import Segment, Trajectory

ON_CPU = {"use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no", "max_steps": 1, "disable_tqdm": True}


def sampled(dialogue: Trajectory) -> Trajectory:
    """As if a policy of one token per character had said the assistant's turns."""
    said = sum(len(json.dumps(message.to_openai())) for message in dialogue.messages if message.role == "assistant")
    turn = Segment("policy", (0,) * said, (-0.1,) * said)
    return replace(dialogue, segments=(Segment("context", (1,)), turn))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    directory = tmp_path_factory.mktemp("long2short")
    write(directory / "rollouts", map(sampled, played(24, 4)[1]))

    def make(action: Any) -> Dataset:
        config = Long2Short(action=action, dataset=str(directory / "rollouts"))
        with RunDirectory.open("long2short", plain(config), out=directory / action) as run:
            assert long2short(config, run)["rows"] > 5
        return load_dataset(str(directory / action), split="train", cache_dir=str(directory / "cache"))

    return make


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """(tokenizer with a chat template, directory of it and of a nano model)."""
    texts = [text for item in played(24, 4)[1] for text in DIALECTS["kimi_k2"].texts(item.messages, item.tools)]
    tokenizer = train_tokenizer(texts, 512, dialect="kimi_k2")
    directory = tmp_path_factory.mktemp("policy")
    save(build_model("nano_k2", tokenizer, seed=0), tokenizer, directory)
    return tokenizer, directory


@pytest.mark.timeout(600)
def test_dpo_takes_a_step_on_the_pairs(made: Callable[[str], Dataset], policy: tuple[Any, Path], tmp_path: Path) -> None:
    tokenizer, directory = policy
    rows = made("pairs")
    assert all(row["rejected_tokens"] > row["chosen_tokens"] for row in rows)
    settings = DPOConfig(output_dir=str(tmp_path), per_device_train_batch_size=2, max_length=None, **ON_CPU)
    trainer = DPOTrainer(model=str(directory), args=settings, train_dataset=rows, processing_class=tokenizer)
    assert len(trainer.train_dataset) == len(rows) and trainer.train().global_step == 1


@pytest.mark.timeout(600)
def test_sft_takes_a_step_on_the_shortest(made: Callable[[str], Dataset], policy: tuple[Any, Path], tmp_path: Path) -> None:
    tokenizer, directory = policy
    rows = made("shortest")
    settings = SFTConfig(output_dir=str(tmp_path), per_device_train_batch_size=2, max_length=None, **ON_CPU)
    trainer = SFTTrainer(model=str(directory), args=settings, train_dataset=rows, processing_class=tokenizer)
    assert len(trainer.train_dataset) == len(rows) and trainer.train().global_step == 1
