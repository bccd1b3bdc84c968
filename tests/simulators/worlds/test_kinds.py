"""Every kind of operation and field, on a bank: what they do, what they refuse, and the laws that hold whatever is called."""

import datetime
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import validator_for

from simulators.worlds import WorldSpec, WorldSpecError, WorldState, parse
from tests.simulators.worlds.bank import bank, bank_document
from tests.simulators.worlds.random_calls import content, make_call, plans, seeds, worlds
from trajectories.tasks import RecordPatch

BANK = bank()
EFFORT = settings(max_examples=60, deadline=None)


def start(**accounts: dict[str, Any]) -> tuple[WorldState, list[str]]:
    """A bank whose first accounts are as told, and the keys of all."""
    keys = list(BANK.instantiate(3).records("account"))
    plain = {"status": "active", "balance": 1000, "adviser": None, "opened": "2024-02-28"}
    told = [plain | fields for fields in accounts.values()]
    told += [plain] * (len(keys) - len(told))
    return BANK.instantiate(3, tuple(RecordPatch("account", *pair) for pair in zip(keys, told, strict=True))), keys


def done(state: WorldState, tool: str, **arguments: Any) -> dict[str, Any]:
    result = state.call(tool, arguments)
    assert not result.isError, result.content
    return result.structuredContent or {}


def refused(state: WorldState, tool: str, **arguments: Any) -> str:
    before = content(state)
    result = state.call(tool, arguments)
    assert result.isError and content(state) == before
    return json.loads(result.content)["error"]


@EFFORT
@given(st.one_of(st.just(BANK), worlds), seeds, plans)
def test_results_are_what_the_output_schema_says(world: WorldSpec, seed: int, plan: list[int]) -> None:
    state = world.instantiate(seed)
    for number in plan:
        tool, arguments = make_call(state, number)
        result = state.call(tool, arguments)
        if not result.isError:
            validator_for(dict(world.operations[tool].outputSchema), validate_formats=True).validate(result.structuredContent)


@EFFORT
@given(seeds, plans)
def test_invariants_hold_after_every_call_and_errors_change_nothing(seed: int, plan: list[int]) -> None:
    state = BANK.instantiate(seed)
    for number in plan:
        before, digest = content(state), state.digest()
        tool, arguments = make_call(state, number)
        result = state.call(tool, arguments)
        assert state.broken_invariants() == ()
        if result.isError or not BANK.operations[tool].changes_state:
            assert (content(state), state.digest()) == (before, digest)
        for entity in BANK.entities.values():
            for fields in state.records(entity.name).values():
                assert all(entity.fields[name].problem(value) is None for name, value in fields.items())


@EFFORT
@given(seeds, plans, plans)
def test_digests_tell_contents_apart_volatile_fields_aside(seed: int, left: list[int], right: list[int]) -> None:
    states = []
    for plan in (left, right):
        state = BANK.instantiate(seed)
        for number in plan:
            state.call(*make_call(state, number))
        states.append(state)

    def counted(state: WorldState) -> Any:
        records = {entity: state.records(entity) for entity in BANK.entities}
        for fields in records["account"].values():
            del fields["seen"]
        return records

    assert (states[0].digest() == states[1].digest()) == (counted(states[0]) == counted(states[1]))
    assert (states[0].diff() == states[1].diff()) == (counted(states[0]) == counted(states[1]))


def test_a_list_is_filtered_sorted_and_cut_into_pages() -> None:
    state, keys = start(a={"balance": 500}, b={"balance": 900}, c={"status": "closed"}, d={"opened": "2024-03-01"})
    first = done(state, "list_accounts", status="active")
    assert [row["balance"] for row in first["items"]] == [1000, 1000] and (first["total"], first["next_offset"]) == (5, 2)
    rows, offset = [], 0
    while offset is not None:
        page = done(state, "list_accounts", status="active", offset=offset)
        rows, offset = rows + page["items"], page["next_offset"]
    assert [row["account_id"] for row in rows] == [*keys[3:6], keys[1], keys[0]]
    assert done(state, "list_accounts", since="2024-02-29")["items"] == [{"account_id": keys[3], "balance": 1000}]
    assert done(state, "list_accounts", offset=77) == {"items": [], "total": 6, "next_offset": None}
    assert "is not a" in refused(state, "list_accounts", since="2024-02-30")


