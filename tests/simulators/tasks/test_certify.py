"""Law 4 holds in every world at every depth: the oracle passes, every cheat fails; and a bad task is found out."""

from dataclasses import replace

import pytest

from rewards.verifiers import verifier_for
from simulators import worlds
from simulators.tasks import certify, compose, make_agent, play
from simulators.tasks.certify import CHEATS
from simulators.tasks.cheats import mutated_plans
from simulators.tasks.oracle import PlannedAgent
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Rubric, Task

VERIFY = verifier_for("tool_use").verify
NAMES = worlds.names()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("difficulty", [1, 2, 3])
def test_every_composed_task_is_certified(name: str, difficulty: int):
    world = worlds.load(name)
    for index in range(24):
        task = certify(compose(world, index, run_seed=11, split="held_out", difficulty=difficulty), world, VERIFY)
        assert task.certificate is not None and task.certificate.certified, task.certificate
        assert task.certificate.oracle == 1.0 and set(task.certificate.cheats.values()) == {0.0}
        assert {*CHEATS, "claim"} <= set(task.certificate.cheats)
        assert any(cheat.startswith("mutated_") for cheat in task.certificate.cheats)
        assert task.id == task.content_id(), "a certificate does not change what the task is"


def test_mutated_oracles_cover_the_ways_to_go_wrong():
    world = worlds.load("order_desk")
    tasks = [compose(world, index, run_seed=0, split="train", difficulty=1) for index in range(12)]
    tried = {cheat for task in tasks for cheat in certify(task, world, VERIFY).certificate.cheats}  # type: ignore[union-attr]
    names = (
        "wrong_record",
        "wrong_action",
        "missing_sub_goal",
        "no_decision",
        "no_reading",
        "one_breath",
        "extra_act",
        "extra_refusal",
    )
    assert {f"mutated_{name}" for name in names} <= tried


def test_a_mutation_that_changes_nothing_is_not_held_against_the_task():
    world = worlds.load("order_desk")
    tasks = [compose(world, index, run_seed=0, split="train", difficulty=1, families=("act",)) for index in range(20)]
    cancel = next(task for task in tasks if "op:cancel_order" in task.tags)
    plan = mutated_plans(cancel, world)["twice"]
    assert VERIFY(cancel, play(cancel, world, PlannedAgent(plan), 0)[2]).value == 1.0
    certificate = certify(cancel, world, VERIFY).certificate
    assert certificate is not None and certificate.certified and "mutated_twice" not in certificate.cheats


@pytest.mark.parametrize(
    ("family", "forgotten", "cheat"),
    [
        ("act", ("checkpoint:", "pattern:"), "always_act"),
        ("refuse", ("checkpoint:", "pattern:"), "always_refuse"),
        ("act", "state", "mutated_extra_act"),
        ("act", "no_other_refusal", "mutated_extra_refusal"),
        ("refuse", ("refusal_", "pattern:"), "mutated_no_decision"),
        ("lookup", "says_", "spray"),
    ],
)
def test_a_verifier_that_forgets_a_criterion_is_found_out_by_a_cheat(
    family: str, forgotten: str | tuple[str, ...], cheat: str
):
    def forgetful(task: Task, outcome: Outcome) -> Reward:
        components = VERIFY(task, outcome).components
        return Reward(float(all(value for name, value in components.items() if not name.startswith(forgotten))))

    world = worlds.load("travel")
    task = compose(world, 2, run_seed=0, split="train", difficulty=1, families=(family,))
    certificate = certify(task, world, forgetful).certificate
    assert certificate is not None and not certificate.certified
    assert certificate.cheats[cheat] == 1.0 and any(reason.startswith(f"{cheat}: ") for reason in certificate.reasons)


def test_a_task_that_cannot_be_done_or_read_back_is_not_certified():
    world = worlds.load("travel")
    act = compose(world, 0, run_seed=0, split="train", difficulty=1, families=("act",))
    for bad in (
        replace(act, gold=replace(act.gold, changes=())),
        replace(act, gold=replace(act.gold, calls=())),
        replace(act, rubric=Rubric()),
        replace(act, seed=act.seed + 1, gold=replace(act.gold, initialise=())),
    ):
        certificate = certify(bad, world, VERIFY).certificate
        assert certificate is not None and not certificate.certified and certificate.reasons


def test_a_verifier_that_breaks_certifies_nothing():
    world = worlds.load("travel")
    task = compose(world, 0, run_seed=0, split="train", difficulty=1)
    certificate = certify(task, world, lambda task, outcome: Reward.invalid("judge: gone")).certificate
    assert certificate is not None and not certificate.certified and "judge: gone" in certificate.reasons[0]


@pytest.mark.parametrize("kind", ["null", "echo", "spray", "drop_arguments", "always_refuse", "always_act"])
def test_trivial_agents_score_nothing_and_the_oracle_everything(kind: str):
    for name in NAMES:
        world = worlds.load(name)
        for difficulty in (1, 2, 3):
            for index in range(8):
                task = compose(world, index, run_seed=12, split="held_out", difficulty=difficulty)
                assert VERIFY(task, play(task, world, make_agent(kind, task, world), index)[2]).value == 0.0
                assert VERIFY(task, play(task, world, make_agent("oracle", task, world), index)[2]).value == 1.0
