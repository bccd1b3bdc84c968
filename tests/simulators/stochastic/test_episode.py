"""What each trouble does and does not do: a call is done once or not at all, and the agent can always find out."""

import json
from dataclasses import replace

import pytest

from rewards.verifiers import verifier_for
from simulators import worlds
from simulators.environment import Environment
from simulators.stochastic import (
    ChangeRates,
    EpisodeTroubles,
    ReadRates,
    SearchRates,
    ToolTroubles,
    advice,
    telling_calls,
)
from simulators.tasks import compose, make_agent, play
from simulators.worlds.loading import LIBRARY
from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import CallRecord, ToolTrouble
from trajectories.records import from_json, to_json

VERIFY = verifier_for("tool_use").verify
TRAVEL, DESK = worlds.load("travel"), worlds.load("order_desk")
TASK = compose(TRAVEL, 0, run_seed=1, split="train", difficulty=1)
DESK_TASK = compose(DESK, 0, run_seed=1, split="train", difficulty=1)
BOOKING, BAGS = next(
    (key, fields["bags"])
    for key, fields in TRAVEL.instantiate(TASK.seed, TASK.gold.initialise).records("booking").items()
    if fields["bags"] < 3
)


def started(world=TRAVEL, task=TASK, seed=0, **settings) -> Environment:
    environment = Environment(world, max_turns=50, troubles=ToolTroubles(**settings))
    environment.reset(task, seed)
    return environment


def made(environment: Environment, tool: str, **arguments) -> CallRecord:
    environment.step(Message("assistant", tool_calls=(ToolCall("functions.x:0", tool, canonical_json(arguments)),)))
    return environment.outcome().calls[-1]


def bags_added(environment: Environment) -> int:
    changes = {change.key: change.fields["bags"] for change in environment.outcome().changes}
    before, after = changes.get(BOOKING, (0, 0))
    return after - before


@pytest.mark.parametrize("kind", ["timeout_after_commit", "malformed"])
def test_a_change_whose_reply_is_lost_was_made_once_and_a_read_tells(kind: str):
    environment = started(update=ChangeRates(**{kind: 1.0}))
    record = made(environment, "add_bag", booking_id=BOOKING)
    assert bags_added(environment) == 1
    assert advice(record.content) == "look" and str(BAGS + 1) not in record.content
    assert record.trouble is not None and record.trouble.lost and record.trouble.kind == kind and not record.is_error
    assert json.loads(made(environment, "get_booking", booking_id=BOOKING).content)["bags"] == BAGS + 1
    made(environment, "add_bag", booking_id=BOOKING)  # whoever repeats without looking does it twice
    assert bags_added(environment) == 2


@pytest.mark.parametrize("kind", ["timeout", "rate_limit", "transient"])
def test_a_change_that_did_not_happen_left_no_trace_and_repeating_makes_it_once(kind: str):
    environment = started(update=ChangeRates(**{kind: 1.0}), max_in_a_row=3)
    for _ in range(3):
        record = made(environment, "add_bag", booking_id=BOOKING)
        assert record.is_error and record.trouble is not None and not record.trouble.lost
        assert environment.outcome().changes == () and advice(record.content) in ("look", "repeat")
    record = made(environment, "add_bag", booking_id=BOOKING)
    assert record.trouble is None and not record.is_error and bags_added(environment) == 1


def test_a_timeout_says_the_same_whether_or_not_the_call_was_done():
    before = made(started(update=ChangeRates(timeout=1.0)), "add_bag", booking_id=BOOKING)
    after = made(started(update=ChangeRates(timeout_after_commit=1.0)), "add_bag", booking_id=BOOKING)
    assert before.content == after.content and before.trouble.seconds == after.trouble.seconds == 30  # type: ignore[union-attr]


def test_repeating_a_change_that_undoes_its_own_condition_is_idempotent():
    environment = started(DESK, DESK_TASK, delete=ChangeRates(timeout_after_commit=1.0), max_in_a_row=1)
    (order, *_) = DESK.instantiate(DESK_TASK.seed, DESK_TASK.gold.initialise).records("order")
    made(environment, "cancel_order", order_id=order)
    changes = environment.outcome().changes
    again = made(environment, "cancel_order", order_id=order)
    assert again.is_error and "no order" in again.content and environment.outcome().changes == changes


