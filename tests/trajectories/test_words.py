"""One rule says when a text counts as said, for verifiers and for leaks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajectories.words import stands_in

WORDS = st.from_regex(r"[^\W_]{1,8}( [^\W_]{1,8})?", fullmatch=True)


@given(WORDS, st.sampled_from(["", "It is ", "(", "(say) ", "no, "]), st.sampled_from(["", ".", ", yes", ")", "?", " - "]))
def test_a_text_stands_among_words_and_marks_in_any_case(text: str, before: str, after: str) -> None:
    for said in (text, text.casefold()):
        assert stands_in(text, f"{before}{said}{after}")


@given(WORDS, st.sampled_from(["x", "7", "_", "é", "."]))
def test_a_text_inside_a_word_or_a_number_does_not_stand(text: str, more: str) -> None:
    assert not stands_in(text, f"{more}{text}")
    assert not stands_in(text, f"{text}{more}x")


@given(st.text("ab5. _é", max_size=3), st.text("aAbB5. _éÉ", max_size=12))
def test_it_is_the_search_for_a_pattern_with_the_text_between_word_edges(text: str, content: str) -> None:
    pattern = rf"(?<![\w.]){re.escape(text.casefold())}(?!\w|\.\w)"
    assert stands_in(text, content) is (re.search(pattern, content.casefold()) is not None)


@pytest.mark.parametrize(
    ("text", "content", "stands"),
    [("5", "15", False), ("5", "1.5", False), ("5", "5.5", False), ("5", "It is 5.", True), ("a.b", "axb", False)],
)
def test_numbers_are_not_cut_out_of_others_and_texts_are_no_patterns(text: str, content: str, stands: bool) -> None:
    assert stands_in(text, content) is stands
