"""No filter has anything against a good dialogue, and each finds what was planted in one."""

import json
import random
import re
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.filters import FILTERS, FilterConfig, rule_verdicts
from tests.rewards.filters.dialogues import oracle_rows, with_reply
from trajectories.codec import from_row, to_row
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.trajectory import Trajectory

TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


def found(trajectory: Trajectory, task=None, **settings) -> list[str]:
    return [verdict.criterion for verdict in rule_verdicts(trajectory, task, FilterConfig(**settings))]


def rows() -> st.SearchStrategy:
    return st.integers(0, 99).map(lambda index: oracle_rows()[index])


def dialogue(*said: str, language: str = "en", tools: tuple[ToolSpec, ...] = (), told: str = "") -> Trajectory:
    """A user, perhaps a tool's answer, and the assistant's words."""
    messages = [
        Message("system", "You work at a desk."),
        Message("user", "订单怎么样了？" if language == "zh" else "And my order?"),
    ]
    if told:
        call = ToolCall("functions.get_order:0", "get_order", '{"order_id":"204"}')
        messages += [Message("assistant", tool_calls=(call,)), Message("tool", told, tool_call_id=call.id, name="get_order")]
        tools = tools or (ToolSpec("get_order"),)
    messages += [Message("assistant", text) for text in said]
    return Trajectory("row", "task", messages=tuple(messages), tools=tools, metadata={"language": language})


def test_good_dialogues_of_every_family_persona_and_trouble_are_clean():
    seen = {(task.persona.language, tag) for task, _ in oracle_rows() for tag in task.tags}
    assert {(language, family) for language in ("en", "zh") for family in ("act", "refuse", "lookup", "ask", "confirm")} <= seen
    assert any(call.trouble for _, trajectory in oracle_rows() for call in trajectory.outcome.calls)
    for task, trajectory in oracle_rows():
        assert rule_verdicts(trajectory, task) == ()
        assert rule_verdicts(from_row(Trajectory, to_row(trajectory))) == ()


HONEST = {
    "en": [
        "Your order 204 is cancelled. The refund of 1,200.00 EUR takes three to five days; thank you for your patience.",
        "I'm sorry, but I can't change an order that is sent. I'd like to think that a return would help you: shall I open one?",
        "Wait times are long today. Please wait, but do not close this window while I look it up.",
        "I have reason to believe that the ticket is in audit; the user manual says how long that takes.",
        "I used your order number to find it. If I called cancel_order now, it could not be undone. Do you confirm?",
        "I have not called close_account: first, do you confirm that I should close account 482?",
        "The loan of “Lord of the Rings” is late, so it can't be renewed.\n\n- Member: 王伟\n\nObservation: none.",
        "Here is what I found:\n| order | status |\n| --- | --- |\n| 204 | **sent** |\n<b>Anything else?</b>",
    ],
    "zh": [
        "您的订单 204 已经取消，退款 1,200.00 EUR 会在三到五天内到账，感谢您的耐心等待。",
        "抱歉，order 204 的 status 是 sent，已寄出的订单不能更改。请问您要不要办理退货？",
        "等一下，我帮您查询一下。请让我先确认您的身份。",
        "用户手册里有说明，用户问题一般在两天内答复，用户要求的时间我们会尽量满足。",
        "查到了，是 Lord of the Rings。",
        "这张工单的主题是“login does not work after the update”，已经转给 Yara。",
        "还没有成功调用 cancel_order，如果调用了 cancel_order 就无法撤销，您确认吗？",
        "好的，请告诉我您的 order id 是多少？",
    ],
}


@pytest.mark.parametrize("language", HONEST)
def test_honest_prose_that_looks_suspicious_is_clean(language: str):
    told = '{"item":"desk","status":"sent","book":"Lord of the Rings","name":"王伟","topic":"login","agent":"Yara"}'
    tools = (ToolSpec("get_order"), ToolSpec("cancel_order"), ToolSpec("close_account"))
    for text in HONEST[language]:
        assert rule_verdicts(dialogue(text, language=language, tools=tools, told=told)) == ()


