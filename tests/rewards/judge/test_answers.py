"""A judge reasons first and keeps to the form, or it is asked again; what never does is no verdict."""

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.judge import Judge, JudgeConfig
from rewards.judge.answers import MOST_EVIDENCE, read_verdicts
from rewards.judge.exhibit import passages
from rewards.judge.prompt import answer_schema
from services.chat import ChatError, ChatReply, ChatRequest, ScriptedChatModel, UnusableAnswer
from tests.rewards.judge.cases import PLAIN, TASK, answer, dialogue, entries
from trajectories.codec import from_row, to_row
from trajectories.messages import Message, ToolCall
from trajectories.trajectory import Trajectory

EXHIBIT = passages(dialogue(), PLAIN.max_shown)


def read(text: str):
    return read_verdicts(text, PLAIN.criteria, EXHIBIT, "judge")


def judged(*replies, config: JudgeConfig = PLAIN, trajectory: Trajectory | None = None):
    model = ScriptedChatModel(list(replies))
    return asyncio.run(Judge(model, config).judge(TASK, trajectory or dialogue()))


def without(key: str) -> str:
    return answer([{name: value for name, value in entries()[0].items() if name != key}, *entries()[1:]])


def doubled(key: str) -> str:
    return answer().replace(f'"{key}":', f'"{key}": "x", "{key}":', 1)


def verdict_first() -> str:
    first = {"criterion": "helpful", "verdict": "pass", "reasons": "It is done.", "evidence": "Done."}
    return answer([first, *entries()[1:]])


