"""A user says what it is asked for and nothing else, the same for the same seed, and leaves when nothing is asked."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import worlds
from simulators.tasks import OracleAgent, compose
from simulators.users import LedgerUser
from simulators.users.ledger import Decision
from simulators.users.voice import LANGUAGES, STYLES, not_known, not_understood
from trajectories.messages import Message
from trajectories.tasks import Fact, Ledger, Persona

WORLD = worlds.load("order_desk")
TASK = compose(WORLD, 1, run_seed=1, split="train", difficulty=1, families=("ask",))
KEY = TASK.ledger.facts[0].value


def says(text: str) -> Message:
    return Message("assistant", text)


def test_the_opening_is_the_ledgers_and_withholds_the_facts():
    assert LedgerUser(TASK, 0).opening() == Message("user", TASK.ledger.opening)
    assert KEY not in TASK.ledger.opening


@pytest.mark.parametrize("text", ["What is the order id?", "Which ORDER?", "your number, please?", "Order: id?"])
def test_a_question_for_a_fact_is_answered(text: str):
    reply = LedgerUser(TASK, 0).reply(says(text))
    assert reply is not None and reply.role == "user" and KEY in reply.content


@pytest.mark.parametrize("text", ["", "Done.", "What is the weather?", "Give me the order id.", "Any borders? Idle?", "\ud800"])
def test_anything_else_ends_the_dialogue(text: str):
    assert LedgerUser(TASK, 0).reply(says(text)) is None


def test_the_oracles_own_question_is_understood():
    question = OracleAgent(TASK).act([Message("system", ""), Message("user", TASK.ledger.opening)])
    assert question.content.endswith("?") and not question.tool_calls
    assert LedgerUser(TASK, 0).reply(question) is not None


def test_only_the_facts_that_were_asked_for_are_said_and_they_are_said_again():
    facts = (Fact("a", "AAA", ("alpha",), "It is AAA."), Fact("b", "BBB", ("beta",), "It is BBB."))
    user = LedgerUser(replace(TASK, ledger=Ledger("Hi.", facts)), 0)
    for _ in range(3):
        reply = user.reply(says("alpha?"))
        assert reply is not None and "AAA" in reply.content and "BBB" not in reply.content
    both = user.reply(says("alpha and beta?"))
    assert both is not None and both.content.endswith("It is AAA. It is BBB.")


@given(st.integers(0, 2**63 - 1), st.sampled_from(["plain", "polite", "terse", "chatty", "unheard of"]))
def test_the_same_seed_gives_the_same_words(seed: int, style: str):
    task = replace(TASK, persona=Persona(style, style))
    asked = [says("order?"), says("the id?"), says("number?")]
    first, second = LedgerUser(task, seed), LedgerUser(task, seed)
    assert [first.reply(message) for message in asked] == [second.reply(message) for message in asked]


@given(st.integers(0, 2**63 - 1), st.sampled_from(STYLES), st.sampled_from(LANGUAGES))
def test_every_voice_says_what_was_decided_and_leads_no_confirmation_in(seed: int, style: str, language: str):
    facts = (
        Fact("a", "482", ("alpha",), "<482>"),
        Fact("yes", "Yes", ("confirm",), "<Yes>", kind="confirmation"),
    )
    task = replace(TASK, persona=Persona(style, style, language, 1), ledger=Ledger("Hi.", facts, "", ("<And this.>",)))
    user = LedgerUser(task, seed)
    heard = [user.reply(says(text)) for text in ("alpha?", "hm?", "confirm?", "hm?", "Done.", "Done.")]
    words = [message.content if message is not None else None for message in heard]
    assert words[0] is not None and words[0].endswith("<482>") and words[2] == "<Yes>" and words[4:] == ["<And this.>", None]
    assert words[1] is not None and ("confirm" if language == "en" else "确认") in words[1]
    assert words[3] and words[3] != words[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_not_knowing_and_not_understanding_have_several_wordings(language: str):
    for speak in (not_known, not_understood):
        assert len({speak(random.Random(seed), language) for seed in range(40)}) >= 3


def test_a_language_that_nobody_speaks_is_refused():
    with pytest.raises(ValueError, match="persona.language: nobody speaks 'xx'; there are: en, zh"):
        LedgerUser(replace(TASK, persona=Persona(language="xx")), 0)


def test_another_voice_words_the_same_decisions():
    def shout(decision: Decision, persona: Persona, rng: random.Random) -> str:
        return f"{decision.act}: {' '.join(decision.texts).upper()}"

    user = LedgerUser(TASK, 0, shout)
    reply = user.reply(says("order id?"))
    assert reply is not None and reply.content == f"answer: {TASK.ledger.facts[0].answer.upper()}"
    assert user.reply(says("Done.")) is None


def test_a_dialogue_in_chinese():
    facts = (Fact("order_id", "482", ("订单号", "编号", "order id"), "是 482。", slips=("是 428。",)),)
    task = replace(TASK, persona=Persona("plain_zh", "plain", "zh", 1), ledger=Ledger("请取消我的订单。", facts))
    user = LedgerUser(task, 0)
    asked = ("请问订单号是多少？", "没有找到。您的order id是？", "什么颜色?", "办好了，还有其他需要吗？")
    heard = [user.reply(says(text)) for text in asked]
    assert [message and message.content for message in heard[:2]] == ["是 428。", "是 482。"]
    assert heard[2] is not None and heard[3] is None