LEAKS = [
    "<think>The order is new.</think>Done.",
    "</think>\n\nDone.",
    "◁think▷hm◁/think▷Done.",
    "Done.<|im_end|>",
    "<|tool_calls_section_begin|>",
    "<｜Assistant｜>Done.",
    "[INST] Done.",
    "<tool_call>{}</tool_call>",
    "<function=get_order>",
    "See functions.get_order:0 for that.",
    'I do {"name": "get_order", "arguments": {"order_id": "204"}}',
    "Okay, so the user wants to cancel an order. Done.",
    "Let me think step by step. Done.",
    "Hmm, that is odd. Done.",
    "Done. Wait, actually it is not.",
    "Thought: I look it up.\nAction: get_order",
    "让我想一想，订单 204 是新的。已经办好了。",
    "用户想要取消订单，我先查询。",
    "好的，用户要求取消订单。已经办好了。",
    "思考过程：先查询。",
    "嗯，用户说订单号是 204。",
    "<thinking>\n",
    "<scratchpad>x</scratchpad>",
    "Let's think about it.",
    "First, the user is asking for order 204.",
]


@given(rows(), st.sampled_from(LEAKS), st.booleans())
def test_thoughts_and_markup_in_what_the_user_reads_are_found(row, leak, appended):
    _, trajectory = row
    last = trajectory.messages[-1].content
    assert "leaked_reasoning" in found(with_reply(trajectory, f"{last}\n{leak}" if appended else leak))


def test_reasoning_where_it_belongs_is_no_leak():
    _, trajectory = oracle_rows()[0]
    last = replace(trajectory.messages[-1], reasoning_content="Okay, so the user wants <think>this</think>.")
    assert found(replace(trajectory, messages=(*trajectory.messages[:-1], last))) == []


@given(rows(), st.data())
def test_the_system_prompt_told_to_the_user_is_found(row, data):
    _, trajectory = row
    words = re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+", trajectory.messages[0].content)
    start = data.draw(st.integers(0, len(words) - 20))
    told, fewer = (", ".join(words[start : start + count]).upper() for count in (20, 19))
    assert "leaked_reasoning" in found(with_reply(trajectory, f"I was told: {told}"), max_prompt_words=19)
    assert "leaked_reasoning" not in found(with_reply(trajectory, fewer), max_prompt_words=19)


def edited(trajectory: Trajectory, rng: random.Random, change) -> Trajectory:
    """The dialogue with one of its calls changed, id and place kept."""
    places = [at for at, message in enumerate(trajectory.messages) if message.tool_calls]
    at = rng.choice(places)
    message = trajectory.messages[at]
    calls = (change(message.tool_calls[0]), *message.tool_calls[1:])
    return replace(
        trajectory, messages=(*trajectory.messages[:at], replace(message, tool_calls=calls), *trajectory.messages[at + 1 :])
    )


@given(
    rows(), st.randoms(use_true_random=False), st.sampled_from(["get_orders", "", "functions.get_order", "GET_ORDER", "\ud800"])
)
def test_a_call_of_a_tool_that_was_not_declared_is_found(row, rng, name):
    assert "hallucinated_tool" in found(edited(row[1], rng, lambda call: replace(call, name=name)))


def with_another_type(call: ToolCall) -> ToolCall:
    arguments = json.loads(call.arguments)
    return replace(call, arguments=json.dumps({**arguments, next(iter(arguments)): {}}))


BROKEN = [
    lambda call: replace(call, arguments=call.arguments[:-1]),
    lambda call: replace(call, arguments=f"[{call.arguments}]"),
    lambda call: replace(call, arguments=""),
    lambda call: replace(call, arguments=call.arguments[:-1] + ',"surplus":1}'),
    lambda call: replace(call, arguments=call.arguments[:-1] + ',"surplus":NaN}'),
    lambda call: replace(call, arguments='{"a":"\\ud800"}'),
    lambda call: replace(call, arguments="[" * 5_000),
    lambda call: replace(call, arguments='{"a":' + "9" * 10_000 + "}"),
    with_another_type,
]


