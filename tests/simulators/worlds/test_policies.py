"""Rules that look at records further away, at the call's arguments and at the day, and rules that want a confirmation."""

import copy
import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.worlds import WorldSpecError, load, parse
from trajectories.tasks import RecordPatch

BANK = load("bank_branch")
RULES = {policy.id: policy for policy in BANK.policies}
STATE = BANK.instantiate(0)
ACCOUNT = next(iter(STATE.keys("account")))
HOLDER = STATE.records("account")[ACCOUNT]["holder"]


def state(checked: bool = True, **account: Any) -> Any:
    patches = (RecordPatch("holder", HOLDER, {"checked": checked}), RecordPatch("account", ACCOUNT, account))
    return BANK.instantiate(0, patches)


@given(st.integers(0, 10_000_000), st.booleans())
def test_a_limit_depends_on_the_amount_and_on_whose_account_it_is(amount: int, checked: bool) -> None:
    rule = RULES["unchecked_holders"]
    assert rule.applies(state(checked), ACCOUNT, {"amount": amount}) == (amount > 100_000 and not checked)


@given(st.dates(min_value=datetime.date(2025, 9, 1), max_value=datetime.date(2026, 8, 31)))
def test_a_window_ends_with_the_day_that_the_instructions_name(day: Any) -> None:
    assert "2026-03-02" in BANK.instructions
    assert RULES["running_terms"].applies(state(term_ends=day.isoformat()), ACCOUNT, {}) == (day.isoformat() > "2026-03-02")


def test_a_rule_that_wants_a_confirmation_forbids_nothing_and_names_no_reason() -> None:
    rule = RULES["confirm_closing"]
    assert rule.demands == "confirmation" and rule.applies(state(), ACCOUNT, {}) and rule.reason == ""
    assert "" not in BANK.decline_operation.arguments["reason"].schema["enum"]


def test_a_record_that_does_not_exist_is_an_error_and_no_verdict() -> None:
    with pytest.raises(KeyError, match="there is no account 1"):
        RULES["frozen_accounts"].applies(state(), "1", {})


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(dict(BANK.source))
    *parents, last = path.split(".")
    part: Any = document
    for name in parents:
        part = part[int(name)] if isinstance(part, list) else part[name]
    if value is None:
        del part[last]
    else:
        part[int(last) if isinstance(part, list) else last] = value
    return document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (changed("policies.1.operations", ["pay_out", "close_account"]), "policies[1].forbids_when.all[0].left.argument: "),
        (changed("policies.1.records.holder.key", {"field": "account.status"}), "has type string where key:holder is needed"),
        (changed("policies.1.records.holder.key", "613"), "policies[1].records.holder.key: "),
        (changed("policies.1.records", {"account": {"entity": "holder", "key": {"field": "account.holder"}}}), "already bound"),
        (changed("policies.1.records", None), "undefined record 'holder'"),
        (changed("policies.3.confirm_when", "sometimes"), "policies[3].confirm_when"),
        (changed("policies.3.reason", "sure"), "policies[3].reason: unknown key"),
        (changed("policies.0.reason", None), "policies[0]: missing key reason"),
        (changed("policies.3.operations", ["order_card"]), "order_card does not change a given account"),
    ],
)
def test_a_rule_that_cannot_be_judged_is_refused_with_its_place(document: dict[str, Any], words: str) -> None:
    with pytest.raises(WorldSpecError) as caught:
        parse(document)
    assert words in str(caught.value)
