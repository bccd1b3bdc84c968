"""Dialogues of good shape have no problems; any other has one, and no value makes the check raise."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trajectories.strategies import json_values
from trajectories.checking.dialogue import dialogue_problems, is_dialogue
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.outcomes import CallRecord, Outcome

TOOLS = [ToolSpec("look", "Looks.").to_openai(), ToolSpec("act", "Acts.").to_openai()]


def call(name: str, number: int, arguments: str = "{}") -> ToolCall:
    return ToolCall(f"functions.{name}:{number}", name, arguments)


def result(of: ToolCall, content: str = "done") -> Message:
    return Message("tool", content, tool_call_id=of.id, name=of.name)


LOOK, SECOND, ACT = call("look", 0, '{"id":"1"}'), call("look", 1), call("act", 2)
DIALOGUE = [
    Message("system", "You are an assistant."),
    Message("user", "Do it."),
    Message("assistant", "", (LOOK, SECOND)),
    result(LOOK),
    result(SECOND),
    Message("assistant", "", (ACT,), reasoning_content="Then act."),
    result(ACT),
    Message("assistant", "Done."),
]
WIRE = [message.to_openai() for message in DIALOGUE]
OUTCOME = Outcome("completed", calls=tuple(CallRecord(each.name, {}, False, "done") for each in (LOOK, SECOND, ACT)))


def problems(messages: Any, tools: Any = TOOLS, outcome: Outcome | None = OUTCOME) -> list[str]:
    return list(dialogue_problems(messages, tools, outcome))


def changed(path: list[Any], value: Any) -> list[dict[str, Any]]:
    messages = copy.deepcopy(WIRE)
    *front, last = path
    place: Any = messages
    for step in front:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return messages


def test_a_good_dialogue_has_no_problems() -> None:
    assert problems(WIRE) == [] and problems(WIRE, outcome=None) == [] and is_dialogue(WIRE)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "there are no messages"),
        (WIRE[1:], "message 0 is of role user; the system prompt comes first"),
        ([*WIRE, WIRE[0]], "message 8: a system prompt within the dialogue"),
        ([*WIRE[:2], *WIRE[1:]], "message 2: user speaks twice"),
        ([*WIRE, WIRE[-1]], "message 8: assistant speaks twice"),
        ([*WIRE[:3], WIRE[4], WIRE[3], *WIRE[5:]], "message 3: the result of functions.look:1 where that of functions.look:0 is"),
        ([*WIRE[:4], *WIRE[5:]], "message 4: assistant speaks before functions.look:1 has a result"),
        ([*WIRE[:4], WIRE[3], *WIRE[4:]], "message 4: a result of functions.look:0, for which no call waits"),
        (WIRE[:6], "functions.act:2 has no result, and the dialogue was not cut off"),
        (changed([5, "tool_calls", 0, "id"], LOOK.id), "message 5: the call id functions.look:0 was used before"),
        (changed([3, "name"], "act"), "message 3: the result is named act, its call look"),
        (changed([5, "tool_calls", 0, "function", "name"], "fly"), "calls fly, which is not declared"),
        (changed([5, "tool_calls", 0, "function", "arguments"], "{"), "the arguments of functions.act:2 are no JSON"),
        (changed([5, "tool_calls", 0, "function", "arguments"], "[]"), "are list, not an object"),
        (changed([5, "tool_calls", 0, "function", "arguments"], "[" * 10**5), "are no JSON"),
        (changed([5, "tool_calls", 0, "function", "arguments"], {}), "is no tool call of OpenAI's shape"),
        (changed([5, "tool_calls", 0, "type"], ...), "is no tool call of OpenAI's shape"),
        (changed([5, "tool_calls"], "look"), "is no tool call of OpenAI's shape"),
        (changed([1, "role"], "developer"), "message 1: role 'developer' is none of system, user"),
        (changed([1, "content"], None), "message 1 (user): content is NoneType, not a string"),
        (changed([1, "content"], ...), "message 1 (user): lacks content"),
        (changed([1, "weight"], 0), "message 1 (user): has weight, which such a message has not"),
        (changed([3, "tool_call_id"], ...), "message 3 (tool): lacks tool_call_id"),
        (changed([7, "tool_call_id"], "x"), "message 7 (assistant): has tool_call_id"),
    ],
)
def test_what_is_wrong_is_said_with_its_message(messages: list[dict[str, Any]], said: str) -> None:
    assert any(said in problem for problem in problems(messages)), problems(messages)


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([*TOOLS, TOOLS[0]], "tool 2: look is declared twice"),
        ([*TOOLS, {"type": "function"}], "tool 2 has not OpenAI's shape"),
        ([{"type": "function", "function": {"name": "look", "parameters": None}}], "tool 0 (look): its parameters are no JSON"),
        (TOOLS[:1], "message 5: functions.act:2 calls act, which is not declared"),
    ],
)
def test_what_is_wrong_with_declarations_is_said(tools: list[Any], said: str) -> None:
    assert any(said in problem for problem in problems(WIRE, tools))


@pytest.mark.parametrize("change", [("name", "fly"), ("arguments", "{"), ("arguments", "7")])
def test_what_the_policy_did_wrong_is_no_damage_where_the_world_said_so(change: tuple[str, str]) -> None:
    messages = changed([5, "tool_calls", 0, "function", change[0]], change[1])
    messages[6].pop("name")
    failed = Outcome("completed", calls=(*OUTCOME.calls[:2], CallRecord("x", "", True, "no")))
    assert problems(messages, outcome=failed) == []
    assert problems(messages) != [] and problems(messages, outcome=None) != []


@pytest.mark.parametrize("ending", ["token_limit", "malformed", "fault"])
def test_a_dialogue_that_was_cut_off_may_end_with_calls(ending: Any) -> None:
    cut = Outcome(ending, calls=OUTCOME.calls[:2])
    assert problems(WIRE[:6], outcome=cut) == []
    assert problems([*WIRE[:4], *WIRE[5:]], outcome=cut) != []


@given(st.lists(st.sampled_from(WIRE) | json_values(), max_size=6), st.lists(st.sampled_from(TOOLS) | json_values(), max_size=3))
def test_nothing_makes_the_check_raise(messages: list[Any], tools: list[Any]) -> None:
    found = problems(json.loads(json.dumps(messages)), tools)
    assert is_dialogue(messages) or found


@given(st.data())
def test_any_message_that_is_left_out_or_moved_is_missed(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(WIRE))) | st.just([*range(len(WIRE))]))
    kept = order[: data.draw(st.integers(1, len(WIRE)))]
    prefixes = [list(range(n)) for n in (1, 2, 5, 7, 8)]  # dialogues that stop between two turns
    assert bool(problems([WIRE[n] for n in kept])) is (kept not in prefixes)