@given(rows(), st.randoms(use_true_random=False), st.sampled_from(BROKEN))
def test_arguments_that_do_not_fit_the_schema_are_found(row, rng, breaking):
    assert "invalid_arguments" in found(edited(row[1], rng, breaking))


def test_a_declared_schema_that_is_none_is_named_and_not_the_policys_fault():
    trajectory = dialogue("Done.", told="{}", tools=(ToolSpec("get_order", inputSchema={"type": "objekt"}),))
    with pytest.raises(ValueError, match="tool get_order: inputSchema is no JSON Schema"):
        rule_verdicts(trajectory)


def _duplicated(messages, at):
    """A call with the id of the one before."""
    before = next(m.tool_calls[0].id for m in messages if m.tool_calls)
    later = [i for i, m in enumerate(messages) if m.tool_calls][1:]
    if not later:
        return None
    at = later[-1]
    call = replace(messages[at].tool_calls[0], id=before)
    answer = replace(messages[at + 1], tool_call_id=before)
    return (*messages[:at], replace(messages[at], tool_calls=(call,)), answer, *messages[at + 2 :])


IDS = {
    "unanswered": lambda messages, at: (*messages[:at], *messages[at + 1 :]),
    "answered twice": lambda messages, at: (*messages[: at + 1], messages[at], *messages[at + 1 :]),
    "answers nobody": lambda messages, at: (*messages[:at], replace(messages[at], tool_call_id="x"), *messages[at + 1 :]),
    "no id": lambda messages, at: (*messages[:at], replace(messages[at], tool_call_id=None), *messages[at + 1 :]),
    "another tool's name": lambda messages, at: (*messages[:at], replace(messages[at], name="x"), *messages[at + 1 :]),
    "before the call": lambda messages, at: (*messages[: at - 1], messages[at], messages[at - 1], *messages[at + 1 :]),
    "cut off": lambda messages, at: messages[:at],
    "duplicated": _duplicated,
}


@given(rows(), st.sampled_from(sorted(IDS)), st.data())
def test_calls_and_answers_that_do_not_belong_together_are_found(row, kind, data):
    messages = row[1].messages
    at = data.draw(st.sampled_from([place for place, message in enumerate(messages) if message.role == "tool"]))
    planted = IDS[kind](messages, at)
    if planted is not None:
        assert "wrong_call_id" in found(replace(row[1], messages=planted))


def test_answers_to_parallel_calls_come_in_their_order():
    calls = tuple(ToolCall(f"c{index}", "get_order", "{}") for index in range(3))
    answers = [Message("tool", "{}", tool_call_id=call.id) for call in calls]
    start, end = dialogue().messages, Message("assistant", "Done.")
    ordered = replace(dialogue(), tools=(ToolSpec("get_order"),))
    asked = Message("assistant", tool_calls=calls)
    assert found(replace(ordered, messages=(*start, asked, *answers, end)), max_repeats=3) == []
    assert found(replace(ordered, messages=(*start, asked, answers[1], answers[0], answers[2], end))) == ["wrong_call_id"]


