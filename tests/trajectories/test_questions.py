"""A question needs a question mark and a keyword; an offer of more help asks for nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajectories.questions import asked_for, hands_over, is_question
from trajectories.tasks import Fact

ORDER = Fact("order_id", "482", ("order", "order id", "id"), "It is 482.")
MENU = Fact("menu", "7", ("菜单", "number"), "是 7。")
FACTS = (ORDER, MENU)


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("Which order?", "en", (0,)),
        ("Which ORDER? And the NUMBER?", "en", (0, 1)),
        ("Which order？", "en", (0,)),
        ("Which order.", "en", ()),
        ("Any borders? Idle?", "en", ()),
        ("您的order是哪个？", "en", ()),
        ("您的order是哪个？", "zh", (0,)),
        ("请给我看菜单好吗？", "zh", (1,)),
        ("请给我看菜单。", "zh", ()),
        ("我的borders？", "zh", ()),
        ("", "zh", ()),
        ("\ud800?", "zh", ()),
    ],
)
def test_a_fact_is_asked_for_by_a_question_with_its_keyword(text: str, language: str, found: tuple[int, ...]):
    assert asked_for(text, FACTS, language) == found


def test_keywords_are_text_and_not_patterns():
    odd = Fact("odd", "1", (".*", "(", "a|b"), "It is 1.")
    assert asked_for("What is the price?", (odd, Fact("mute", "1", (), "")), "en") == ()
    assert asked_for("Is it a|b?", (odd,), "en") == (0,) and asked_for("Is it b?", (odd,), "zh") == ()


@pytest.mark.parametrize(
    "text",
    [
        "Done.", "", "Done. Is there anything else?", "Anything more I can do?", "Will that be all?",
        "What else can I do for you?", "Do you need further assistance?",
        "办好了。还有什么可以帮您的吗？", "还有其他需要吗？", "您还需要其他帮助吗？", "请问别的问题有吗？",
    ],
)  # fmt: skip
def test_statements_and_offers_hand_over(text: str):
    assert hands_over(text)


@pytest.mark.parametrize("text", ["What do you mean?", "Is it blue?", "Where else was it?", "您说的是什么？", "它还有货吗？"])
def test_other_questions_do_not(text: str):
    assert is_question(text) and not hands_over(text)


@given(st.text(), st.sampled_from(["en", "zh", "xx"]))
def test_any_text_is_read_without_error_and_only_questions_ask(text: str, language: str):
    assert not asked_for(text, FACTS, language) or is_question(text)
    assert hands_over(text) or is_question(text)
