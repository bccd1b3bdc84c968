"""What is exported comes back exactly equal through `datasets.load_dataset`, from the folder alone."""

import json
from functools import lru_cache
from typing import Any

import pytest
from datasets import load_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.evolution.growing import grow
from simulators.evolution.reading import LEXICON, read_category
from simulators.worlds import load, names
from tests.trajectories import strategies
from tests.trajectories.formats import schemas
from tests.trajectories.formats.cases import answer, call, dialogue, group, played
from tests.trajectories.test_json_text import _same
from trajectories import shards
from trajectories.codec import from_row, to_row
from trajectories.formats import FORMATS, FormatSettings, Made
from trajectories.messages import Message, ToolSpec
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

SETTINGS = FormatSettings(arguments="keep")
ALL = [(name, kind) for name, form in FORMATS.items() for kind in ("typed", "text") if getattr(form, kind) is not None]
ALL.remove(("native", "text"))  # joined as Arrow columns: see the exporter's tests


def exported(directory, name: str, kind: str, made: list[Made]) -> list[dict[str, Any]]:
    """The rows, written with the format's schema and read by somebody who knows only the folder."""
    rows = [row for part in made for row in part.rows]
    shards.write(rows, directory / "set", schema=getattr(FORMATS[name], kind), rows_per_shard=50)
    loaded = load_dataset(str(directory / "set"), split="train", cache_dir=str(directory / "cache"))
    return list(loaded)


def make(name: str, kind: str, *dialogues: Trajectory) -> Made:
    task = to_row(played(1, 1)[0][0])
    return FORMATS[name].make(group(*dialogues, task=task, plain=kind == "text"), SETTINGS)


def the_tools(row: dict[str, Any], name: str) -> Any:
    if name in ("verl", "skyrl"):
        return json.loads(row["extra_info"]["tools"])
    return row["tools"]


def wire(tools: list[ToolSpec]) -> list[dict[str, Any]]:
    return [tool.to_openai() for tool in tools]


def pair(tools: list[ToolSpec], number: int) -> list[Trajectory]:
    """A dialogue that passed and one that failed."""
    opening = (Message("system", "Help."), Message("user", "Cancel order 204.\u2028"))
    good = dialogue(*opening, call('{"order_id": "204"}'), answer("{}"), Message("assistant", "Done."), tools=tools, number=0)
    bad = dialogue(*opening, Message("assistant", "No."), tools=tools, passed=False, number=1)
    return [good, bad] if number % 2 else [bad, good]


@lru_cache(maxsize=1)
def two_thousand() -> list[ToolSpec]:
    """Of anybody's making, and of the worlds that ship and grow."""
    category = read_category(LEXICON / "education.yaml")
    grown = [tool for domain in list(category.domains.values())[:2] for tool in grow(domain, 0).world.tool_specs()]
    shipped = [tool for name in names() for tool in load(name).tool_specs()]
    ours = [*shipped, *grown]
    assert len(ours) > 100
    return [*ours, *(schemas.tool(number) for number in range(2000 - len(ours)))]


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_two_thousand_tools_of_many_makes_come_back_as_they_were(tmp_path, name, kind):
    tools = two_thousand()
    assert len(tools) == 2000
    per = 20
    made = []
    for at in range(0, len(tools), per):
        dialogues = pair(tools[at : at + per], at)
        made.append(make(name, kind, *(dialogues if FORMATS[name].per == "task" else dialogues[:1])))
    rows = exported(tmp_path, name, kind, made)
    assert len(rows) == 100
    for row, at in zip(rows, range(0, len(tools), per), strict=True):
        assert _same(the_tools(row, name), wire(tools[at : at + per])), at


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.lists(strategies.tools, max_size=3), st.lists(strategies.messages, max_size=4)), min_size=1, max_size=25
    )
)
def test_hostile_messages_and_tools_come_back_exactly_equal(tmp_path_factory, drawn):
    rows, expected = [], []
    for tools, messages in drawn:
        row = dialogue(*messages, tools=tools)
        (made,) = FORMATS["trl_sft"].make(group(row), SETTINGS).rows
        rows.append(Made(rows=[made]))
        expected.append(([as_trl(message.to_openai()) for message in messages], wire(tools)))
    for row, (messages, tools) in zip(exported(tmp_path_factory.mktemp("set"), "trl_sft", "typed", rows), expected, strict=True):
        assert _same(row["messages"], messages) and _same(row["tools"], tools)


def as_trl(message: dict[str, Any]) -> dict[str, Any]:
    """Written independently of the format: what its docstring promises."""
    for item in message.get("tool_calls", ()):
        try:
            value = json.loads(item["function"]["arguments"])
        except ValueError:
            continue
        if isinstance(value, dict):
            item["function"]["arguments"] = value
    return message


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_real_dialogues_come_back_exactly_equal(tmp_path, name, kind):
    tasks, dialogues = played(6, 3)
    by_id = {task.id: task for task in tasks}
    made = []
    for task in tasks:
        of_task = [item for item in dialogues if item.task_id == task.id]
        groups = [of_task] if FORMATS[name].per == "task" else [[item] for item in of_task]
        made += [FORMATS[name].make(group(*some, task=to_row(task), plain=kind == "text"), SETTINGS) for some in groups]
    rows = exported(tmp_path, name, kind, made)
    assert rows
    by_dialogue = {item.id: item for item in dialogues}
    for row in rows:
        if name == "native":
            assert from_row(Trajectory, row) == by_dialogue[row["id"]]
        elif name == "trl_sft":
            assert row["messages"] == [as_trl(message.to_openai()) for message in by_dialogue[row["id"]].messages]
        elif name == "trl_prompt":
            assert from_row(Task, row["task"]) == by_id[row["task_id"]]
        elif name == "trl_preference":
            for side in ("chosen", "rejected"):
                whole = [as_trl(message.to_openai()) for message in by_dialogue[row[f"{side}_id"]].messages]
                assert row["prompt"] + row[side] == whole
        else:
            truth = row["reward_model" if name == "verl" else "reward_spec"]["ground_truth"]
            assert from_row(Task, json.loads(truth)) == by_id[row["extra_info"]["task_id"]]
            assert [message["role"] for message in row["prompt"]] == ["system", "user"]