def test_totals_are_over_what_matches() -> None:
    state, _ = start(a={"balance": 500, "status": "closed"}, b={"balance": 0, "opened": "2024-02-27", "status": "closed"})
    assert done(state, "sum_up", status="closed") == {"accounts": 2, "money": 500, "first": "2024-02-27", "richest": 500}
    assert done(state, "sum_up", status="frozen") == {"accounts": 0, "money": 0, "first": None, "richest": None}


def test_a_transfer_moves_money_and_makes_none() -> None:
    state, (payer, payee, *_) = start()
    assert done(state, "transfer", account_id=payer, to_account_id=payee, amount=1000) == {"left": 0}
    assert [state.records("account")[key]["balance"] for key in (payer, payee)] == [0, 2000]
    assert refused(state, "transfer", account_id=payer, to_account_id=payee, amount=1) == "not enough balance"
    assert refused(state, "transfer", account_id=payee, to_account_id=payee, amount=1) == "both are the same account"
    assert refused(state, "transfer", account_id=payee, to_account_id=payer, amount=0) == "the amount must be above 0"
    assert "minimum" in refused(state, "transfer", account_id=payer, to_account_id=payee, amount=-5)
    rich = start(a={"balance": 99_999})[0]
    assert refused(rich, "transfer", account_id=payee, to_account_id=payer, amount=2).startswith("balance must be from 0")


def test_a_transition_follows_its_edge_only() -> None:
    state, (one, *_) = start()
    assert done(state, "freeze", account_id=one) == {"status": "frozen"}
    assert refused(state, "freeze", account_id=one) == "status must be active to become frozen"


def test_a_reservation_takes_from_the_stock_what_it_creates() -> None:
    state, (one, *_) = start()
    branch = state.records("account")[one]["branch"]
    patches = (RecordPatch("branch", branch, {"boxes": 3}), RecordPatch("account", one, {"opened": "2024-02-28"}))
    patched = BANK.instantiate(3, patches)
    made = done(patched, "rent_boxes", account_id=one, boxes=2)
    assert made["until"] == "2024-03-29" and patched.records("rental")[made["rental_id"]]["boxes"] == 2
    assert patched.records("branch")[branch]["boxes"] == 1
    assert refused(patched, "rent_boxes", account_id=one, boxes=2) == "not enough boxes"


def test_a_batch_is_done_for_all_or_for_none() -> None:
    state, keys = start(a={"status": "closed"})
    assert refused(state, "close_accounts", account_ids=[keys[1], keys[0]]) == f"account {keys[0]}: closed already"
    assert refused(state, "close_accounts", account_ids=[keys[1], "000"]) == "no account 000"
    assert "unique" in refused(state, "close_accounts", account_ids=[keys[1], keys[1]])
    assert [row["account_id"] for row in done(state, "close_accounts", account_ids=keys[1:4])["done"]] == keys[1:4]
    assert [fields["status"] for fields in state.records("account").values()].count("closed") == 4


def test_null_is_stored_read_and_compared() -> None:
    state, (one, two, *_) = start(a={}, b={"adviser": "Kim"})
    assert refused(state, "drop_adviser", account_id=one) == "there is no adviser"
    assert done(state, "get_account", account_id=two)["adviser"] == "Kim"
    assert done(state, "drop_adviser", account_id=two) == {"adviser": None}
    assert any(fields["adviser"] is None for seed in range(5) for fields in BANK.instantiate(seed).records("account").values())


def test_a_notice_is_a_record_of_its_own() -> None:
    state, (one, *_) = start()
    letter = done(state, "write_letter", account_id=one, text="Hello")["letter_id"]
    assert [change.entity for change in state.diff()] == ["letter"]
    assert state.records("letter")[letter] == {"account": one, "text": "Hello"}


@given(st.dates(), st.integers(-(10**12), 10**12))
def test_dates_stay_in_the_calendar(date: datetime.date, days: int) -> None:
    from simulators.worlds.expressions import ARITHMETIC

    later = ARITHMETIC["days_after"](date.isoformat(), days)
    assert datetime.date.fromisoformat(later)
    if abs(days) < 1000 and 3 < date.year < 9997:
        assert later == (date + datetime.timedelta(days)).isoformat()
        assert ARITHMETIC["days_between"](date.isoformat(), later) == days


