"""Every failure has one to blame, from records alone: agent, user, tool or infrastructure; a pass has nobody."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.attribution import Attribution, attribute
from simulators.users import LedgerUser
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import CallRecord, Ending, Fault, Outcome, ToolTrouble
from trajectories.rewards import Reward
from trajectories.tasks import Fact, Gold, GoldCall, Ledger, Persona, Rubric, Task

ORDER = Fact("order_id", "482", ("order id",), "It is 482.", slips=("It is 428.",))
YES = Fact("confirmation_1", "Yes, go ahead", ("confirm",), "Yes, go ahead, please.", kind="confirmation")
NO = replace(YES, slot="confirmation_2", value="No, leave it", answer="No, leave it.")
FAILED = Reward(0.0, cause="missed: state")


def task_of(*facts: Fact, follow_ups: tuple[str, ...] = (), language: str = "en") -> Task:
    gold = Gold(calls=(GoldCall(None, ask="order_id"), GoldCall("get_order", {"order_id": "482"})))
    ledger = Ledger("Cancel my order.", facts, "", follow_ups)
    return Task("t", "order_desk", 1, "train", 1, Persona(language=language), ledger, Rubric(), gold)


def dialogue(*texts: str, ending: Ending = "completed") -> Outcome:
    """Agent and user in turn, after the opening."""
    said = (Message("assistant" if at % 2 == 0 else "user", text) for at, text in enumerate(texts))
    return Outcome(ending, messages=(Message("user", "Cancel my order."), *said))


def struck(name: str, kind: str) -> CallRecord:
    return CallRecord(name, {"order_id": "482"}, True, "{}", ToolTrouble(kind))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("engine", "infrastructure"), ("environment", "infrastructure"), ("judge", "infrastructure"),
        ("infrastructure", "infrastructure"), ("tool", "tool"), ("user", "user"), ("unheard of", "infrastructure"),
    ],
)  # fmt: skip
def test_a_fault_is_its_sources(source: str, expected: str):
    outcome = replace(dialogue("Hm?", ending="fault"), faults=(Fault(source, "it broke"), Fault("user", "then this")))  # type: ignore[arg-type]
    assert attribute(task_of(ORDER), outcome, Reward.invalid("it broke")) == expected


def test_what_broke_without_saying_so_is_infrastructure():
    assert attribute(task_of(), dialogue("Done.", ending="fault"), Reward.invalid("not recorded")) == "infrastructure"
    assert attribute(task_of(), dialogue("Done."), Reward.invalid("environment: contradicts itself")) == "infrastructure"
    assert attribute(task_of(), replace(dialogue("Done."), ending="fault"), Reward(1.0)) == "infrastructure"


def test_a_pass_is_nobodys_and_a_shaped_reward_goes_by_its_verdict():
    task, outcome = task_of(ORDER), dialogue("Which one?")
    assert attribute(task, outcome, Reward(1.0)) is None
    assert attribute(task, outcome, Reward(0.7, components={"pass": 1.0, "length": -0.3})) is None
    assert attribute(task, outcome, Reward(1.0, components={"pass": 0.0})) == "user"
    assert attribute(task, outcome, Reward(0.5, components={"pass": 0.5})) == "user"


def test_a_fault_is_not_a_pass_whatever_the_reward_claims():
    assert attribute(task_of(), replace(dialogue("Done."), faults=(Fault("tool", "x"),)), Reward(1.0)) == "tool"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (struck("get_order", "permanent"), "tool"),
        (struck("find_order", "permanent"), "agent"),
        *[(struck("get_order", kind), "agent") for kind in ("timeout", "transient", "stale", "timeout_after_commit", "slow", "")],
        (CallRecord("get_order", "[1, 2", True, "arguments are not JSON"), "agent"),
    ],
)
def test_only_a_needed_tool_that_was_out_of_service_is_the_tools(call: CallRecord, expected: str):
    assert attribute(task_of(), replace(dialogue("I cannot."), calls=(call,)), FAILED) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("Which one?",), "user"),  # it did not understand the question, and left with the fact
        (("Which one?", "I do not know.", "The one to cancel?"), "user"),
        (("Which one?", "I do not know.", "Sorry, I cannot help."), "agent"),  # it could have asked in other words
        (("Done.",), "agent"),
        (("Done. Anything else?",), "agent"),  # offers more help instead of asking
        (("Order id?", "It is 482.", "And the colour?"), "agent"),  # nothing was held any more
        (("Order id?", "It is 428.", "Not found."), "agent"),  # a slip was said, and nobody asked again
        (("Order id?",), "user"),
        (("Order id?", "Hello there.", "Sorry, no."), "user"),
        (("Order id?", "482, I think", "Sorry, no."), "agent"),  # in other words
        ((), "agent"),
    ],
)
def test_a_user_that_holds_what_it_was_asked_for_is_to_blame(texts: tuple[str, ...], expected: str):
    assert attribute(task_of(ORDER), dialogue(*texts), FAILED) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("Alright?",), "user"),  # left while a confirmation was pending
        (("Do you confirm?",), "user"),
        (("Do you confirm?", "Yes, go ahead.", "Really?"), "user"),  # the other one was pending
        (("Do you confirm?", "Yes, go ahead.", "Done."), "agent"),
        (("Do you confirm?", "Perhaps.", "Done."), "user"),
        (("Sorry, not allowed.",), "agent"),
    ],
)
def test_confirmations_are_held_one_by_one(texts: tuple[str, ...], expected: str):
    assert attribute(task_of(YES, NO), dialogue(*texts), FAILED) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("Done.",), "user"),
        (("Done.", "And another thing.", "Done."), "user"),
        (("Done.", "And another thing.", "Anything else?", "One last wish.", "Done."), "agent"),  # whatever the words are
        (("Is it blue?", "I do not know.", "Done.", "And another thing.", "Red?"), "user"),
    ],
)
def test_a_user_that_leaves_with_wishes_unsaid_is_to_blame(texts: tuple[str, ...], expected: str):
    assert attribute(task_of(follow_ups=("One.", "Two.")), dialogue(*texts), FAILED) == expected


@pytest.mark.parametrize("ending", ["turn_limit", "token_limit", "malformed"])
def test_what_was_cut_off_is_not_the_users_matter(ending: Ending):
    asking = dialogue("Alright?", "I do not see what I am to confirm.", "Alright?", ending=ending)
    assert attribute(task_of(YES, follow_ups=("One.",)), asking, FAILED) == "agent"
    assert attribute(task_of(ORDER), dialogue("Order id?", ending=ending), FAILED) == "agent"


def test_a_question_beside_a_tool_call_is_asked_of_nobody():
    call = Message("assistant", "Order id?", (ToolCall("f:0", "get_order", "{}"),))
    outcome = Outcome("completed", messages=(Message("user", "Hi."), call, Message("tool", "{}"), Message("assistant", "Done.")))
    assert attribute(task_of(ORDER), outcome, FAILED) == "agent"


def test_chinese_dialogues_are_read_by_the_users_language():
    fact = Fact("order_id", "482", ("订单号", "order id"), "是 482。")
    task = task_of(fact, language="zh")
    assert attribute(task, dialogue("请问您的order id是？", "不知道。", "抱歉。"), FAILED) == "user"
    assert attribute(task, dialogue("请问订单号是多少？", "是 482。", "抱歉，还有其他需要吗？"), FAILED) == "agent"
    assert attribute(task, dialogue("您说的是哪一个？"), FAILED) == "user"


TEXTS = st.sampled_from([
    "", "?", "？", "\ud800?", "Order id?", "Do you confirm?", "Done.",
    "Anything else?", "It is 482.", "Yes, go ahead",
])  # fmt: skip
MESSAGES = st.builds(
    Message, st.sampled_from(["system", "user", "assistant", "tool"]), TEXTS,
    st.sampled_from([(), (ToolCall("", "get_order", "not json"),)]),
)  # fmt: skip
CALLS = st.builds(
    CallRecord, st.sampled_from(["get_order", "", "x"]), st.sampled_from(["text", {}]), st.booleans(), TEXTS,
    st.none() | st.builds(ToolTrouble, st.sampled_from(["permanent", "timeout", ""])),
)  # fmt: skip


@given(
    st.lists(MESSAGES, max_size=8), st.lists(CALLS, max_size=3), st.sampled_from(get_args(Ending)), st.booleans(),
    st.sampled_from([(), (ORDER,), (ORDER, YES, NO), (Fact("", "", ("",), ""),)]), st.lists(TEXTS, max_size=2),
)  # fmt: skip
def test_any_outcome_that_failed_has_exactly_one_to_blame(
    messages: list[Message], calls: list[CallRecord], ending: Ending, valid: bool, facts: tuple[Fact, ...], follow_ups: list[str]
):
    task = task_of(*facts, follow_ups=tuple(follow_ups))
    outcome = Outcome(ending, calls=tuple(calls), messages=tuple(messages))
    reward = FAILED if valid else Reward.invalid("broke")
    blamed = attribute(task, outcome, reward)
    assert blamed in get_args(Attribution) and blamed == attribute(task, outcome, reward)
    assert (blamed == "infrastructure") == (not valid or ending == "fault")


@given(st.lists(TEXTS | st.text(max_size=9), min_size=1, max_size=12), st.integers(0, 99), st.sampled_from(["en", "zh"]))
def test_a_ledger_user_is_blamed_only_where_it_ran_out_of_patience(texts: list[str], patience: int, language: str):
    task = task_of(ORDER, YES, NO, follow_ups=("One more.",))
    task = replace(task, persona=Persona(language=language, patience=patience))
    user, said = LedgerUser(task, 0), []
    for text in texts:
        said.append(text)
        if (reply := user.reply(Message("assistant", text))) is None:
            break
        said.append(reply.content)
    outcome = dialogue(*said, ending="completed" if len(said) % 2 else "turn_limit")
    left_on_a_question = outcome.ending == "completed" and ("?" in said[-1] or "？" in said[-1])
    assert attribute(task, outcome, FAILED) == "agent" or (left_on_a_question and patience < len(texts))