@pytest.mark.parametrize("name", worlds.names())
def test_every_change_of_the_gold_can_be_seen_by_a_call_that_changes_nothing(name: str):
    world = worlds.load(name)
    for index in range(30):
        task = compose(world, index, run_seed=4, split="train", difficulty=1, families=("act", "search"))
        state = world.instantiate(task.seed, task.gold.initialise)
        for call in (call for call in task.gold.calls if call.tool is not None):
            before = state.fork()
            state.call(call.tool or "", call.arguments)
            if world.operations[call.tool or ""].changes_state:
                looks = list(telling_calls(before, state))
                assert looks, call
                digests = before.digest(), state.digest()
                assert all(before.call(*look).content != state.call(*look).content for look in looks)
                assert (before.digest(), state.digest()) == digests


def test_a_created_record_is_found_by_what_the_caller_knew():
    state = DESK.instantiate(7)
    after = state.fork()
    ordered = {fields["customer"] for fields in state.records("order").values()}
    customer = next(key for key in state.records("customer") if key not in ordered)
    product = next(iter(state.records("product")))
    result = after.call("place_order", {"customer_id": customer, "product_id": product, "count": 1})
    assert not result.isError and result.structuredContent is not None
    looks = list(telling_calls(state, after))
    assert ("find_order", {"name": state.records("customer")[customer]["name"]}) in looks
    assert all(result.structuredContent["order_id"] not in arguments.values() for _, arguments in looks)
    assert "find_order" not in dict(telling_calls(state, after, without={"find_order"}))


@pytest.mark.parametrize("kind", ["timeout_after_commit", "malformed"])
def test_a_change_that_no_read_shows_is_not_lost_but_times_out_before_it_is_made(kind: str, tmp_path):
    text = (LIBRARY / "travel.yaml").read_text().replace("      bags: {field: booking.bags}\n", "", 1)
    (tmp_path / "blind.yaml").write_text(text)
    world = worlds.load(str(tmp_path / "blind.yaml"))
    state = world.instantiate(TASK.seed, TASK.gold.initialise)
    before = state.digest()
    troubles = EpisodeTroubles(ToolTroubles(update=ChangeRates(**{kind: 1.0})), world, TASK, 0)
    result, trouble = troubles.call(state, "add_bag", {"booking_id": BOOKING}, 0)
    assert trouble == ToolTrouble("timeout", 30.0) and result.isError and state.digest() == before


def test_a_refused_call_whose_reply_is_lost_changed_nothing():
    environment = started(update=ChangeRates(timeout_after_commit=1.0))
    record = made(environment, "add_bag", booking_id="000")
    assert record.is_error and record.trouble == ToolTrouble("timeout_after_commit", 30.0)
    assert environment.outcome().changes == ()


def test_a_stale_answer_is_the_truth_of_so_many_calls_ago_and_says_so():
    for seed in range(12):
        environment = started(seed=seed, read=ReadRates(stale=1.0), stale_calls=2, max_in_a_row=9)
        made(environment, "find_traveler", name="Mia")
        made(environment, "add_bag", booking_id=BOOKING)  # call 1
        lags = set()
        for index in range(2, 6):
            answer = json.loads(made(environment, "get_booking", booking_id=BOOKING).content)
            lag = int(answer["_meta"]["as_of"].split()[0])
            assert answer["bags"] == (BAGS if index - lag <= 1 else BAGS + 1), (index, lag)
            lags.add(lag)
        assert lags <= {1, 2}


def test_a_stale_read_of_a_deleted_record_still_shows_it():
    environment = started(DESK, DESK_TASK, read=ReadRates(stale=1.0), stale_calls=1)
    (order, *_) = DESK.instantiate(DESK_TASK.seed, DESK_TASK.gold.initialise).records("order")
    made(environment, "cancel_order", order_id=order)
    stale = made(environment, "get_order", order_id=order)
    assert not stale.is_error and advice(stale.content) == "repeat"
    fresh = made(environment, "get_order", order_id=order)
    assert fresh.is_error and fresh.trouble is None and fresh.content == f'{{"error":"no order {order}"}}'


def test_a_partial_answer_lacks_hits_and_says_so_and_an_error_is_told_whole():
    environment = started(search=SearchRates(partial=1.0))
    flights = TRAVEL.instantiate(TASK.seed, TASK.gold.initialise)
    city = flights.records("city")[next(iter(flights.records("flight").values()))["city"]]["name"]
    partial = made(environment, "find_flight", city=city)
    whole = flights.call("find_flight", {"city": city}).structuredContent
    answer = json.loads(partial.content)
    assert answer["_meta"] == {"incomplete": True} and not partial.is_error
    assert len(answer["found"]) < len(whole["found"]) and answer["found"] == whole["found"][: len(answer["found"])]  # type: ignore[index]
    refused = made(environment, "find_flight", town=city)
    assert refused.is_error and refused.trouble is None and advice(refused.content) == "take"


