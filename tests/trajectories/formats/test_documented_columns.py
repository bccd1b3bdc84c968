"""Rows have the columns that their readers document, and the shapes that OpenAI's own client types accept."""

import json

import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.responses import EasyInputMessageParam, FunctionToolParam
from pydantic import TypeAdapter

from tests.trajectories.formats.cases import answer, call, dialogue, group, played
from trajectories.codec import to_row
from trajectories.formats import FORMATS, FormatSettings, UnsayableError
from trajectories.formats.settings import NemoGymSettings, OpenAISettings, VerlSettings
from trajectories.messages import Message, ToolSpec

OPENING = (Message("system", "Help."), Message("user", "Cancel order 204."))


def row_of(name: str, settings: FormatSettings | None = None, plain: bool = False) -> dict:
    tasks, dialogues = played(2, 1)
    made = FORMATS[name].make(group(dialogues[0], task=to_row(tasks[0]), plain=plain), settings or FormatSettings())
    return made.rows[0]


def test_verl_rows_have_the_fields_of_its_documentation_and_kwargs_for_their_own_tools_only():
    row = row_of("verl", FormatSettings(verl=VerlSettings(interaction="orrery")))
    assert row.keys() == {"data_source", "agent_name", "prompt", "ability", "reward_model", "extra_info"}
    assert row["reward_model"].keys() == {"style", "ground_truth"} and row["reward_model"]["style"] == "rule"
    assert all(message.keys() == {"role", "content"} for message in row["prompt"])
    info = row["extra_info"]
    assert {"split", "index", "need_tools_kwargs", "tools_kwargs", "interaction_kwargs"} <= info.keys()
    names = [tool["function"]["name"] for tool in json.loads(info["tools"])]
    assert list(info["tools_kwargs"]) == names
    assert all(value["create_kwargs"].keys() == {"world", "seed", "initialise"} for value in info["tools_kwargs"].values())
    assert info["interaction_kwargs"].keys() == {"name", "query", "ground_truth"}


def test_plain_verl_rows_say_that_they_have_no_kwargs_instead_of_null_filled_ones():
    info = row_of("verl", plain=True)["extra_info"]
    assert info["need_tools_kwargs"] is False and "tools_kwargs" not in info


def test_skyrl_rows_have_the_fields_of_its_documentation():
    row = row_of("skyrl")
    assert row.keys() == {"data_source", "prompt", "env_class", "reward_spec", "extra_info"}
    assert row["reward_spec"].keys() == {"method", "ground_truth"} and row["reward_spec"]["method"] == "rule"
    assert row["data_source"] == "orrery/order_desk" or row["data_source"] == "orrery/travel"


def test_nemo_gym_lines_are_parameters_of_the_responses_api_beside_what_the_verifier_needs():
    row = row_of("nemo_gym", FormatSettings(nemo_gym=NemoGymSettings(agent="orrery_agent")))
    parameters = row["responses_create_params"]
    TypeAdapter(list[EasyInputMessageParam]).validate_python(parameters["input"])
    tools = TypeAdapter(list[FunctionToolParam]).validate_python(parameters["tools"])
    assert len(tools) == len(parameters["tools"]) > 0
    assert row["agent_ref"] == {"type": "responses_api_agents", "name": "orrery_agent"}
    assert row["verifier_metadata"]["task"]["id"] == row["verifier_metadata"]["task_id"]
    assert "agent_ref" not in row_of("nemo_gym")


def test_openai_lines_are_chat_messages_and_tools_of_its_client():
    _, dialogues = played(12, 2)
    for item in dialogues:
        (row,) = FORMATS["openai"].make(group(item), FormatSettings()).rows
        assert row.keys() == {"messages", "tools", "parallel_tool_calls"}
        for message in row["messages"]:
            TypeAdapter(ChatCompletionMessageParam).validate_python(message)
            known = {"role", "content", "tool_calls", "tool_call_id", "weight"}
            assert message.keys() <= known and not (message["role"] == "tool" and "name" in message)
        TypeAdapter(list[ChatCompletionToolParam]).validate_python(row["tools"])
        assert row["parallel_tool_calls"] is any(len(message.tool_calls) > 1 for message in item.messages)


def test_openai_content_is_left_out_only_where_a_message_does_nothing_but_call():
    row = dialogue(*OPENING, call("{}"), answer(""), call("{}", index=1, content="Looking."), answer("", index=1), OPENING[1])
    (made,) = FORMATS["openai"].make(group(row), FormatSettings()).rows
    contents = [message.get("content", "absent") for message in made["messages"]]
    assert contents == ["Help.", "Cancel order 204.", "absent", "", "Looking.", "", "Cancel order 204."]


def test_weight_0_falls_on_the_turns_whose_calls_were_answered_by_errors():
    _, dialogues = played(24, 4)
    settings = FormatSettings(openai=OpenAISettings(weights="no_errors"))
    weighted = 0
    for item in dialogues:
        (made,) = FORMATS["openai"].make(group(item), settings).rows
        calls = iter(item.outcome.calls)
        for message, wire in zip(item.messages, made["messages"], strict=True):
            erred = any([next(calls).is_error for _ in message.tool_calls])
            assert wire.get("weight", 1) == (0 if erred else 1)
            weighted += erred
    assert weighted


@pytest.mark.parametrize(
    ("turns", "tools", "problem"),
    [
        ((*OPENING, Message("assistant", "x", reasoning_content="hm")), (), "no place for reasoning_content"),
        ((*OPENING, Message("assistant")), (), "neither content nor calls"),
        (OPENING, (), "no assistant message"),
        ((*OPENING, call("{}"), Message("user", "?")), (), "is not answered"),
        ((*OPENING, answer("x")), (), "which is not open"),
        ((*OPENING, Message("assistant", "x")), [ToolSpec("größe")], "the function name 'größe'"),
        ((*OPENING, Message("assistant", "x")), [ToolSpec(f"t{i}") for i in range(129)], "129 tools"),
    ],
)
def test_what_openai_cannot_say_is_refused_by_name(turns, tools, problem):
    with pytest.raises(UnsayableError, match=problem):
        FORMATS["openai"].make(group(dialogue(*turns, tools=tools)), FormatSettings())


def test_reasoning_can_be_left_out_where_there_is_no_place_for_it():
    row = dialogue(*OPENING, Message("assistant", "x", reasoning_content="hm"))
    (made,) = FORMATS["openai"].make(group(row), FormatSettings(reasoning="leave_out")).rows
    assert made["messages"][-1] == {"role": "assistant", "content": "x"}
    (kept,) = FORMATS["trl_sft"].make(group(row), FormatSettings()).rows
    assert "hm" in kept["messages"][-1]


@pytest.mark.parametrize("name", ["trl_prompt", "verl", "skyrl", "nemo_gym"])
@pytest.mark.parametrize("turns", [(), OPENING[:1], (Message("assistant", "Hello."), OPENING[1])])
def test_a_dialogue_without_a_prompt_is_refused(name, turns):
    task = to_row(played(1, 1)[0][0])
    with pytest.raises(UnsayableError, match="a prompt ends with the user's message"):
        FORMATS[name].make(group(dialogue(*turns), task=task), FormatSettings())
