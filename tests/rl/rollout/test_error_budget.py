"""A few faults are left out of the learning; too many stop the run, which says what broke."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.rollout.error_budget import ErrorBudget, ErrorBudgetSpentError, kind_of
from trajectories.rewards import Reward

GOOD, FAULT = Reward(1.0), Reward.invalid("engine: its actor died")


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 0.99), st.integers(0, 10), st.integers(1, 7))
def test_it_stops_exactly_when_faults_exceed_both_the_share_and_the_free_ones(faults, share, free, size):
    budget, seen = ErrorBudget(share, free), 0
    for start in range(0, len(faults), size):
        batch = faults[start : start + size]
        seen += len(batch)
        spent = sum(faults[:seen]) > (max(free, share * seen) if share else 0)
        if spent:
            with pytest.raises(ErrorBudgetSpentError):
                budget.spend(FAULT if fault else GOOD for fault in batch)
            return
        budget.spend(FAULT if fault else GOOD for fault in batch)
        assert (budget.episodes, budget.invalid) == (seen, sum(faults[:seen]))


def test_a_share_of_zero_stops_at_the_first_fault():
    with pytest.raises(ErrorBudgetSpentError, match="1 of 1 episodes"):
        ErrorBudget(0.0).spend([FAULT])


def test_a_failure_is_not_a_fault():
    budget = ErrorBudget(0.0)
    budget.spend([Reward(0.0)] * 1000)
    assert budget.invalid == 0 and not budget.causes


def test_the_message_says_what_broke_most_often_and_which_key_allows_how_much():
    budget = ErrorBudget(0.02, free=1)
    with pytest.raises(ErrorBudgetSpentError) as caught:
        budget.spend([GOOD, FAULT, FAULT, Reward.invalid("tool: time is up")])
    assert "3 of 4 episodes" in str(caught.value) and "error_budget=0.02" in str(caught.value)
    assert "2 x engine: its actor died; 1 x tool: time is up" in str(caught.value)


ids = st.builds("{}/{:016x}/{}/{}".format, st.integers(1, 999), st.integers(0, 2**64 - 1), st.integers(0, 63), st.integers(0, 40))
calls = st.integers(0, 99).map("functions.get_order:{}".format)
places = st.builds("{}:{}".format, st.ip_addresses(), st.integers(1024, 65535))


@pytest.mark.parametrize(
    "text",
    [
        "engine: rollout engine: {0} failed: RuntimeError: no room",
        "engine: rollout engine: request {0} ended with 'abort'",
        "tool: get_order: KeyError: '{1}'",
        'tool: shop: unrecorded: the call {1} {{"order": "{0}"}} is not in the recording',
        "user: ConnectionError: cannot connect to {2} [Errno 111]",
        "engine: rollout engine: its actor died: The actor died unexpectedly.\n\tactor_id: {0}\n\tip: {2}",
    ],
)
@given(st.data())
def test_one_cause_is_one_cause_whichever_request_call_or_address_it_names(text, data):
    told = [text.format(data.draw(ids), data.draw(calls), data.draw(places)) for _ in range(3)]
    budget = ErrorBudget(0.5)
    budget.spend(Reward.invalid(cause) for cause in told)
    assert list(budget.causes.values()) == [3] and list(budget.examples.values()) == told[:1]


def test_what_tells_causes_apart_stays():
    causes = [
        "engine: its actor died",
        "tool: its actor died",
        "verifier: its process died of signal 9 (maths)",
        "verifier: its process died of signal 11 (maths)",
        "judge: malformed: answered 429",
        "judge: malformed: answered 503",
    ]
    assert list(map(kind_of, causes)) == causes


@given(st.text())
def test_every_cause_has_a_kind_of_one_short_line(cause):
    kind = kind_of(cause)
    assert 0 < len(kind) <= 200 and len(kind.splitlines()) == 1 and kind_of(kind) == kind


def test_the_message_gives_an_example_where_the_kind_does_not_say_all():
    with pytest.raises(ErrorBudgetSpentError) as caught:
        ErrorBudget(0.0).spend(Reward.invalid(f"engine: request 1/{number:04x}/0 failed") for number in range(3))
    assert "3 x engine: request … failed (such as: engine: request 1/0000/0 failed)" in str(caught.value)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, float("nan")])
def test_a_share_that_is_none_is_refused_by_its_key(share):
    with pytest.raises(ValueError, match="error_budget"):
        ErrorBudget(share)
