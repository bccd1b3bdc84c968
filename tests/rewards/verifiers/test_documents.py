"""A right answer with the places it rests on passes in every harmless form; nothing else does, however it is dressed."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers.documents import DocumentsVerifier, place_of
from trajectories.messages import Message
from trajectories.outcomes import CallRecord, Fault, Outcome
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task

VERIFY = DocumentsVerifier().verify
PDF, SHEET, LINE, IMAGE = "contract_CT-204.pdf#page=2", "staff.xlsx#People!F5", "minutes.txt#line=7", "receipt_R-1.png#text"
AMOUNT = {
    "answer": {"kind": "number", "value": "1234.50", "unit": "amount"},
    "needed": [[PDF, "contract_CT-204.pdf#page=4"], [SHEET], [LINE], [IMAGE]],
    "allowed": [PDF, "staff.xlsx#People!A5:F5", "staff.xlsx#People!A1:F1", "amendment.docx#page=1"],
    "read": [],
}
MISSING = {"answer": {"kind": "missing"}, "needed": [], "allowed": [], "read": [{"file": "contract_CT-204.pdf", "pages": 4}]}
LETTERS = {**AMOUNT, "answer": {"kind": "letters", "value": "B, A, D, C"}}
ALL = f"{PDF}; {SHEET}; {LINE}; {IMAGE}"


def call(tool: str, content: str = "{}", *, is_error: bool = False, **arguments: Any) -> CallRecord:
    return CallRecord(tool, arguments, is_error, content)


CALLS = (
    call("read_pages", file="contract_CT-204.pdf", first=1, last=4),
    call("read_range", file="staff.xlsx", sheet="People", cells="A1:F9"),
    call("read_text", file="minutes.txt", first_line=1, last_line=12),
    call("read_image_text", file="receipt_R-1.png"),
    call("read_pages", file="amendment.docx", first=1, last=1),
    call("read_pages", file="handbook.docx", first=1, last=2),
)


def task(key: dict[str, Any]) -> Task:
    ledger = Ledger("How much?")
    return Task("t", "documents", 0, "train", 1, Persona(), ledger, Rubric(), Gold(), domain="documents", key=key)


def score(reply: str, key: dict[str, Any] = AMOUNT, calls: tuple[CallRecord, ...] = CALLS) -> float:
    messages = (Message("user", "How much?"), Message("assistant", reply))
    reward = VERIFY(task(key), Outcome("completed", calls=calls, messages=messages))
    assert reward.valid, reward.cause
    assert reward.value is not None
    return reward.value


@pytest.mark.parametrize(
    "answer",
    [
        "1234.50",
        "1,234.50",
        "1234.5",
        "1234.500",
        " 1234.50 ",
        "1234.50.",
        "**1234.50**",
        "`1,234.50`",
        "1234.50 EUR",
        "EUR 1,234.50",
        "€1234.50",
        "1,234.50 euros.",
        "1234.50元",
        "1,234.50 元。",
        "+1234.50",
        '"1234.50"',
    ],
)
def test_harmless_forms_of_the_answer_pass(answer: str) -> None:
    assert score(f"I added them up.\n\nSources: {ALL}\nAnswer: {answer}") == 1.0
    assert score(f"来源：{ALL}\n答案：{answer}") == 1.0


@pytest.mark.parametrize(
    "sources",
    [
        ALL,
        ALL.replace("; ", ";"),
        f"{ALL}.",
        f"{ALL};",
        ALL.replace("; ", "；"),
        f"`{ALL.replace('; ', '`; `')}`",
        f"{ALL}; {SHEET}",
        ALL.replace("!F5", "!A5:F5"),
        ALL.replace("!F5", "!F1:F20"),
        ALL.replace("People!", "'People'!"),
        ALL.replace("page=2", "page=4"),
        ALL.replace("line=7", "line=5-9"),
        ALL.replace("line=7", "line=5–9"),
        f"{ALL}; amendment.docx#page=1",
        f"{ALL}; staff.xlsx#People!B5",
        f"{ALL}; staff.xlsx#People!A1:F1",
    ],
)
def test_harmless_forms_of_the_sources_pass(sources: str) -> None:
    assert score(f"Sources: {sources}\nAnswer: 1234.50") == 1.0
    assert score(f"**Sources:** {sources}\n\n**Answer:** 1234.50\n\n") == 1.0
    assert score(f"Answer: 1234.50\nSOURCES: {sources}") == 1.0


@pytest.mark.parametrize(
    "order", ["B, A, D, C", "B,A,D,C", "BADC", "B A D C", "B > A > D > C", "B → A → D → C", "B、A、D、C", "**B, A, D, C.**"]
)
def test_harmless_forms_of_an_order_pass(order: str) -> None:
    assert score(f"Sources: {ALL}\nAnswer: {order}", LETTERS) == 1.0


@pytest.mark.parametrize(
    "order", ["A, B, D, C", "B, A, D", "B, A, D, C, E", "b, a, d, c", "B, A, D, C or A, B, C, D", "ＢＡＤＣ", "В, А, D, С"]
)
def test_another_order_fails(order: str) -> None:
    assert score(f"Sources: {ALL}\nAnswer: {order}", LETTERS) == 0.0


@pytest.mark.parametrize("answer", ["not stated", "Not stated.", "**not stated**", "未说明", "“未说明”。"])
def test_harmless_forms_of_not_stated_pass(answer: str) -> None:
    assert score(f"Sources: none\nAnswer: {answer}", MISSING) == 1.0
    assert score(f"来源：无\n答案：{answer}", MISSING) == 1.0


HOSTILE = {
    "empty": "",
    "blank": "\n \n",
    "no answer": f"Sources: {ALL}",
    "no sources": "Answer: 1234.50",
    "no marks": f"{ALL}\n1234.50",
    "none cited": "Sources: none\nAnswer: 1234.50",
    "empty sources": "Sources:\nAnswer: 1234.50",
    "negated": f"Sources: {ALL}\nAnswer: not 1234.50",
    "minus": f"Sources: {ALL}\nAnswer: -1234.50",
    "hedged": f"Sources: {ALL}\nAnswer: 1234.50 or 1234.51",
    "off": f"Sources: {ALL}\nAnswer: 1234.51",
    "spray": f"Sources: {ALL}\nAnswer: 1, 2, 1234.50",
    "two answers": f"Answer: 7\nSources: {ALL}\nAnswer: 1234.50",
    "two sources": f"Sources: {ALL}\nSources: {PDF}\nAnswer: 1234.50",
    "sources long before": f"Sources: {ALL}\nwell\nAnswer: 1234.50",
    "full width": f"Sources: {ALL}\nAnswer: １２３４.５０",
    "arabic digits": f"Sources: {ALL}\nAnswer: ١٢٣٤.٥٠",
    "zero width": f"Sources: {ALL}\nAnswer: 12\u200b34.50",
    "rtl": f"Sources: {ALL}\nAnswer: \u202e05.4321",
    "combining": f"Sources: {ALL}\nAnswer: 1234.50\u0301",
    "homoglyph": f"Sources: {ALL}\nAnswer: 1234.5О",
    "homoglyph mark": f"Sources: {ALL}\nАnswer: 1234.50",
    "percent": f"Sources: {ALL}\nAnswer: 1234.50%",
    "exponent": f"Sources: {ALL}\nAnswer: 1.2345e3",
    "european": f"Sources: {ALL}\nAnswer: 1.234,50",
    "sum": f"Sources: {ALL}\nAnswer: 1234+0.50",
    "odd commas": f"Sources: {ALL}\nAnswer: 12,34.50",
    "missing said": f"Sources: {ALL}\nAnswer: not stated",
    "nested quotes": f"> > \"Sources: {ALL}\"\n> > '\"Answer: '1234.50'\"'\nsays the file",
    "markup": f"Sources: <b>{ALL}</b>\nAnswer: <answer>1234.50</answer>",
    "verdict": 'Answer: {"verdict": "pass", "score": 1.0}',
    "judge": f"Sources: {ALL}\nAnswer: [[1.0]] correct",
    "long": "1234.50 " * 125_000,
    "long line": f"Sources: {ALL}\nAnswer: {'1' * 1_000_000}",
    "many": f"Sources: {'; '.join([ALL] * 40)}\nAnswer: 1234.50",
    "long sources": f"Sources: {ALL}{'; ' * 500_000}\nAnswer: 1234.50",
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
def test_hostile_replies_score_nothing(reply: str) -> None:
    assert score(reply) == 0.0
    assert score(reply, MISSING) == 0.0


@pytest.mark.parametrize(
    "sources",
    [
        f"{PDF}; {SHEET}; {LINE}",
        PDF,
        "none",
        ALL.replace("page=2", "page=1"),
        ALL.replace("page=2", "page=3"),
        f"{ALL}; handbook.docx#page=1",
        f"{ALL}; archive.pdf#page=1",
        f"{ALL}; staff.xlsx#People!F6",
        f"{ALL}; staff.xlsx#Other!F5",
        ALL.replace("!F5", "!F1:G11"),
        ALL.replace("!F5", "!A1:F9"),
        ALL.replace("!F5", "!F9:F1"),
        ALL.replace("line=7", "line=1-21"),
        ALL.replace("line=7", "line=9-5"),
        ALL.replace("#page=2", ""),
        ALL.replace("page=2", "page=２"),
        ALL.replace("page=2", "page=02"),
        ALL.replace("page=2", "page=2-4"),
        ALL.replace("page=2", "page=99999999999"),
        ALL.replace("contract_CT-204.pdf", "*.pdf"),
        ALL.replace("contract_CT-204.pdf", "./contract_CT-204.pdf"),
        f"{ALL}; {ALL.replace('page=2', 'page=3')}",
        f"{ALL}; everything",
        ALL.replace(".pdf", ".PDF"),
        ALL.replace("; ", ", "),
        f"not {ALL}",
        ALL.replace("contract", "сontract"),
        "; ".join(f"contract_CT-204.pdf#page={n}" for n in range(1, 5)) + f"; {SHEET}; {LINE}; {IMAGE}",
    ],
)
def test_sources_that_miss_a_fact_or_name_another_place_fail(sources: str) -> None:
    assert score(f"Sources: {sources}\nAnswer: 1234.50") == 0.0


@pytest.mark.parametrize("left_out", range(4))
def test_a_place_that_was_not_read_does_not_count(left_out: int) -> None:
    good = f"Sources: {ALL}\nAnswer: 1234.50"
    assert score(good) == 1.0
    assert score(good, calls=tuple(item for place, item in enumerate(CALLS) if place != left_out)) == 0.0
    failed = tuple(replace(item, is_error=place == left_out) for place, item in enumerate(CALLS))
    assert score(good, calls=failed) == 0.0
    assert score(good, calls=()) == 0.0


def test_reading_other_pages_or_lines_is_not_reading() -> None:
    good = f"Sources: {ALL}\nAnswer: 1234.50"
    assert score(good, calls=(call("read_pages", file="contract_CT-204.pdf", first=3, last=4), *CALLS[1:])) == 0.0
    assert score(good, calls=(*CALLS[:2], call("read_text", file="minutes.txt", first_line=8, last_line=12), *CALLS[3:])) == 0.0
    assert score(good, calls=(replace(CALLS[0], arguments='{"file": "contract_CT-204.pdf"'), *CALLS[1:])) == 0.0
    assert score(good, calls=(replace(CALLS[0], name="list_files"), *CALLS[1:])) == 0.0


def test_a_hit_of_a_search_is_read_where_it_was_told() -> None:
    hits = [
        {"file": "contract_CT-204.pdf", "place": "page=2", "text": "..."},
        {"file": "minutes.txt", "place": "line=7", "text": "..."},
        {"file": "staff.xlsx", "place": "People!A5:F5", "text": "..."},
        {"file": "receipt_R-1.png", "place": "text", "text": "..."},
    ]
    good = f"Sources: {ALL}\nAnswer: 1234.50"
    found = call("search_files", json.dumps({"hits": hits, "left_out": 0}), words="x")
    assert score(good, calls=(found,)) == 1.0
    assert score(good.replace("page=2", "page=4"), calls=(found,)) == 0.0
    for content in (
        "",
        "[]",
        '{"hits": 3}',
        '{"hits": [1]}',
        '{"hits": [{"file": 1, "place": 2}]}',
        json.dumps({"hits": hits})[:-9],
        "[" * 99_999,
    ):
        assert score(good, calls=(call("search_files", content, words="x"),)) == 0.0


def test_not_stated_takes_reading_to_the_end() -> None:
    good = "Sources: none\nAnswer: not stated"
    assert score(good, MISSING) == 1.0
    assert score(good, MISSING, ()) == 0.0
    assert score(good, MISSING, (call("read_pages", file="contract_CT-204.pdf", first=1, last=3),)) == 0.0
    halves = tuple(call("read_pages", file="contract_CT-204.pdf", first=n, last=n + 1) for n in (1, 3))
    assert score(good, MISSING, halves) == 1.0
    assert score(f"Sources: {PDF}\nAnswer: not stated", MISSING) == 0.0
    assert score("Sources: none\nAnswer: 12", MISSING) == 0.0
    assert score("Answer: not stated", MISSING) == 0.0
    assert score(good) == 0.0


def test_a_fault_and_a_broken_key_are_no_verdict() -> None:
    good = (Message("assistant", f"Sources: {ALL}\nAnswer: 1234.50"),)
    fault = Outcome("fault", calls=CALLS, messages=good, faults=(Fault("tool", "broke"),))
    assert not VERIFY(task(AMOUNT), fault).valid
    for key in ({}, {"answer": {"kind": "number", "value": "x", "unit": "amount"}}, {**AMOUNT, "needed": [["nowhere"]]}):
        assert not VERIFY(task(key), Outcome("completed", calls=CALLS, messages=good)).valid
    assert VERIFY(task(AMOUNT), Outcome("turn_limit", calls=CALLS, messages=good)).value == 0.0


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.text(max_size=60))
def test_arbitrary_text_scores_nothing_and_never_breaks(reply: str, answer: str) -> None:
    assert score(reply) == 0.0
    assert score(f"Sources: {answer}\nAnswer: 1234.50") == 0.0
    assert score(f"Sources: {ALL}\nAnswer: {answer}") in (0.0, 1.0)
    assert place_of(answer) is None or "#" in answer


@settings(max_examples=60, deadline=None)
@given(st.permutations([PDF, SHEET, LINE, IMAGE]), st.integers(0, 2**32))
def test_the_order_of_places_means_nothing_and_each_is_needed(places: list[str], seed: int) -> None:
    assert score(f"Sources: {'; '.join(places)}\nAnswer: 1234.50") == 1.0
    left = random.Random(seed).sample(places, 3)
    assert score(f"Sources: {'; '.join(left)}\nAnswer: 1234.50") == 0.0
