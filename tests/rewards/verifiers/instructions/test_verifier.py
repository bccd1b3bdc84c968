"""The verdict as a whole: validity, turns, and that no text makes it raise."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers.instructions import InstructionsVerifier
from rewards.verifiers.instructions.reading import read
from rewards.verifiers.instructions.verifier import CHECKS
from tests.rewards.verifiers.instructions.cases import CHINESE, ENGLISH, GOOD, said, task_of
from trajectories.outcomes import Fault, Outcome

VERIFIER = InstructionsVerifier()
PIECES = st.sampled_from(
    [
        "- ",
        "1. ",
        "| a | b |\n",
        "| - | - |\n",
        "## x\n",
        "**",
        "```\n",
        '{"a": 1}',
        "\n\n",
        "“",
        "[x]",
        "P.S.",
        "40 metres",
        "灯塔。",
        "<!--",
        "\ud800",
        "&#1;",
    ]
)
ASKED: dict[str, dict[str, Any]] = {
    "paragraphs": {"n": 1, "mark": ""},
    "bullets": {"n": 1, "mark": "-"},
    "numbered": {"n": 1},
    "sections": {"titles": ["x"], "mark": "##"},
    "table": {"rows": 1, "columns": ["a", "b"]},
    "json": {"schema": {"type": "object"}},
    "key_order": {"order": "ascending"},
    "fence": {"tag": "text"},
    "title": {"open": "«", "close": "»"},
    "highlights": {"n": 1},
    "placeholders": {"n": 1},
    "postscript": {"mark": "P.S."},
    "without": {"what": "highlights"},
    "words": {"least": 1, "most": None},
    "sentences": {"least": 1, "most": 1},
    "characters": {"least": None, "most": 9},
    "longest_sentence": {"most": 9},
    "item_words": {"least": 1, "most": 9},
    "paragraph_sentences": {"n": 1, "mark": ""},
    "include": {"words": ["a"]},
    "exclude": {"words": ["a"]},
    "frequency": {"word": "a", "n": 1},
    "letter": {"letter": "a", "n": 1},
    "order": {"words": ["a", "b"]},
    "nth_sentence": {"word": "a", "n": 1},
    "begins": {"text": "a"},
    "ends": {"text": "a."},
    "first_word": {"word": "a"},
    "last_word": {"word": "a"},
    "repeat": {"text": "a"},
    "paragraph_start": {"nth": 1, "mark": "", "text": "a"},
    "acrostic": {"word": "ab"},
    "sorted": {"by": "alphabet", "order": "ascending"},
    "casing": {"case": "upper"},
    "punctuation": {"marks": ["."]},
    "language": {"language": "en"},
}


def test_a_fault_is_no_verdict_and_an_unfinished_episode_is_a_failure() -> None:
    outcome = said(GOOD)
    assert not VERIFIER.verify(task_of(ENGLISH), replace(outcome, faults=(Fault("user", "broke"),))).valid
    assert VERIFIER.verify(task_of(ENGLISH), replace(outcome, ending="token_limit")).value == 0.0
    assert VERIFIER.verify(task_of(ENGLISH), Outcome("completed")).value == 0.0


def test_a_broken_key_is_no_verdict() -> None:
    reward = VERIFIER.verify(task_of({"language": "en", "request": "", "turns": [{}]}), said(GOOD))
    assert not reward.valid and "instructions/1" in str(reward.cause)


def test_each_turn_is_judged_by_what_held_then() -> None:
    second = dict(ENGLISH["turns"][0], constraints=[{"kind": "casing", "case": "upper"}])
    key = ENGLISH | {"turns": [ENGLISH["turns"][0], second]}
    assert VERIFIER.verify(task_of(key), said(GOOD, GOOD.upper())).value == 1.0
    assert VERIFIER.verify(task_of(key), said(GOOD, GOOD)).value == 0.0
    assert VERIFIER.verify(task_of(key), said("OK.", GOOD.upper())).value == 0.0
    assert VERIFIER.verify(task_of(key), said(GOOD.upper())).components["turns"] == 0.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=12).map("".join), st.sampled_from([ENGLISH, CHINESE]))
def test_no_text_makes_it_raise(text: str, key: dict[str, Any]) -> None:
    reward = VERIFIER.verify(task_of(key), said(text))
    assert reward.valid and reward.value in (0.0, 1.0)
    assert reward == VERIFIER.verify(task_of(key), said(text))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), min_size=1, max_size=10).map("".join), st.sampled_from(["en", "zh"]))
def test_every_kind_answers_for_any_text(text: str, language: str) -> None:
    reply = read(text, language)
    for kind, check in CHECKS.items():
        assert check(reply, ASKED.get(kind, {})) in (True, False), kind


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("bullets", "- one", "* one"),
        ("bullets", "text\n- one", "- one\n1. two"),
        ("numbered", "1. one", "2. one"),
        ("sections", "## x\ntext", "text\n## x\ntext"),
        ("sections", "## x\ntext", "## x\n"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 |  |"),
        ("table", "| a | b |\n| :-- | --: |\n| 1 | 2 |", "| a | b |\n| 1 | 2 |\n| 1 | 2 |"),
        ("table", "a | b\n\n|a|b|  \n|-|-|  \n|1|2|  ", "|a|b|\n|-|-|\n|1|2|3|"),
        ("fence", "```text\nx\n```", "```\nx\n```"),
        ("fence", "```text\nx\n```", "```text\nx\n```\nmore"),
        ("title", "«T»\ntext", "«T» text"),
        ("quoted", '"some text"', '"some" "text"'),
        ("highlights", "one **two** three", "**one** **two**"),
        ("highlights", "one **two** three", "one **two"),
        ("placeholders", "on [date]", "on [date] and [date]"),
        ("postscript", "a\n\nP.S. one two three", "a\n\nb P.S. one two three"),
        ("without", "plain", "**bold**"),
        ("sentences", "one", "One. Two."),
        ("frequency", "a cat", "a cat, a dog"),
        ("frequency", "A cat", "at"),
        ("letter", "bAd", "banana"),
        ("order", "a b a", "b a"),
        ("nth_sentence", "a b. c", "a b. a"),
        ("begins", "a b", "an b"),
        ("ends", "b a.", "b a. c"),
        ("last_word", "b a!", "a b"),
        ("repeat", "a\nb", "b\na"),
        ("acrostic", "apple\nBox", "apple\nBox\ncat"),
        ("sorted", "- ant\n- bee", "- bee\n- ant"),
        ("casing", "ABC 1", "ABc"),
        ("punctuation", "a. b.", "a, b."),
        ("no_commas", "a b", "a, b"),
        ("distinct_starts", "A b. C d.", "A b. a d."),
        ("paragraph_sentences", "One.\n\nTwo.", "One. And.\n\nTwo."),
        ("item_words", "- a b", "text"),
        ("longest_sentence", "a b", "a " * 10),
    ],
)
def test_a_check_tells_right_from_wrong(kind: str, right: str, wrong: str) -> None:
    assert CHECKS[kind](read(right, "en"), ASKED.get(kind, {}))
    assert not CHECKS[kind](read(wrong, "en"), ASKED.get(kind, {}))


SLOW = [
    "_" * 19_000 + "b",
    "a" + "_" * 19_000 + "b",
    "# a" + " " * 19_000 + "b",
    "!" * 19_000 + "字",
    "Mr. " * 4_900,
    "| " * 9_900 + "x",
    "<a " * 6_000,
    "this text has " * 1_400,
    "**" * 9_900,
    "[" * 19_000,
    "1. " * 6_000,
    "\n \n" * 6_000,
    "40 metres " * 1_900,
    '{"a": "' + "x" * 19_000 + '"}',
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", SLOW, ids=range(len(SLOW)))
def test_the_longest_replies_that_are_read_take_no_time_to_speak_of(text: str) -> None:
    assert VERIFIER.verify(task_of(CHINESE), said(text)).value == 0.0
    reply = read(text, "en")
    for kind, check in CHECKS.items():
        check(reply, ASKED.get(kind, {}))
