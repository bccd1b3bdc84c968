"""TRL's trainers take the exports as they are, loaded from the folder alone, and tool calls reach the tokens.

The model and the tokenizer are the project's own; the chat template is that of a dialect.
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from pipelines.export import Export, export_dataset
from pipelines.exporting.tokens import Tokens
from pipelines.exporting.unit import ExportError
from pipelines.progress import Progress
from rl.policy.dialects import DIALECTS, get
from rl.policy.presets import build_model, save
from rl.policy.source import PolicyConfig, note_format
from rl.policy.tokenizer import train_tokenizer
from tests.trajectories.formats.cases import dialogue, played, write
from trajectories.codec import from_row
from trajectories.formats import FormatSettings, Where
from trajectories.formats.settings import PreferenceSettings
from trajectories.messages import Message, ToolCall
from trajectories.shards import read
from trajectories.trajectory import Segment, Trajectory

ON_CPU = {"use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no", "max_steps": 1, "disable_tqdm": True}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tasks, dialogues = played(24, 4)
    return write(tmp_path_factory.mktemp("source"), dialogues, tasks)


@pytest.fixture(scope="module", params=DIALECTS)
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any, Path]]:
    """(dialect, tokenizer, directory of both and of a nano model)."""
    name = request.param
    _, dialogues = played(24, 4)
    texts = [text for item in dialogues for text in DIALECTS[name].texts(item.messages, item.tools)]
    tokenizer = train_tokenizer(texts, 1024, dialect=name)
    directory = tmp_path_factory.mktemp("policy")
    save(build_model("nano_k2", tokenizer, seed=0), tokenizer, directory)
    note_format(PolicyConfig(dialect=name), directory)
    yield name, tokenizer, directory


def exported(dataset: Path, out: Path, **settings: Any) -> Dataset:
    out.mkdir()
    export_dataset(Export(dataset=str(dataset), **settings), out, Progress(stream=io.StringIO()))
    return load_dataset(str(out), split="train", cache_dir=str(out / "cache"))


def calls_of(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call["function"] for message in messages for call in message.get("tool_calls") or ()]


@pytest.mark.timeout(600)
def test_sft_trains_a_step_and_no_call_is_lost_in_the_template(
    dataset: Path, policy: tuple[str, Any, Path], tmp_path: Path
) -> None:
    name, tokenizer, directory = policy
    model = AutoModelForCausalLM.from_pretrained(directory)
    rows = exported(dataset, tmp_path / "sft", format="trl_sft")
    settings = SFTConfig(output_dir=str(tmp_path / "out"), per_device_train_batch_size=2, max_length=None, **ON_CPU)
    trainer = SFTTrainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer)
    seen = 0
    for row, ids in zip(rows, trainer.train_dataset["input_ids"], strict=True):
        text = tokenizer.decode(ids)
        for function in calls_of(row["messages"]):
            assert isinstance(function["arguments"], dict)
            assert function["name"] in text
            assert all(str(value) in text for value in function["arguments"].values() if isinstance(value, str | int))
            seen += 1
        for tool in row["tools"]:
            assert f'"name":"{tool["function"]["name"]}"' in text
        opener = "<|tool_call_begin|>" if name == "kimi_k2" else '<tool_call>\n{"name"'
        assert text.count(opener) == len(calls_of(row["messages"]))
        assert "None" not in text and "null," not in text
    assert seen > 50
    before = model.lm_head.weight.detach().clone()
    result = trainer.train()
    assert result.global_step == 1 and torch.isfinite(torch.tensor(result.training_loss))
    assert not torch.equal(before, model.lm_head.weight)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("prompt", ["opening", "shared"])
def test_dpo_prepares_the_pairs_and_takes_a_step(
    dataset: Path, policy: tuple[str, Any, Path], tmp_path: Path, prompt: Any
) -> None:
    _, tokenizer, directory = policy
    details = FormatSettings(preference=PreferenceSettings(prompt=prompt))
    rows = exported(dataset, tmp_path / "dpo", format="trl_preference", details=details)
    settings = DPOConfig(output_dir=str(tmp_path / "out"), per_device_train_batch_size=2, max_length=None, **ON_CPU)
    trainer = DPOTrainer(model=str(directory), args=settings, train_dataset=rows, processing_class=tokenizer)
    assert len(trainer.train_dataset) == len(rows) > 10
    for row, made in zip(rows, trainer.train_dataset, strict=True):
        assert made["prompt_ids"] and made["chosen_ids"] != made["rejected_ids"]
        for side in ("chosen", "rejected"):
            text = tokenizer.decode(made[f"{side}_ids"])
            assert all(function["name"] in text for function in calls_of(row[side]))
    assert trainer.train().global_step == 1


def test_rendered_tokens_parse_back_into_the_messages(
    dataset: Path, policy: tuple[str, Any, Path], tmp_path: Path
) -> None:
    name, tokenizer, directory = policy
    (tmp_path / "out").mkdir()
    config = Export(dataset=str(dataset), tokens=Tokens(path=str(directory), dialect=name), where=Where(max_turns=8))
    export_dataset(config, tmp_path / "out", Progress(stream=io.StringIO()))
    dialect = get(name, tokenizer)
    rows = [from_row(Trajectory, row) for row in read(tmp_path / "out")]
    assert rows
    for row in rows:
        assert {segment.origin for segment in row.segments} == {"context", "demonstration"}
        assert (row.token_ids, row.loss_mask) == dialect.render(row.messages, row.tools)
        turns: list[Message] = []
        calls = 0
        for segment in row.segments:
            if segment.origin == "demonstration":
                parsed = dialect.parse(segment.token_ids, calls)
                assert parsed.malformed is None
                turns.append(parsed.message)
                calls += parsed.calls
        assert turns == [message for message in row.messages if message.role == "assistant"]
    for file in ("tokenizer.json", "tokenizer_config.json", "orrery_policy.json"):
        assert (tmp_path / "out/tokenizer" / file).read_bytes() == (directory / file).read_bytes()


def test_a_dialogue_that_the_chat_format_cannot_say_is_named(
    dataset: Path, policy: tuple[str, Any, Path], tmp_path: Path
) -> None:
    name, _, directory = policy
    foreign = Message("assistant", tool_calls=(ToolCall("call_1", "get_order", "{}"),))
    thinking = Message("assistant", "Done.", reasoning_content="hm")
    bad = dialogue(Message("user", "Do it."), foreign if name == "qwen3" else thinking, number=3)
    fine = dialogue(Message("user", "Do it."), Message("assistant", "Done."))
    source = write(tmp_path / "source", [fine, bad])
    config = Export(dataset=str(source), tokens=Tokens(path=str(directory), dialect=name))
    (tmp_path / "out").mkdir()
    if name == "qwen3":  # it has no call ids, so it can say those of anybody
        export_dataset(config, tmp_path / "out", Progress(stream=io.StringIO()))
        return
    with pytest.raises(ExportError, match=r"row 1 \(task-3\): native: kimi_k2: .* no place for reasoning_content"):
        export_dataset(config, tmp_path / "out", Progress(stream=io.StringIO()))
    summary = export_dataset(replace(config, refused="drop"), tmp_path / "out", Progress(stream=io.StringIO()))
    assert summary["rows"] == 1 and summary["dropped"] == {"refused": 1}


def test_rows_with_tokens_keep_them(dataset: Path, policy: tuple[str, Any, Path], tmp_path: Path) -> None:
    name, _, directory = policy
    _, dialogues = played(24, 4)
    sampled = replace(dialogues[0], segments=(Segment("context", (1, 2)), Segment("policy", (3,), (-0.5,))))
    source = write(tmp_path / "source", [sampled, dialogues[1]])
    (tmp_path / "out").mkdir()
    config = Export(dataset=str(source), tokens=Tokens(path=str(directory), dialect=name))
    export_dataset(config, tmp_path / "out", Progress(stream=io.StringIO()))
    kept, rendered = (from_row(Trajectory, row) for row in read(tmp_path / "out"))
    assert kept == sampled and len(rendered.segments) > 2