BROKEN = {
    "not JSON": ("pass", "not one JSON object"),
    "in a code fence": (f"```json\n{answer()}\n```", "not one JSON object"),
    "words after it": (answer() + " I am sure.", "not one JSON object"),
    "two objects": (answer() + answer(), "not one JSON object"),
    "nested too deeply": ("[" * 100_000, "not one JSON object"),
    "a list": (json.dumps(entries()), 'the one key "criteria"'),
    "more keys": (answer()[:-1] + ', "passed": true}', 'the one key "criteria"'),
    "criteria doubled": (answer()[:-1] + ', "criteria": []}', 'the one key "criteria"'),
    "no list": ('{"criteria": {}}', "not a list"),
    "an element is a text": ('{"criteria": ["pass"]}', "not an object"),
    "verdict first": (verdict_first(), "reason first"),
    "no reasons": (without("reasons"), "has the keys"),
    "no evidence": (without("evidence"), "has the keys"),
    "verdict doubled": (doubled("verdict"), "has the keys"),
    "reasons doubled": (doubled("reasons"), "has the keys"),
    "a score beside it": (answer(entries(score=5)), "has the keys"),
    "empty reasons": (answer(entries(reasons=" \n")), "reasons are empty"),
    "reasons are a list": (answer(entries(reasons=["a"])), "is a text"),
    "a number": (answer(entries(verdict=1)), "is a text"),
    "a boolean": (answer(entries(verdict=True)), "is a text"),
    "a grade": (answer(entries(verdict="8/10")), "is no verdict"),
    "a synonym": (answer(entries(verdict="passed")), "is no verdict"),
    "another case": (answer(entries(verdict="Pass")), "is no verdict"),
    "spaces": (answer(entries(verdict="pass ")), "is no verdict"),
    "unknown criterion": (answer(entries(criterion="helpfulness")), "is no criterion"),
    "one is missing": (answer(entries()[1:]), "helpful: not judged"),
    "one is there twice": (answer([*entries(), entries()[0]]), "judged twice"),
    "does not apply, but must": (answer(entries(verdict="not_applicable")), "applies to every dialogue"),
    "evidence is empty": (answer(entries(evidence=" ")), "evidence is empty"),
    "evidence is made up": (answer(entries(evidence="Done at once.")), "does not stand"),
    "evidence in another case": (answer(entries(evidence="done.")), "does not stand"),
    "evidence over two passages": (answer(entries(evidence="Please cancel order 204. get_order")), "does not stand"),
    "evidence from the tools": (answer(entries(evidence="Read an order.")), "does not stand"),
    "evidence is a fence": (answer(entries(evidence="assistant Done.")), "does not stand"),
    "evidence is all of it": (answer(entries(evidence="x" * (MOST_EVIDENCE + 1))), "more than 400"),
    "made up for what does not apply": (answer([*entries()[:2], entries()[2] | {"evidence": "No."}]), "does not stand"),
    "half of a surrogate pair": (answer(entries(reasons="\ud800")), "surrogate"),
    "nothing": ("", "not one JSON object"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_does_not_conform_is_refused_with_the_reason(kind):
    text, reason = BROKEN[kind]
    with pytest.raises(UnusableAnswer, match=reason):
        read(text)


@pytest.mark.parametrize("kind", BROKEN)
def test_it_is_asked_again_and_then_it_is_a_fault_and_never_a_verdict(kind):
    text, reason = BROKEN[kind]
    judgement = judged(text, text, text)
    assert (judgement.passed, judgement.verdicts) == (None, ())
    assert judgement.fault.source == "judge" and reason in judgement.fault.message and "3 answers" in judgement.fault.message
    assert judged(text, text, answer()).passed is True


def test_the_reason_goes_back_to_the_judge_with_a_seed_of_its_own():
    asked: list[ChatRequest] = []

    def play(request: ChatRequest) -> str:
        asked.append(request)
        return verdict_first() if len(asked) == 1 else answer()

    assert asyncio.run(Judge(ScriptedChatModel(play), PLAIN).judge(TASK, dialogue())).passed
    first, second = asked
    assert second.messages[:2] == first.messages and second.messages[2].content == verdict_first()
    assert "reason first" in second.messages[3].content and first.seed != second.seed
    assert first.temperature == 0.0 and first.response_schema == answer_schema(PLAIN.criteria)
    keys = first.response_schema["properties"]["criteria"]["items"]["properties"]
    assert list(keys) == ["criterion", "reasons", "evidence", "verdict"]


def test_a_conforming_answer_is_taken_as_it_is_in_the_order_of_the_rubric():
    backwards = answer(list(reversed(entries(evidence="  Done. ", reasons=" It is\ndone. "))))
    verdicts = read(backwards)
    assert [(item.criterion, item.verdict) for item in verdicts] == [
        ("helpful", "pass"), ("tone", "pass"), ("honest", "not_applicable"),
    ]  # fmt: skip
    assert (verdicts[0].judge, verdicts[0].reasons, verdicts[0].evidence) == ("judge", "It is\ndone.", "Done.")
    assert read(answer(entries(evidence="Please \n cancel   order")))[0].verdict == "pass"
    stored = replace(dialogue(), verdicts=verdicts)
    assert from_row(Trajectory, to_row(stored)).verdicts == verdicts


def test_at_least_one_criterion_applies():
    config = JudgeConfig(criteria={"honest": PLAIN.criteria["honest"]})
    assert "no criterion applies" in judged(answer(entries()[2:]), config=replace(config, attempts=1)).fault.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
PLACES = [(index, key) for index in range(3) for key in ("criterion", "reasons", "evidence", "verdict")]


@given(JSON | st.sampled_from(["pass", "fail", "not_applicable", "helpful", "tone", "Done."]), st.sampled_from(PLACES))
def test_whatever_a_judge_writes_there_is_a_whole_verdict_or_none(value, place):
    index, key = place
    given = entries()
    given[index][key] = value
    try:
        verdicts = read(answer(given))
    except UnusableAnswer:
        return
    assert [item.criterion for item in verdicts] == list(PLAIN.criteria)
    assert all(item.reasons and item.verdict in ("pass", "fail", "not_applicable") for item in verdicts)
    assert all(item.evidence for item in verdicts if item.verdict != "not_applicable")


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_no_text_breaks_the_reader(text):
    with pytest.raises(UnusableAnswer):
        read(text)


@given(st.integers(0, len(answer()) - 1))
def test_a_cut_off_answer_is_none(length):
    with pytest.raises(UnusableAnswer):
        read(answer()[:length])


@pytest.mark.parametrize("kind", ["unreachable", "timeout", "overloaded", "failed", "refused", "unscripted"])
def test_a_model_that_does_not_answer_is_a_fault_at_once(kind):
    judgement = judged(ChatError(kind, "it is gone"), answer())
    assert judgement.passed is None and judgement.fault.message == f"{kind}: it is gone"


@pytest.mark.parametrize("kind", ["truncated", "declined", "malformed"])
def test_an_answer_that_is_none_is_asked_for_again(kind):
    assert judged(ChatError(kind, "no"), answer()).passed is True
    assert kind in judged(*[ChatError(kind, "no")] * 3).fault.message


def test_half_an_answer_and_calls_of_tools_are_asked_again():
    half = ChatReply(Message("assistant", answer()), "length")
    calling = Message("assistant", answer(), tool_calls=(ToolCall("a", "verdict", "{}"),))
    assert "truncated" in judged(half, half, half).fault.message
    assert "calls tools" in judged(calling, calling, calling).fault.message
    assert judged(half, calling, answer()).passed is True
