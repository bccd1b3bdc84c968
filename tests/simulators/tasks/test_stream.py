"""Number i is the same certified task whoever asks for it, and no held-out task is ever a training task."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers import verifier_for
from simulators.tasks.compose import FAMILIES
from simulators.tasks.equipping import AgentMix
from simulators.tasks.stream import TaskStream, UncertifiableError
from simulators.worlds import load
from simulators.worlds.loading import LIBRARY
from trajectories.rewards import Reward

VERIFY = verifier_for("tool_use").verify


def made(stream, numbers, split="train", run_seed=0, verify=VERIFY):
    return stream.tasks(numbers, run_seed=run_seed, split=split, verify=verify)


@given(st.integers(0, 10**6), st.integers(0, 2**32), st.sampled_from([1, 2, 3]), st.sampled_from(["train", "held_out"]))
@settings(max_examples=10)
def test_a_task_is_a_function_of_its_number_alone(number, run_seed, difficulty, split):
    stream = TaskStream(difficulty=difficulty, families=FAMILIES)
    alone = stream.task(number, run_seed=run_seed, split=split, verify=VERIFY)
    numbers = [number + 3, number, number + 1]
    assert made(TaskStream(difficulty=difficulty, families=FAMILIES), numbers, split, run_seed)[1] == alone
    assert alone.certificate is not None and alone.certificate.certified
    assert alone.split == split and alone.difficulty == difficulty


def test_the_order_of_asking_changes_nothing():
    stream, numbers = TaskStream(), list(range(24))
    shuffled = random.Random(0).sample(numbers, len(numbers))
    by_number = dict(zip(shuffled, made(stream, shuffled), strict=True))
    assert [by_number[number] for number in numbers] == made(stream, numbers)


def test_worlds_take_turns():
    stream = TaskStream(worlds=("travel", "order_desk"))
    assert [task.world for task in made(stream, range(4))] == ["travel", "order_desk"] * 2


def test_train_and_held_out_tasks_and_those_of_other_runs_are_disjoint():
    stream, numbers = TaskStream(), range(45)
    sets = [made(stream, numbers, split, run_seed) for split in ("train", "held_out") for run_seed in (0, 1)]
    ids = [task.id for tasks in sets for task in tasks]
    assert len(set(ids)) == len(ids)
    seeds = [{task.seed for task in tasks} for tasks in sets]
    assert all(first.isdisjoint(second) for first in seeds for second in seeds if first is not second)


def test_a_candidate_that_fails_its_certification_is_replaced_and_numbers_do_not_shift():
    stream, numbers = TaskStream(), range(6)
    plain = made(stream, numbers)
    refused = plain[2].id

    def strict(task, outcome):
        return Reward(0.0, cause="refused") if task.id == refused else VERIFY(task, outcome)

    again = made(stream, numbers, verify=strict)
    assert [task.id == other.id for task, other in zip(again, plain, strict=True)] == [True, True, False, True, True, True]
    assert again[2].world == plain[2].world and again[2].certificate.certified
    assert again[2].tags[0] == plain[2].tags[0], "a replacement keeps its side of the allowed/forbidden balance"


def test_a_world_whose_tasks_cannot_be_certified_is_named_with_the_reason():
    with pytest.raises(UncertifiableError, match="travel: none of 8 candidates for task 1 is certified: .*always right"):
        made(TaskStream(worlds=("order_desk", "travel")), [1], verify=lambda task, outcome: Reward(1.0, cause="always right"))


def test_a_world_by_its_path_gives_tasks_that_find_it_again(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text((LIBRARY / "order_desk.yaml").read_text())
    task = made(TaskStream(worlds=(str(path),)), [0])[0]
    assert load(task.world).tool_specs() == load("order_desk").tool_specs()


def test_without_agents_a_stream_deals_the_tasks_that_it_always_did():
    assert TaskStream().agents.share == 0
    ids = [made(TaskStream(), [number], split)[0].id for number, split in ((0, "train"), (1, "train"), (2, "held_out"))]
    assert ids == ["c61f78d3cf67ff91", "ea9455133bd2e825", "bbbdd9c5897a9895"]


@given(st.integers(0, 10**6), st.integers(0, 2**32), st.sampled_from(["train", "held_out"]))
@settings(max_examples=10)
def test_an_agent_is_a_function_of_its_tasks_number_alone(number, run_seed, split):
    stream = TaskStream(difficulty=2, agents=AgentMix(share=1.0))
    alone = made(stream, [number], split, run_seed)[0]
    assert made(TaskStream(difficulty=2, agents=AgentMix(share=1.0)), [number + 3, number], split, run_seed)[1] == alone
    assert alone.agent is not None and alone.certificate.certified and alone.id == alone.content_id()


def test_agents_change_who_does_the_task_and_not_the_task():
    numbers = range(30)
    plain, equipped = made(TaskStream(), numbers), made(TaskStream(agents=AgentMix(share=1.0)), numbers)
    same = [replace(task, agent=None, certificate=None).with_id() for task in equipped]
    assert [task.id for task in same] == [task.id for task in plain]
    assert {task.id for task in equipped}.isdisjoint(task.id for task in plain)
    assert len({task.agent for task in equipped}) == len(equipped)


def test_the_share_of_tasks_with_agents_is_as_set_and_each_is_in_or_out_whatever_the_share_of_others():
    numbers = range(90)
    some, all_of_them = (made(TaskStream(agents=AgentMix(share=share)), numbers) for share in (0.5, 1.0))
    assert 0.3 < sum(task.agent is not None for task in some) / len(numbers) < 0.7
    assert all(task == other for task, other in zip(some, all_of_them, strict=True) if task.agent is not None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"worlds": ()}, "worlds: name at least one; those that ship: .*order_desk"),
        ({"difficulty": 4}, "difficulty: is 1, 2 or 3, not 4"),
        ({"families": ("act", "dance")}, "families: dance is not among act"),
        ({"families": ()}, "families: none is not among"),
    ],
)
def test_a_stream_that_makes_no_sense_is_refused_by_its_key(settings, message):
    with pytest.raises(ValueError, match=message):
        TaskStream(**settings)


def test_a_plan_is_as_deep_as_is_wanted_or_the_number_is_given_up():
    for fewest, most in ((2, 2), (5, 6), (8, 0)):
        families = ("act", "refuse", "ask")
        stream = TaskStream(("bank_branch",), difficulty=3, families=families, fewest_calls=fewest, most_calls=most)
        if most == 2:
            with pytest.raises(UncertifiableError, match="takes 2 to 2 calls"):
                stream.task(0, run_seed=0, split="train", verify=VERIFY)
            continue
        for task in stream.tasks(range(6), run_seed=0, split="train", verify=VERIFY):
            assert fewest <= sum(call.tool is not None for call in task.gold.calls) <= (most or 99)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fewest_calls": -1}, "fewest_calls"),
        ({"fewest_calls": 5, "most_calls": 4}, "most_calls"),
        ({"follow_ups": 2.0}, "follow_ups"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        TaskStream(**settings)