def test_a_malformed_answer_is_at_most_half_of_it_and_never_json():
    whole = TRAVEL.instantiate(TASK.seed, TASK.gold.initialise).call("get_booking", {"booking_id": BOOKING}).content
    for seed in range(40):
        record = made(started(seed=seed, read=ReadRates(malformed=1.0)), "get_booking", booking_id=BOOKING)
        assert record.is_error and whole.startswith(record.content) and 1 <= len(record.content) <= len(whole) // 2
        with pytest.raises(json.JSONDecodeError):
            json.loads(record.content)


def test_a_slow_answer_is_the_right_one_and_nobody_waits():
    environment = started(read=ReadRates(slow=1.0), slow_seconds=1e6)
    record = made(environment, "get_booking", booking_id=BOOKING)
    assert record.trouble is not None and record.trouble.kind == "slow" and 1 <= record.trouble.seconds <= 1e6
    plain = made(started(), "get_booking", booking_id=BOOKING)
    assert record.content == plain.content and not record.is_error


@pytest.mark.parametrize("bound", [1, 2, 5])
def test_the_same_call_never_meets_more_troubles_in_a_row_than_the_bound(bound: int):
    for seed in range(5):
        environment = started(seed=seed, read=ReadRates(timeout=0.5, transient=0.3, stale=0.2), max_in_a_row=bound)
        keys = list(TRAVEL.instantiate(TASK.seed).records("booking"))[:2]
        troubled = {key: [] for key in keys}
        for turn in range(24):
            key = keys[turn % 2]  # two calls by turns: the bound is of each
            troubled[key].append(made(environment, "get_booking", booking_id=key).trouble is not None)
        for key in keys:
            assert troubled[key] == ([True] * bound + [False]) * (12 // (bound + 1)) + [True] * (12 % (bound + 1))


def test_a_tool_that_is_down_stays_down_and_the_gold_is_never_down():
    troubles = ToolTroubles.uniform(permanent=1.0)
    outcome = play(TASK, TRAVEL, make_agent("oracle", TASK, TRAVEL), 0, troubles=troubles)[2]
    assert VERIFY(TASK, outcome).value == 1.0 and not outcome.faults
    gold = {call.tool for call in TASK.gold.calls}
    environment = started(read=troubles.read, search=troubles.search, update=troubles.update)
    other = next(tool for tool in ("move_booking", "add_bag") if tool not in gold)
    for _ in range(5):
        record = made(environment, other, booking_id=BOOKING)
        assert record.trouble == ToolTrouble("permanent") and advice(record.content) == "never"


def test_declining_and_unknown_tools_meet_no_trouble():
    settings = {kind: ChangeRates(timeout=1.0, permanent=1.0) for kind in ("create", "update", "delete")}
    environment = started(read=ReadRates(timeout=1.0), search=SearchRates(timeout=1.0), **settings)
    assert made(environment, "decline_request", booking_id=BOOKING, reason="fixed").trouble is None
    assert made(environment, "no_such_tool").trouble is None


@pytest.mark.parametrize("name", worlds.names())
def test_without_troubles_nothing_changes(name: str):
    world = worlds.load(name)
    for index in range(8):
        task = compose(world, index, run_seed=2, split="train", difficulty=1 + index % 3)
        for kind in ("oracle", "spray", "always_act"):
            plain, off = (
                play(task, world, make_agent(kind, task, world), 3, troubles=troubles)
                for troubles in (None, ToolTroubles(max_in_a_row=7))
            )
            assert plain == off and all(call.trouble is None for call in plain[2].calls)


def test_a_trouble_is_no_fault_and_the_episode_stays_valid():
    outcome = play(TASK, TRAVEL, make_agent("oracle", TASK, TRAVEL), 0, troubles=ToolTroubles.uniform(timeout=1.0))[2]
    reward = VERIFY(TASK, outcome)
    assert reward.valid and reward.value == 0.0 and outcome.faults == () and outcome.ending == "completed"


def test_records_of_before_there_were_troubles_still_load_and_troubles_are_kept():
    old = {"name": "get", "arguments": {"id": "1"}, "is_error": False, "content": "{}"}
    record = from_json(CallRecord, old)
    assert record.trouble is None
    troubled = replace(record, trouble=ToolTrouble("slow", 3.5))
    assert from_json(CallRecord, json.loads(json.dumps(to_json(troubled)))) == troubled