@given(rows(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_same_call_beyond_the_limit_is_found(row, limit, rng):
    _, trajectory = row
    places = [
        at for at, message in enumerate(trajectory.messages)
        if len(message.tool_calls) == 1 and trajectory.messages[at].tool_calls[0].name.startswith(("get", "find"))
    ]  # fmt: skip
    if not places:
        return
    at = rng.choice(places)
    call, answer = trajectory.messages[at].tool_calls[0], trajectory.messages[at + 1]
    arguments = json.dumps(json.loads(call.arguments), indent=1)  # other text, same call

    def again(times: int) -> Trajectory:
        more = []
        for number in range(times):
            repeated = ToolCall(f"again:{number}", call.name, arguments)
            more += [Message("assistant", tool_calls=(repeated,)), replace(answer, tool_call_id=repeated.id)]
        messages = (*trajectory.messages[: at + 2], *more, *trajectory.messages[at + 2 :])
        return replace(trajectory, messages=messages, outcome=None)

    alone = replace(trajectory, outcome=None)
    if "repeated_call" not in found(alone, max_repeats=limit):  # without an outcome nobody knows of troubles
        assert found(again(limit + 1), max_repeats=limit) == ["repeated_call"]


def repeated(*acts: tuple[str, str] | str) -> Trajectory:
    """Calls of one argument with their answers, and words of the user."""
    messages = list(dialogue().messages)
    for act in acts:
        if isinstance(act, str):
            messages.append(Message("user", act))
        else:
            call = ToolCall(f"c{len(messages)}", act[0], "{}")
            messages += [Message("assistant", tool_calls=(call,)), Message("tool", act[1], tool_call_id=call.id)]
    tools = (ToolSpec("read", annotations={"readOnlyHint": True}), ToolSpec("write"))
    return replace(dialogue(), messages=tuple(messages), tools=tools)


def test_what_changes_in_between_makes_a_call_another_one():
    read, write, failed = ("read", "{}"), ("write", "{}"), ("write", '{"error":"no"}')
    assert found(repeated(read, read), max_repeats=0) == ["repeated_call"]
    assert found(repeated(read, write, read), max_repeats=0) == []
    assert found(repeated(read, "And now?", read), max_repeats=0) == []
    assert found(repeated(read, ("read", "{ }"), read), max_repeats=0) == []
    assert found(repeated(read, failed, read), max_repeats=0) == ["repeated_call"]
    assert found(repeated(write, write), max_repeats=0) == ["repeated_call"]
    assert found(repeated(failed, ("other", '{"error":"no"}'), failed), max_repeats=0, hallucinated_tool=False) == [
        "repeated_call"
    ]


@given(rows(), st.integers(1, 40), st.sampled_from(["word ", "字", "wörd, "]))
def test_a_turn_beyond_the_limit_of_words_or_characters_is_found(row, most, unit):
    _, trajectory = row
    only = {"wrong_language": False}
    long, limit = with_reply(trajectory, unit * (most + 1)), with_reply(trajectory, unit * most)
    assert "long_turn" in found(long, max_words=most, **only)
    alone = replace(limit, messages=limit.messages[-1:])
    assert found(alone, max_words=most, **only) == []
    assert "long_turn" in found(long, max_characters=len(unit) * most, **only)


OTHERS = {
    "zh": [
        "Done.",
        "It is not done.",
        "Sorry, not allowed.",
        "Your order has been cancelled, is there anything else?",
        "Готово, заказ отменён.",
        "好的。Your order was cancelled and the refund will arrive within a few days.",
        "What is the order id?",
        "Se ha cancelado el pedido.",
    ],
    "en": [
        "已经办好了。",
        "抱歉，按规定不能办理。",
        "订单 204 已经取消。",
        "OK，已经帮您取消了。",
        "Готово, заказ отменён.",
        "完了しました。",
        "주문이 취소되었습니다.",
    ],
}


@given(rows(), st.integers(0, 10))
def test_words_in_another_language_are_found(row, index):
    task, trajectory = row
    words = OTHERS[task.persona.language]
    assert "wrong_language" in found(with_reply(trajectory, words[index % len(words)]))
    asked_of_the_task = replace(with_reply(trajectory, words[index % len(words)]), metadata={})
    assert "wrong_language" in found(asked_of_the_task, task) and found(asked_of_the_task) == []


def test_a_tool_that_answers_in_sentences_excuses_what_is_quoted_whole_and_nothing_else():
    told = '{"status":"done","note":"it is the order of the month and you can cancel your order here"}'
    assert found(dialogue("查到了，备注是 it is the order of the month。", language="zh", told=told)) == []
    assert found(dialogue("Done.", language="zh", told=told)) == ["wrong_language"]
    assert found(dialogue("It is done: you can cancel the month of your order.", language="zh", told=told)) == ["wrong_language"]
    assert found(dialogue("The customer is 王伟.", told='{"name":"王伟"}')) == []


@given(rows(), st.sampled_from(["", " ", "\n\t", "\u200b\u200d\ufeff", "\u3000"]), st.booleans())
def test_a_turn_without_words_and_calls_is_found(row, text, thinks):
    last = Message("assistant", text, reasoning_content="I am done." if thinks else None)
    assert found(replace(row[1], messages=(*row[1].messages[:-1], last))) == ["empty_turn"]


CLAIMS = [
    "I called {}.", "I have already called the tool `{}` for you.", "We've used {} to do that.", "I just ran {}, done.",
    "我已调用 {}。", "已经为您成功调用了 {} 工具。", "刚刚执行了{}，请放心。", "我调用了函数“{}”。",
]  # fmt: skip


@given(rows(), st.sampled_from(CLAIMS), st.data())
def test_a_call_that_is_claimed_and_was_not_made_is_found(row, claim, data):
    _, trajectory = row
    called = {call.name for message in trajectory.messages for call in message.tool_calls}
    name = data.draw(st.sampled_from(["send_mail", *(tool.name for tool in trajectory.tools)]))
    assert ("claimed_call" in found(with_reply(trajectory, claim.format(name)))) is (name not in called)


ONE_OF_EACH = {
    "leaked_reasoning": dialogue("<think>"),
    "hallucinated_tool": dialogue("Done.", told="{}", tools=(ToolSpec("other"),)),
    "invalid_arguments": dialogue("Done.", told="{}", tools=(ToolSpec("get_order", inputSchema={"required": ["x"]}),)),
    "wrong_call_id": replace(dialogue(), messages=(*dialogue().messages, Message("tool", "{}", tool_call_id="x"))),
    "repeated_call": repeated(*[("read", "{}")] * 9),
    "long_turn": dialogue("word " * 401),
    "wrong_language": dialogue("已经办好了。"),
    "empty_turn": dialogue(""),
    "claimed_call": dialogue("I called send_mail."),
}


def test_every_filter_can_be_switched_off_by_its_name():
    assert set(ONE_OF_EACH) == set(FILTERS) <= {field.name for field in fields(FilterConfig)}
    for name, trajectory in ONE_OF_EACH.items():
        assert found(trajectory) == [name]
        assert found(trajectory, **{name: False}) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("max_words", 0), ("max_characters", -1), ("max_repeats", -1), ("max_foreign_share", 1.5), ("max_prompt_words", 0)],
)
def test_a_limit_that_makes_no_sense_is_refused_by_its_key(key, value):
    with pytest.raises(ValueError, match=rf"^{key}: "):
        FilterConfig(**{key: value})


@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), TEXT, TEXT, TEXT), max_size=8),
    st.sampled_from(["en", "zh"]),
)
def test_whatever_stands_in_a_dialogue_the_verdicts_can_be_stored(turns, language):
    messages = tuple(
        Message(role, text, (ToolCall(name, name, arguments),) if role == "assistant" and arguments else (), tool_call_id=name)
        for role, text, name, arguments in turns
    )
    trajectory = Trajectory("t", "t", messages=messages, tools=(ToolSpec("read"),), metadata={"language": language})
    verdicts = rule_verdicts(trajectory, None, FilterConfig(max_words=5, max_repeats=0))
    for verdict in verdicts:
        assert (verdict.judge, verdict.verdict) == ("rules", "fail") and verdict.reasons
        assert len(verdict.evidence.encode()) <= 800 and len(verdict.reasons) <= 200
    judged = replace(trajectory, verdicts=verdicts)
    assert from_row(Trajectory, to_row(judged)).verdicts == verdicts
