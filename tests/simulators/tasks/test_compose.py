"""Tasks are functions of their keys, balanced and varied, and never say beforehand whether a wish may be granted."""

from collections import Counter

import pytest

from simulators import worlds
from simulators.tasks import compose
from simulators.tasks.governed import governed_operations
from simulators.tasks.wishes import wishes

NAMES = worlds.names()
SMALL = [name for name in NAMES if name != "bank_branch"]
"""Worlds of few words, for policies of few parameters."""
WORLDS = {name: worlds.load(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_a_function_of_its_keys(name: str):
    made = [compose(WORLDS[name], 3, run_seed=9, split="train", difficulty=2) for _ in range(2)]
    assert made[0] == made[1] and made[0].id == made[0].content_id()
    others = [
        compose(WORLDS[name], 4, run_seed=9, split="train", difficulty=2),
        compose(WORLDS[name], 3, run_seed=8, split="train", difficulty=2),
        compose(WORLDS[name], 3, run_seed=9, split="held_out", difficulty=2),
    ]
    assert len({made[0].seed, *(task.seed for task in others)}) == 4


def test_train_and_held_out_instances_never_meet():
    world = WORLDS["travel"]
    seeds = {
        split: {compose(world, index, run_seed=0, split=split, difficulty=1).seed for index in range(150)}
        for split in ("train", "held_out")
    }
    assert len(seeds["train"]) == 150 and seeds["train"].isdisjoint(seeds["held_out"])


@pytest.mark.parametrize("name", NAMES)
def test_half_of_the_wishes_may_be_granted_and_every_operation_is_asked_for(name: str):
    tasks = [compose(WORLDS[name], index, run_seed=2, split="train", difficulty=1) for index in range(120)]
    tags = Counter(tag for task in tasks for tag in task.tags)
    assert tags["act"] + tags["keep"] == tags["refuse"] == 60
    names = {governed.operation.name for governed in governed_operations(WORLDS[name])}
    assert len(names) >= 2 and all(tags[f"op:{operation}"] >= 60 / len(names) for operation in names)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_agent_is_told_beforehand_is_the_same_whether_the_wish_may_be_granted_or_not(name: str):
    for index in range(40):
        granted, declined = (
            compose(WORLDS[name], index, run_seed=4, split="train", difficulty=1, families=(family,))
            for family in ("act", "refuse")
        )
        assert granted.ledger.opening == declined.ledger.opening and granted.seed == declined.seed
        for one, other in zip(granted.gold.initialise, declined.gold.initialise, strict=True):
            assert (one.entity, one.key, set(one.fields)) == (other.entity, other.key, set(other.fields))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("access", ["search", "ask"])
def test_a_key_that_must_be_found_is_not_in_the_opening(name: str, access: str):
    for index in range(20):
        task = compose(WORLDS[name], index, run_seed=4, split="train", difficulty=1, families=(access,))
        (wish,) = wishes(task, WORLDS[name])
        assert wish.subject is not None and wish.subject[1] not in task.ledger.opening


@pytest.mark.parametrize("name", SMALL)
def test_openings_vary_and_are_short(name: str):
    tasks = [compose(WORLDS[name], index, run_seed=2, split="train", difficulty=1) for index in range(300)]
    shapes: dict[str, set[str]] = {}
    for task in tasks:
        shape = "".join("0" if character.isdigit() else character for character in task.ledger.opening)
        shapes.setdefault(task.tags[-1], set()).add(shape)
        assert len(task.ledger.opening.split()) <= 12 and len(task.gold.reply.split()) <= 5
    assert all(len(variants) >= 6 for variants in shapes.values())
    assert len({task.gold.reply for task in tasks}) <= 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("difficulty", [1, 2, 3])
def test_doing_the_gold_calls_leaves_the_gold_changes(name: str, difficulty: int):
    world = WORLDS[name]
    for index in range(20):
        task = compose(world, index, run_seed=6, split="train", difficulty=difficulty)
        state = world.instantiate(task.seed, task.gold.initialise)
        for call in task.gold.calls:
            if call.tool is not None:
                assert not state.call(call.tool, call.arguments).isError
        assert state.diff() == task.gold.changes
        assert len({item.name.rpartition("_")[2] for item in task.rubric.checkpoints}) == task.difficulty == difficulty
        found = wishes(task, world)
        assert [call for wish in found for call in wish.calls] == list(task.gold.calls)


def test_families_choose_what_a_task_is_made_of():
    world = WORLDS["it_tickets"]
    for family, tag in [
        ("act", "act"),
        ("refuse", "refuse"),
        ("search", "search"),
        ("ask", "ask"),
        ("lookup", "lookup"),
    ]:
        for index in range(6):
            task = compose(world, index, run_seed=1, split="train", difficulty=1, families=(family,))
            assert tag in task.tags
    ask = compose(world, 0, run_seed=1, split="train", difficulty=1, families=("ask",))
    assert ask.ledger.facts and ask.gold.calls[0].ask == ask.ledger.facts[0].slot


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"difficulty": 4}, "difficulty is 1, 2 or 3, not 4"),
        ({"difficulty": 1, "families": ("guess",)}, "guess"),
        ({"difficulty": 1, "families": ()}, "none"),
        ({"difficulty": 3, "families": ("ask", "lookup")}, "too few families"),
    ],
)
def test_what_cannot_be_composed_is_refused_with_its_name(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        compose(WORLDS["travel"], 0, run_seed=0, split="train", **settings)


def test_a_world_of_ones_own_is_spoken_of_after_the_names_of_its_operations():
    document = dict(WORLDS["order_desk"].source)
    world = worlds.parse({**document, "name": "my_shop"}, "my_shop")
    task = compose(world, 0, run_seed=0, split="train", difficulty=1, reference="shops/my_shop.yaml")
    assert task.world == "shops/my_shop.yaml" and task.id == task.content_id()
    assert any(phrase in task.ledger.opening.lower() for phrase in ("cancel order", "change count for order"))
