"""`orrery inspect` shows exports in other formats: at least who said what, and the tools."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.inspecting.rows import Where, choose
from pipelines.inspecting.view import view
from tests.trajectories.card import samples
from trajectories import shards
from trajectories.card import CardAbout, statistics, write_card
from trajectories.card.folder import configurations
from trajectories.codec import to_row
from trajectories.formats import FORMATS, FormatSettings, Group
from trajectories.json_text import JsonText
from trajectories.messages import Message
from trajectories.rewards import Reward


def exported(name: str, directory: Path) -> Path:
    """Two dialogues of one task, one passed and one failed, in the named format."""
    passed = samples.trajectory(0)
    failed = replace(
        passed,
        id="task0-1",
        rollout=1,
        messages=(*passed.messages[:2], Message("assistant", "No.")),
        reward=Reward(0.0, components={"pass": 0.0}),
    )
    form = FORMATS[name]
    rows = [
        {**row, **{key: [JsonText(json.dumps(item)) for item in row[key]] for key in ("messages", "tools")}}
        for row in map(to_row, (passed, failed))
    ]
    groups = [rows] if form.per == "task" else [[row] for row in rows]
    made = [
        row
        for number, group in enumerate(groups)
        for row in form.make(Group(group, number, "train", to_row(samples.task(0))), FormatSettings()).rows
    ]
    schema = form.typed or form.text
    if schema is None:
        (directory / "data").mkdir(parents=True)
        lines = "".join(json.dumps(row, default=dict) + "\n" for row in made)
        (directory / "data" / "train-00000-of-00001.jsonl").write_text(lines)
    else:
        shards.write(made, directory, schema=schema)
    return directory


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_messages_and_tools_of_every_format_are_shown(name: str, tmp_path: Path) -> None:
    files = configurations(exported(name, tmp_path))[""]
    chosen = choose(files, Where(), 5, pick="first", seed=0)
    shown = view(chosen.samples[0])
    assert [turn.speaker for turn in shown.turns[:2]] == ["System prompt", "User"]
    assert shown.turns[1].text == "Please do it."
    assert [tool for tool, _, _ in shown.tools] == ["look", "act", "decline"]
    if name in ("native", "trl_sft", "openai"):
        assert Counter(call.name for turn in shown.turns for call in turn.calls) == {"look": 1, "act": 1}
        assert shown.turns[2].calls[0].arguments == '{"id": 1}'
    if name == "trl_preference":
        assert shown.turns[-1].text == "Done." and shown.rejected[-1].text == "No."
    assert len(choose(files, Where(contains="please do"), 5, pick="first", seed=0).samples) == chosen.matching


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_has_statistics_and_a_card_that_loads(name: str, tmp_path: Path) -> None:
    from datasets import load_dataset

    folder = exported(name, tmp_path / "set")
    counts = statistics(folder).total
    assert counts.rows and counts.lengths["tools"] == {3: counts.rows}
    text = write_card(folder, CardAbout(title=name, format=name if name != "native" else "orrery")).read_text()
    loaded = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == counts.rows
    table = text.split("## Columns")[1].split("##")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) == len(loaded.column_names) and not any(line.endswith("|  |") for line in rows)
