"""The ledger decides what is said and whether the user may leave; a pending confirmation forbids it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import worlds
from simulators.tasks import compose
from simulators.users.ledger import decide, decisions
from trajectories.tasks import Fact, Ledger, Persona, Task

PLAIN = compose(worlds.load("order_desk"), 1, run_seed=1, split="train", difficulty=1, families=("ask",))
ORDER = Fact("order_id", "482", ("order id", "number"), "It is 482.")
ITEM = Fact("item", "lamp", ("item",), "It is lamp.")
YES = Fact("confirmation_1", "Yes, go ahead", ("confirm",), "Yes, go ahead.", kind="confirmation")
NO = Fact("confirmation_2", "No, leave it", ("confirm",), "No, leave it as it is.", kind="confirmation")

MESSAGES = (
    "What is the order id?", "And the item?", "Order id and item?", "Do you confirm it?", "Is the sky blue?", "Anything else?",
    "Done.", "", "Really??", "Please confirm.", "Confirm the order id?",
)  # fmt: skip
dialogues = st.lists(st.sampled_from(MESSAGES), max_size=12)


def task_of(*facts: Fact, follow_ups: tuple[str, ...] = (), patience: int = 0) -> Task:
    return replace(PLAIN, persona=Persona(patience=patience), ledger=Ledger("Hi.", facts, "", follow_ups))


def acts(task: Task, *texts: str) -> list[str]:
    return [decision.act for decision in decisions(task, texts)]


def said(task: Task, *texts: str) -> list[tuple[str, ...]]:
    return [decision.texts for decision in decisions(task, texts)]


@given(st.lists(st.one_of(st.sampled_from(MESSAGES), st.text(max_size=20)), max_size=6))
def test_a_user_of_values_alone_answers_what_is_asked_and_leaves_on_anything_else(texts: list[str]):
    task, expected = task_of(ORDER, ITEM), []
    for text in texts:
        facts = [fact for fact in (ORDER, ITEM) if any(re.search(rf"\b{word}\b", text, re.I) for word in fact.keywords)]
        known = tuple(fact.answer for fact in facts) if "?" in text or "？" in text else ()
        expected.append(known)
        if not known:
            break
    assert said(task, *texts) == expected


def test_slips_are_said_first_and_counted_for_each_fact():
    order = replace(ORDER, slips=("It is 428.", "It is 483."))
    task = task_of(order, ITEM)
    assert said(task, "number?", "item?", "number and item?", "number?", "number?") == [
        ("It is 428.",), ("It is lamp.",), ("It is 483.", "It is lamp."), ("It is 482.",), ("It is 482.",),
    ]  # fmt: skip


def test_a_confirmation_is_given_when_asked_for_and_given_again():
    assert acts(task_of(YES), "Do you confirm?", "Do you confirm?", "Done.") == ["confirm", "confirm", "leave"]


@pytest.mark.parametrize("patience", [0, 2])
def test_while_a_confirmation_is_pending_the_user_does_not_leave(patience: int):
    task = task_of(YES, ORDER, patience=patience)
    assert acts(task, *["Is that what you want?"] * 30) == ["not_understood"] * 30
    assert acts(task, *["Alright?"] * 3, "You do confirm?", *["Alright?"] * 3)[3:] == [
        "confirm", *["not_known"] * patience, *([] if patience > 2 else ["leave"]),
    ]  # fmt: skip


def test_a_confirmation_that_nobody_asks_for_keeps_nobody():
    assert acts(task_of(YES), "Sorry, not allowed.") == ["leave"]
    assert acts(task_of(YES), "Sorry, not allowed. Anything else?") == ["leave"]
    assert acts(task_of(YES), "Alright?", "Then I leave it.") == ["not_understood", "leave"]


def test_one_question_gives_one_confirmation():
    task = task_of(YES, ORDER, NO)
    assert said(task, "Confirm?", "Confirm?", "Confirm?") == [(YES.answer,), (NO.answer,), (NO.answer,)]
    assert said(task, "Confirm the number?") == [(YES.answer, ORDER.answer)]
    assert acts(task, "Confirm?", "Alright?") == ["confirm", "not_understood"]


def test_follow_ups_come_when_the_agent_hands_over_and_the_user_leaves_after_the_last():
    task = task_of(ORDER, follow_ups=("One more.", "And one."))
    assert said(task, "Done.", "number?", "Anything else?", "Done.") == [("One more.",), ("It is 482.",), ("And one.",), ()]
    assert acts(task, "Done.", "number?", "Anything else?", "Done.") == ["follow_up", "answer", "follow_up", "leave"]


def test_a_question_without_an_answer_is_borne_as_often_as_patience_says():
    task = task_of(ORDER, follow_ups=("One more.",), patience=2)
    assert acts(task, "Blue?", "number?", "Done.", "Red?", "Green?") == ["not_known", "answer", "follow_up", "not_known", "leave"]
    assert acts(task_of(ORDER), "Blue?") == ["leave"]


@given(st.integers(0, 3), dialogues)
def test_a_dialogue_is_decided_again_the_same_and_holds_the_rules(patience: int, texts: list[str]):
    task = task_of(replace(ORDER, slips=("It is 428.",)), ITEM, YES, follow_ups=("One.", "Two."), patience=patience)
    found = decisions(task, texts)
    assert found == decisions(task, texts)
    for at, decision in enumerate(found):
        assert decision == decide(task, found[:at], texts[at]) and found[:at] == decisions(task, texts[:at])
    assert sum(item.act == "not_known" for item in found) <= patience
    told = [text for item in found if item.act == "follow_up" for text in item.texts]
    assert told == ["One.", "Two."][: len(told)]
    if found and found[-1].act == "leave":
        asked = "?" in texts[len(found) - 1] and texts[len(found) - 1] != "Anything else?"
        assert not asked or any("Yes, go ahead." in item.texts for item in found)
        assert asked or told == ["One.", "Two."]