def test_annotations_say_what_a_tool_does() -> None:
    hints = {name: dict(operation.annotations) for name, operation in BANK.operations.items()}
    assert all(hints[name]["readOnlyHint"] for name in ("get_account", "list_accounts", "sum_up", "decline_request"))
    assert hints["transfer"] == {"readOnlyHint": False, "destructiveHint": False}
    assert not any(operation.changes_state == hints[name]["readOnlyHint"] for name, operation in BANK.operations.items())


WRONG = [
    ("entities.account.fields.balance.type", "cash", "unknown field type 'cash'"),
    ("entities.account.fields.opened.earliest", "2024-13-01", "must be a date as 2026-02-28"),
    ("entities.account.fields.opened.latest", "2023-01-01", "must not be before 2024-02-27"),
    ("entities.account.fields.owner.nullable", True, "a unique field is never null"),
    ("entities.branch.fields.boxes.unit", "", "must be a string that is not empty"),
    ("operations.list_accounts.sort.by", {"field": "account.adviser"}, "has type string?, which has no order"),
    ("operations.list_accounts.arguments.offset", {"value_of": "branch.boxes"}, "every list has this argument by itself"),
    ("operations.list_accounts.page_size", 0, "must be from 1 to 1000"),
    ("operations.sum_up.totals.money", {"sum": {"field": "account.owner"}}, "of which there is no sum"),
    ("operations.sum_up.totals.money", {"mean": {"field": "account.balance"}}, "one of count, sum, least, most"),
    ("operations.freeze.transition.from", ["active", "frozen"], "and not frozen, which it becomes"),
    ("operations.freeze.transition.to", "melted", "unknown value of account.status 'melted'"),
    ("operations.transfer.transfer.to", "account", "must be another record of account"),
    ("operations.transfer.transfer.field", "owner", "unknown numeric field 'owner'"),
    ("operations.transfer.transfer.amount", {"days_between": ["2024-01-01", "2024-01-02"]}, "money:CHF is needed"),
    ("operations.rent_boxes.reserve.amount", {"field": "account.balance"}, "quantity:boxes is needed"),
    ("operations.write_letter.effects", [{"delete": {"record": "account"}}], "kind notify creates one record"),
    ("operations.close_accounts.arguments.account_ids", {"key_of": "account"}, "needs an argument with keys_of: account"),
    ("operations.get_account.arguments", {"account_id": {"keys_of": "account", "maximum": 2}}, "only a batch"),
    ("operations.get_account.returns.fee", {"percent": [{"field": "account.owner"}, 3]}, "a number is needed"),
    ("operations.get_account.returns.fee", {"sum": [{"field": "account.balance"}, {"field": "account.seen"}]}, "is needed"),
    ("operations.get_account.returns.age", {"days_between": [{"field": "account.opened"}, "soon"]}, "date is needed"),
    ("operations.get_account.returns.age", {"sum": [{"field": "account.adviser"}, 1]}, "a number is needed"),
    ("operations.drop_adviser.effects", [{"set": {"record": "account", "fields": {"owner": None}}}], "string is needed"),
    ("operations.drop_adviser.require[0].left", None, "null is compared from the right"),
    ("invariants[0].constant", "account.owner", "of which there is no sum"),
    ("invariants[1].holds", {"left": {"key": "branch"}, "op": "equal", "right": "100"}, "not its key"),
]


@pytest.mark.parametrize(("path", "value", "complaint"), WRONG, ids=[f"{path}-{index}" for index, (path, *_) in enumerate(WRONG)])
def test_what_makes_no_sense_is_refused_with_its_place(path: str, value: Any, complaint: str) -> None:
    document = bank_document()
    part: Any = document
    *parents, last = path.replace("]", "").replace("[", ".").split(".")
    for name in parents:
        part = part[int(name) if name.isdigit() else name]
    part[last] = value
    with pytest.raises(WorldSpecError) as caught:
        parse(document)
    assert complaint in str(caught.value)
    assert ".".join(parents[:2]) in str(caught.value).replace("[", ".").replace("]", "")
