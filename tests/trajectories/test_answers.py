"""The answer line: one, the last, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajectories.answers import ASK, answer_of, final_reply
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import Outcome


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 5", "5"),
        ("It is five.\n\nanswer:   5  \n\n", "5"),
        ("**Answer:** 5", "5"),
        ("**Answer: 5**", "5"),
        ("> Answer: 5", "5"),
        ("- Answer: 5", "5"),
        ("- **Answer:** -5", "-5"),
        ("### Answer: 5", "5"),
        ("Answer：5", "5"),
        ("Answer: *5*", "*5*"),
        ("思考\n答案：四十二", "四十二"),
        ("答案: 四十二", "四十二"),
        ("Answer: cafe\u0301", "café"),
        ("Answer: 5\nI hope that helps.", None),
        ("Answer: 4\nAnswer: 5", None),
        ("Answer: 4\n答案：5", None),
        ("The answer: 5", None),
        ("Answer:", None),
        ("Answer: " + "5" * 3_000, None),
        ("", None),
        ("\n \n", None),
    ],
)
def test_the_line_is_read(text: str, answer: str | None) -> None:
    assert answer_of(text) == answer


@given(st.text())
def test_any_text_is_read_or_not(text: str) -> None:
    answer = answer_of(text)
    assert answer is None or answer == answer.strip() != ""


def test_every_language_asks_for_a_mark_that_is_read() -> None:
    assert answer_of("Answer: 5") == answer_of("答案：5") == "5"
    assert "`Answer: " in ASK["en"] and "答案：" in ASK["zh"]


def test_only_words_at_the_end_of_a_whole_episode_are_a_reply() -> None:
    said, asked = Message("assistant", "Answer: 5"), Message("user", "?")
    assert final_reply(Outcome("completed", messages=(asked, said))) == "Answer: 5"
    assert final_reply(Outcome("turn_limit", messages=(asked, said))) == ""
    assert final_reply(Outcome("completed", messages=(asked,))) == final_reply(Outcome("completed")) == ""
    calling = Message("assistant", "Answer: 5", (ToolCall("a", "x", "{}"),))
    assert final_reply(Outcome("completed", messages=(asked, calling))) == ""
