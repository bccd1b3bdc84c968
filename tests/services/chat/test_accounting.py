"""Sums are those of what was asked, and a cost that is not known is not zero."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chat import Ledger, Price, Usage, price_table, read_usage
from services.chat.accounting import Event

PRICE = Price(currency="EUR", prompt_per_million=0.3, completion_per_million=1.2, date="2025-01-31", source="a test")
EVENTS = st.sampled_from(get_args(Event))
USAGES = st.none() | st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6))


@settings(max_examples=20)
@given(st.lists(st.tuples(EVENTS, USAGES), max_size=8))
def test_every_event_and_every_token_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[Event, Usage | None]]
):
    path = tmp_path_factory.mktemp("book") / "usage"
    for event, usage in events:
        Ledger(path, "m", PRICE).add(event, usage)  # a new one each time, as after a kill
    if not events:
        Ledger(path, "m", PRICE)
    read, number = read_usage(path), Counter(event for event, _ in events)
    assert (read.answered, read.given_up, read.from_record) == (number["answered"], number["given_up"], number["recorded"])
    assert read.requests == len(events) - number["failed_attempt"]
    assert read.prompt_tokens == sum(usage.prompt_tokens for _, usage in events if usage)
    assert read.completion_tokens == sum(usage.completion_tokens for _, usage in events if usage)
    assert read.unmetered == sum(event == "answered" and usage is None for event, usage in events)
    assert (read.cost is None) == bool(read.unmetered)


def test_the_cost_is_exact(tmp_path: Path):
    ledger = Ledger(tmp_path / "usage", "m", PRICE)
    for _ in range(3):
        ledger.add("answered", Usage(1, 1))
    summary = read_usage(tmp_path / "usage").summary()
    assert summary["cost"] == 4.5e-06 and summary["currency"] == "EUR" and "unpriced" not in summary
    assert summary["price"] == {"currency": "EUR", "prompt_per_million": 0.3, "completion_per_million": 1.2,
                                "date": "2025-01-31", "source": "a test"}  # fmt: skip


def test_a_model_without_a_price_costs_nobody_knows_what_and_one_that_is_free_costs_nothing(tmp_path: Path):
    ledger = Ledger(tmp_path / "usage", "no-such-model", None)
    ledger.add("answered", Usage(10, 10))
    summary = read_usage(tmp_path / "usage").summary()
    assert (summary["cost"], summary["currency"], summary["unpriced"]) == (None, None, "no-such-model")
    free = replace(PRICE, prompt_per_million=0.0, completion_per_million=0.0)
    Ledger(tmp_path / "usage", "no-such-model", free)  # a run that goes on with a price
    assert read_usage(tmp_path / "usage").summary()["cost"] == 0.0


GOOD = {"currency": "EUR", "prompt_per_million": 1, "completion_per_million": 2.5, "date": "2025-01-31", "source": "a list"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "one key, models"),
        ({"models": []}, "one key, models"),
        ({"models": {}, "date": "2025-01-31"}, "one key, models"),
        ({"models": {"m": {}}}, "models.m: gives currency, prompt_per_million"),
        ({"models": {"m": GOOD | {"discount": 1}}}, "models.m: gives"),
        ({"models": {"m": GOOD | {"currency": "euro"}}}, "models.m.currency: three capitals"),
        ({"models": {"m": GOOD | {"prompt_per_million": -1}}}, "models.m.prompt_per_million: a number"),
        ({"models": {"m": GOOD | {"completion_per_million": "2"}}}, "models.m.completion_per_million: a number"),
        ({"models": {"m": GOOD | {"completion_per_million": float("nan")}}}, "models.m.completion_per_million: a number"),
        ({"models": {"m": GOOD | {"date": "last week"}}}, "models.m.date: a day like 2025-01-31, not 'last week'"),
        ({"models": {"m": GOOD | {"source": " "}}}, "models.m.source: says where"),
    ],
)
def test_a_table_with_an_error_in_it_is_refused_by_key(content: Any, message: str):
    with pytest.raises(ValueError, match=message):
        price_table(content)


def test_a_table_gives_prices_by_model():
    assert price_table({"models": {"m": GOOD}})["m"].of(Usage(2_000_000, 1_000_000)) == 4.5
