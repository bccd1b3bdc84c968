"""Richer wishes: found by way of something else, done by what is observed, step by step, confirmed, and thought better of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.attribution import attribute
from rewards.verifiers import verifier_for
from simulators.evolution.growing import grow
from simulators.evolution.reading import categories
from simulators.tasks import compose, make_agent, play
from simulators.tasks.certify import certify
from simulators.tasks.compose import FAMILIES
from simulators.tasks.finding import hits
from simulators.tasks.teacher import ErrorMix, TeacherAgent, teacher_rng
from simulators.tasks.wishes import wishes
from simulators.users.personas import PersonaMix
from simulators.users.voice import STYLES
from simulators.worlds import load
from trajectories.tasks import Task

VERIFY = verifier_for("tool_use").verify
PLAIN = PersonaMix()
GROWN = {
    name: grow(next(domain for category in categories() for domain in category.domains.values() if domain.name == name), 0).world
    for name in ("parcel_carrier", "plant_maintenance")
}
WORLDS = {name: load(name) for name in ("bank_branch", "order_desk")} | GROWN


ANYBODY = PersonaMix(dict.fromkeys(STYLES, 1.0), {"en": 1.0, "zh": 1.0}, most_patience=2, error_prone=0.5)


def made(world: str, index: int, *families: str, difficulty: int = 1, follow_ups: float = 0.0, users: PersonaMix = PLAIN) -> Task:
    return compose(
        WORLDS[world], index, run_seed=5, split="train", difficulty=difficulty, families=families, follow_ups=follow_ups,
        personas=users,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(GROWN)), st.integers(0, 10_000), st.sampled_from(FAMILIES), st.integers(1, 3), st.booleans(),
    st.sampled_from([PLAIN, ANYBODY]),
)  # fmt: skip
def test_every_task_is_certified_and_read_back_into_its_wishes(
    world: str, index: int, family: str, difficulty: int, later: bool, users: PersonaMix
) -> None:
    families = (family,) if difficulty == 1 else FAMILIES
    task = made(world, index, *families, difficulty=difficulty, follow_ups=0.5 * later, users=users)
    certified = certify(task, WORLDS[world], VERIFY).certificate
    assert certified is not None and (certified.certified or all(reason.startswith("leak") for reason in certified.reasons))
    found = wishes(task, WORLDS[world])
    assert tuple(call for wish in found for call in wish.calls) == task.gold.calls
    assert len(found) == difficulty + sum("changed_" in item.name for item in task.rubric.checkpoints)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(WORLDS)), st.integers(0, 10_000), st.floats(0, 1))
def test_a_teacher_passes_just_when_it_made_no_error(world: str, index: int, competence: float) -> None:
    families = [family for family in FAMILIES if world in GROWN or family not in ("reach", "related")]
    task = made(world, index, *families, difficulty=3, follow_ups=0.5, users=ANYBODY)
    errors = ErrorMix(**{name: 1.0 for name in ErrorMix.__dataclass_fields__})
    agent = TeacherAgent(task, WORLDS[world], competence, teacher_rng(0, task.id, 0), errors)
    _, _, outcome = play(task, WORLDS[world], agent, 1, max_turns=40)
    reward = VERIFY(task, outcome)
    assert reward.value == float(not agent.errors), agent.errors
    assert attribute(task, outcome, reward) == ("agent" if agent.errors else None)


@pytest.mark.parametrize("world", sorted(GROWN))
def test_what_is_found_by_way_of_something_else_takes_two_look_ups_that_find_one(world: str) -> None:
    for index in range(10):
        task = made(world, index, "related")
        (wish,) = wishes(task, WORLDS[world])
        state = WORLDS[world].instantiate(task.seed, task.gold.initialise)
        assert len(wish.finding) >= 2 and all(len(hits(state, call)) == 1 for call in wish.finding)
        assert wish.read is not None and hits(state, wish.finding[-1]) == [*wish.read.arguments.values()]
        assert next(iter(wish.read.arguments.values())) not in task.ledger.opening


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_either_side_of_a_branch_is_right_half_of_the_time_and_the_words_do_not_tell(world: str) -> None:
    tasks = [made(world, index, "branch") for index in range(40)]
    found = [wishes(task, WORLDS[world])[0] for task in tasks]
    assert all(len(wish.asked) == 2 and wish.branches for wish in found)
    assert sum(wish.done[0] == wish.asked[0] for wish in found) == 20


@pytest.mark.parametrize("world", sorted(GROWN))
def test_a_state_is_reached_by_two_steps_at_least_and_not_by_the_last_alone(world: str) -> None:
    for index in range(10):
        task = made(world, index, "reach")
        (wish,) = wishes(task, WORLDS[world])
        assert len(wish.done) >= 2 and wish.done == wish.asked
        state = WORLDS[world].instantiate(task.seed, task.gold.initialise)
        assert state.call(wish.done[-1].tool or "", wish.done[-1].arguments).isError


def confirmed(count: int) -> list[Task]:
    return [made("bank_branch", index, "confirm") for index in range(count)]


def test_whoever_is_to_confirm_says_yes_or_no_and_an_agent_must_do_as_told() -> None:
    tasks = confirmed(40)
    kept = [task for task in tasks if "keep" in task.tags]
    assert len(kept) == 20 and all("confirm" in task.tags for task in tasks)
    for task in tasks[:12]:
        certificate = certify(task, WORLDS["bank_branch"], VERIFY).certificate
        assert certificate is not None and certificate.certified
        assert "mutated_no_confirmation" in certificate.cheats
        assert ("mutated_ignored_answer" in certificate.cheats) == (task in kept)
        _, _, outcome = play(task, WORLDS["bank_branch"], make_agent("oracle", task, WORLDS["bank_branch"]), 3)
        assert bool(outcome.changes) == (task not in kept)


def test_the_holder_is_read_where_a_rule_hangs_on_it_and_only_there() -> None:
    tasks = [made("bank_branch", index, "act", "refuse") for index in range(150)]
    read = []
    for task in (task for task in tasks if "op:pay_out" in task.tags):
        (wish,) = wishes(task, WORLDS["bank_branch"])
        assert wish.read is not None and wish.act is not None
        state = WORLDS["bank_branch"].instantiate(task.seed, task.gold.initialise)
        account = state.find("account", wish.read.arguments["account_id"]) or {}
        forbidden = account["status"] == "frozen" or account["term_ends"] > "2026-03-02"
        hangs = wish.act.arguments["amount"] > 100_000 and not forbidden
        read.append(hangs)
        assert [call.tool for call in wish.readings] == ["get_account", *["get_holder"] * hangs]
    assert {True, False} == set(read)
    reasons = {call.arguments["reason"] for task in tasks for call in task.gold.calls if call.tool == "decline_request"}
    assert reasons == {"frozen", "unchecked", "term"}


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_a_change_of_mind_comes_after_the_act_and_takes_its_place(world: str) -> None:
    for index in range(10):
        task = made(world, index, "change")
        wish, change = wishes(task, WORLDS[world])
        assert task.ledger.follow_ups and change.read is None and wish.done[0].tool == change.done[0].tool
        assert wish.done != change.done
        alone = WORLDS[world].instantiate(task.seed, task.gold.initialise)
        alone.call(change.done[0].tool or "", change.done[0].arguments)
        assert alone.diff() == task.gold.changes


def test_later_wishes_are_not_in_the_opening_and_are_said_one_after_the_other() -> None:
    for index in range(20):
        task = made("order_desk", index, "act", "refuse", difficulty=3, follow_ups=1.0)
        assert len(task.ledger.follow_ups) == 2 and "follow_up" in task.tags
        messages, _, _ = play(task, WORLDS["order_desk"], make_agent("oracle", task, WORLDS["order_desk"]), 3)
        users = [message.content for message in messages if message.role == "user"]
        assert users == [task.ledger.opening, *task.ledger.follow_ups]


def test_an_error_prone_user_is_wrong_first_and_right_when_asked_again() -> None:
    users = PersonaMix(error_prone=1.0)
    for name in ("order_desk", "bank_branch"):
        for index in range(10):
            task = made(name, index, "ask", users=users)
            (wish,) = wishes(task, WORLDS[name])
            first, wrong, again = wish.finding
            assert first == again and task.ledger.facts[0].slips and wrong.tool == wish.readings[0].tool
            state = WORLDS[name].instantiate(task.seed, task.gold.initialise)
            assert state.call(wrong.tool or "", wrong.arguments).isError
            assert certify(task, WORLDS[name], VERIFY).certificate.certified  # type: ignore[union-attr]
