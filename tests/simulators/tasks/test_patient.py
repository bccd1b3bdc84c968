"""A patient oracle passes whatever recoverable trouble the tools have; without troubles it is the oracle."""

from dataclasses import replace

import pytest

from rewards.verifiers import verifier_for
from simulators import worlds
from simulators.stochastic import ToolTroubles
from simulators.tasks import TeacherAgent, compose, make_agent, play, teacher_rng
from simulators.tasks.certify import CHEATS
from simulators.tasks.patient import PatientAgent, most_turns
from trajectories.messages import Message

VERIFY = verifier_for("tool_use").verify
NAMES = worlds.names()
FAMILIES = ("act", "refuse", "search", "ask", "lookup")
EVERYTHING = {
    "timeout": 0.15, "timeout_after_commit": 0.3, "rate_limit": 0.1, "transient": 0.1, "malformed": 0.1, "slow": 0.1,
    "stale": 0.15, "partial": 0.2, "permanent": 0.5,
}  # fmt: skip


def tasks_of(name: str, count: int):
    world = worlds.load(name)
    return world, [
        compose(world, index, run_seed=9, split="train", difficulty=1 + index % 3, families=FAMILIES)
        for index in range(count)
    ]


def patiently(task, world, seed, troubles):
    agent = make_agent("patient", task, world)
    return play(task, world, agent, seed, max_turns=most_turns(task, world, troubles), troubles=troubles)[2]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trouble", sorted(EVERYTHING))
def test_a_patient_oracle_passes_where_every_call_meets_this_trouble(name: str, trouble: str):
    world, tasks = tasks_of(name, 6)
    troubles, seen = ToolTroubles.uniform(**{trouble: 1.0}), 0
    for task in tasks:
        outcome = patiently(task, world, 0, troubles)
        assert VERIFY(task, outcome).value == 1.0, VERIFY(task, outcome).cause
        seen += sum(call.trouble is not None for call in outcome.calls)
    assert seen or trouble == "permanent"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bound", [1, 2, 4])
def test_a_patient_oracle_passes_under_all_troubles_at_once(name: str, bound: int):
    world, tasks = tasks_of(name, 12)
    troubles = replace(ToolTroubles.uniform(**EVERYTHING), max_in_a_row=bound)
    for task in tasks:
        for seed in range(3):
            reward = VERIFY(task, patiently(task, world, seed, troubles))
            assert reward.value == 1.0, reward.cause


def test_an_oracle_without_patience_fails_there():
    world, tasks = tasks_of("travel", 12)
    troubles = ToolTroubles.uniform(timeout=1.0)
    passed = [
        VERIFY(task, play(task, world, make_agent("oracle", task, world), 0, troubles=troubles)[2]).value
        for task in tasks
    ]
    assert set(passed) == {0.0}


def test_who_repeats_a_lost_change_without_looking_makes_it_twice():
    world = worlds.load("it_tickets")
    tasks = [compose(world, index, run_seed=9, split="train", difficulty=1, families=("act",)) for index in range(30)]
    task = next(
        task for task in tasks if "op:raise_ticket" in task.tags and task.gold.changes[0].fields["level"][1] < 5
    )
    troubles = ToolTroubles.uniform(timeout_after_commit=1.0)

    class Hasty(PatientAgent):
        def _done(self, call, state, down):
            return False
            yield

    blind = play(task, world, Hasty(task, world), 0, max_turns=20, troubles=troubles)[2]
    assert "state" in (VERIFY(task, blind).cause or "")
    assert VERIFY(task, patiently(task, world, 0, troubles)).value == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_without_troubles_a_patient_oracle_is_the_oracle(name: str):
    world, tasks = tasks_of(name, 9)
    for task in tasks:
        plain, patient = (
            play(task, world, make_agent(kind, task, world), 1, max_turns=24) for kind in ("oracle", "patient")
        )
        assert plain == patient


def test_a_patient_agent_can_be_cut_and_continued_anywhere():
    world, tasks = tasks_of("order_desk", 3)
    for task in tasks:
        troubles = ToolTroubles.uniform(**EVERYTHING)
        dialogue = play(task, world, PatientAgent(task, world), 2, max_turns=60, troubles=troubles)[0]
        for index, message in enumerate(dialogue):
            if message.role == "assistant":
                assert PatientAgent(task, world).act(dialogue[:index]) == message
    assert PatientAgent(tasks[0], world).act([Message("user", "hi")]).role == "assistant"


def test_a_patient_teacher_fails_exactly_when_it_errs():
    world, tasks = tasks_of("library_loans", 12)
    troubles = ToolTroubles.uniform(timeout=0.2, transient=0.2, timeout_after_commit=0.2)
    for task in tasks:
        teacher = TeacherAgent(task, world, 0.6, teacher_rng(1, task.id, 0))
        outcome = play(task, world, PatientAgent(task, world, teacher.plan), 0, max_turns=80, troubles=troubles)[2]
        assert (VERIFY(task, outcome).value == 1.0) is not bool(teacher.errors)


@pytest.mark.parametrize("kind", CHEATS)
def test_troubles_that_leave_a_call_undone_are_the_only_ones_that_can_help_a_cheat(kind: str):
    troubles = ToolTroubles.uniform(timeout_after_commit=0.4, slow=0.2, stale=0.4, partial=0.4)
    for name in NAMES:
        world, tasks = tasks_of(name, 5)
        for task in tasks:
            outcome = play(task, world, make_agent(kind, task, world), 4, max_turns=24, troubles=troubles)[2]
            assert VERIFY(task, outcome).value == 0.0
