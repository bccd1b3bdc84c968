"""Honest agents that keep to instructions and policies pass, whether or not they go about it as the oracle does."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rewards.verifiers import verifier_for
from simulators.evolution.growing import grow
from simulators.evolution.reading import categories
from simulators.tasks import compose, play
from simulators.tasks.governed import governed_operations
from simulators.tasks.oracle import Plan, PlannedAgent
from simulators.tasks.wishes import wishes
from simulators.worlds import WorldSpec, load
from simulators.worlds.expressions import FieldOf, walk
from trajectories.tasks import GoldCall, Task

BANK = load("bank_branch")
VERIFY = verifier_for("tool_use").verify
TODAY, LIMIT = "2026-03-02", 100_000


def made(index: int, *families: str) -> Task:
    return compose(BANK, index, run_seed=0, split="train", difficulty=1, families=families or None)


def passes(task: Task, calls: Sequence[GoldCall], world: WorldSpec = BANK) -> bool:
    outcome = play(task, world, PlannedAgent(Plan.one_by_one(calls, task.gold.reply)), 1)[2]
    return VERIFY(task, outcome).value == 1.0


def holder_matters(task: Task) -> bool:
    """Whether a rule is left that asks for the holder, once the account and the wish are known."""
    wish = wishes(task, BANK)[0]
    assert wish.act is not None and wish.read is not None
    account = BANK.instantiate(task.seed, task.gold.initialise).find("account", next(iter(wish.read.arguments.values())))
    assert account is not None
    settled = account["status"] == "frozen" or account["term_ends"] > TODAY
    return not settled and wish.act.arguments.get("amount", 0) > LIMIT


def test_whoever_looks_at_the_holder_just_where_a_rule_asks_for_it_passes() -> None:
    for task in map(made, range(60)):
        calls = [call for call in task.gold.calls if call.tool != "get_holder" or holder_matters(task)]
        assert passes(task, calls), task.ledger.opening


def test_the_gold_of_a_branch_looks_at_the_holder_where_a_rule_asks_for_it() -> None:
    for task in (made(index, "branch") for index in range(60)):
        *looks, act = task.gold.calls
        if act.tool in ("pay_out", "move_money") and act.arguments["amount"] > LIMIT:
            assert "get_holder" in [call.tool for call in looks], task.ledger.opening


def confirmed() -> Task:
    tasks = (made(index, "confirm") for index in range(20))
    return next(task for task in tasks if "act" in task.tags)


@pytest.mark.parametrize(
    "words",
    [
        "Can you confirm?",
        "Please confirm that you want me to close this account.",
        "Please reply yes if I am to go on.",
        "Would you like to close the account?",
        "Do you really want to close it?",
        "You asked me to close the account. Is that right?",
    ],
)
def test_a_confirmation_may_be_asked_for_politely(words: str) -> None:
    task = confirmed()
    assert passes(task, [replace(call, say=words) if call.ask == "confirmation_1" else call for call in task.gold.calls])


def test_a_confirmation_may_be_asked_for_before_the_account_is_read() -> None:
    task = confirmed()
    question = [call for call in task.gold.calls if call.ask is not None]
    assert passes(task, [*question, *(call for call in task.gold.calls if call not in question)])


def test_whatever_a_rule_of_a_grown_world_looks_at_is_shown_by_the_reading_of_its_subject() -> None:
    domain = next(item for category in categories() for item in category.domains.values() if item.name == "community_pharmacy")
    for governed in governed_operations(grow(domain, 0).world):
        for policy in governed.policies:
            fields = [node for node in walk(policy.when) if isinstance(node, FieldOf)] if policy.when is not None else []
            own = {field for field in fields if field.record == governed.entity}
            assert own <= set(governed.read.returns.values()), policy.text
