"""The state's laws, over random call sequences, errors and forks in every world that ships."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.worlds import WorldSpec, WorldState, instance, load, parse
from simulators.worlds import state as state_module
from simulators.worlds.instance import DIGEST_MODULUS, record_hash
from tests.simulators.worlds.random_calls import content, make_call, plans, play, seeds, worlds
from trajectories.outcomes import StateChange
from trajectories.tasks import RecordPatch

EFFORT = settings(max_examples=60, deadline=None)


def rebuilt(state: WorldState) -> dict[str, dict[str, dict[str, object]]]:
    """The start's content with `state.diff()` applied to it; fails where a change does not fit."""
    start = {entity: {key: dict(fields) for key, fields in state._base.records[entity].items()}
             for entity in state.world.entities}  # fmt: skip
    for change in state.diff():
        _apply(change, start[change.entity])
    return {entity: dict(sorted(records.items())) for entity, records in start.items()}


def _apply(change: StateChange, records: dict[str, dict[str, object]]) -> None:
    assert all(before != after for before, after in change.fields.values())
    assert change.fields, "a change names at least one field"
    if change.kind == "created":
        assert change.key not in records
        assert all(before is None for before, _ in change.fields.values())
        records[change.key] = {name: after for name, (_, after) in change.fields.items()}
    elif change.kind == "deleted":
        gone = records.pop(change.key)
        assert change.fields == {name: (value, None) for name, value in gone.items()}
    else:
        for name, (before, after) in change.fields.items():
            assert records[change.key][name] == before
            records[change.key][name] = after


@EFFORT
@given(worlds, seeds, st.lists(plans, min_size=2, max_size=4), plans)
def test_digests_are_equal_exactly_when_contents_are(
    world: WorldSpec, seed: int, branches: list[list[int]], trunk: list[int]
) -> None:
    root = play(world, seed, trunk)
    states = [world.instantiate(seed), world.instantiate(seed + 1), root]
    for branch in branches:
        fork = root.fork()
        for index, number in enumerate(branch):
            fork.call(*make_call(fork, number))
            if index % 3 == 0:
                states.append(fork.fork())
        states.append(fork)
    for one, other in itertools.combinations(states, 2):
        assert (one.digest() == other.digest()) == (content(one) == content(other))


@EFFORT
@given(worlds, seeds, plans)
def test_the_incremental_digest_is_the_one_computed_from_scratch(world: WorldSpec, seed: int, plan: list[int]) -> None:
    state = world.instantiate(seed)
    for number in plan:
        state.call(*make_call(state, number))
        if number % 2:
            state.digest()
    hashes = [
        record_hash(entity, key, fields) for entity in world.entities for key, fields in state.records(entity).items()
    ]
    assert state.digest() == f"{sum(hashes) % DIGEST_MODULUS:064x}"


@EFFORT
@given(worlds, seeds, plans)
def test_a_call_that_errors_changes_nothing(world: WorldSpec, seed: int, plan: list[int]) -> None:
    state = world.instantiate(seed)
    for number in plan:
        before, digest, diff = content(state), state.digest(), state.diff()
        tool, arguments = make_call(state, number)
        result = state.call(tool, arguments)
        if result.isError:
            assert set(json.loads(result.content)) == {"error"}
            assert result.structuredContent is None
        else:
            assert json.loads(result.content) == result.structuredContent
        if result.isError or not world.operations[tool].changes_state:
            assert (content(state), state.digest(), state.diff()) == (before, digest, diff)
        else:
            assert content(state) != before


@EFFORT
@given(worlds, seeds, plans, plans, plans)
def test_a_fork_and_its_origin_never_see_each_others_writes(
    world: WorldSpec, seed: int, trunk: list[int], left: list[int], right: list[int]
) -> None:
    origin = play(world, seed, trunk)
    fork = origin.fork()
    assert (content(fork), fork.digest(), fork.diff()) == (content(origin), origin.digest(), origin.diff())
    for one, other in itertools.zip_longest(left, right):
        for state, number in ((origin, one), (fork, other)):
            if number is not None:
                state.call(*make_call(state, number))
    for state, plan in ((origin, left), (fork, right)):
        alone = play(world, seed, trunk)
        for number in plan:
            alone.call(*make_call(alone, number))
        assert content(state) == content(alone)
        assert state.digest() == alone.digest()


@EFFORT
@given(worlds, seeds, plans)
def test_the_diff_explains_the_state(world: WorldSpec, seed: int, plan: list[int]) -> None:
    state = play(world, seed, plan)
    assert rebuilt(state) == {entity: state.records(entity) for entity in world.entities}
    assert [(change.entity, change.key) for change in state.diff()] == sorted((c.entity, c.key) for c in state.diff())
    assert (state.diff() == ()) == (state.digest() == world.instantiate(seed).digest())


@EFFORT
@given(worlds, seeds, plans)
def test_every_reachable_state_keeps_the_worlds_rules(world: WorldSpec, seed: int, plan: list[int]) -> None:
    state = play(world, seed, plan)
    for entity in world.entities.values():
        records = state.records(entity.name)
        assert len(records) <= entity.capacity
        for field in entity.fields.values():
            column = [fields[field.name] for fields in records.values()]
            assert [field.problem(value) for value in column] == [None] * len(column)
            assert not field.unique or len(set(column)) == len(column)
            assert field.type != "reference" or set(column) <= set(state.records(field.entity))
        assert all(list(fields) == list(entity.fields) for fields in records.values())


@EFFORT
@given(worlds, seeds, plans)
def test_text_and_object_arguments_mean_the_same(world: WorldSpec, seed: int, plan: list[int]) -> None:
    state = world.instantiate(seed)
    for number in plan:
        tool, arguments = make_call(state, number)
        if isinstance(arguments, dict):
            assert state.fork().call(tool, json.dumps(arguments)) == state.call(tool, arguments)


@EFFORT
@given(worlds, seeds, plans)
def test_nothing_that_a_caller_gets_or_gives_is_shared_with_the_state(
    world: WorldSpec, seed: int, plan: list[int]
) -> None:
    state = world.instantiate(seed)
    for number in plan:
        tool, arguments = make_call(state, number)
        given_arguments = json.dumps(arguments)
        result = state.call(tool, arguments)
        assert json.dumps(arguments) == given_arguments
        before = content(state)
        for part in (result.structuredContent, arguments):
            if isinstance(part, dict):
                part.clear()
        for entity in world.entities:
            for fields in state.records(entity).values():
                fields.clear()
        assert content(state) == before


def test_episodes_leave_the_shared_instance_as_it_was() -> None:
    world = load("order_desk")
    before = content(world.instantiate(3))
    for number in range(2000):
        state = world.instantiate(3)
        state.call(*make_call(state, number * 7919))
    assert world.instantiate(3)._base is world.instantiate(3)._base
    assert content(world.instantiate(3)) == before
    instance.fresh_instance.cache_clear()
    assert content(world.instantiate(3)) == before


def test_different_seeds_give_different_worlds_and_one_seed_one_world() -> None:
    for name in ("order_desk", "it_tickets", "travel", "library_loans"):
        assert len({load(name).instantiate(seed).digest() for seed in range(50)}) == 50
        assert load(name).instantiate(5).digest() == load(name).instantiate(5).digest()


def test_the_order_of_independent_changes_does_not_show() -> None:
    world = load("travel")
    keys = list(world.instantiate(1).records("booking"))[:3]
    digests = set()
    for order in itertools.permutations(keys):
        state = world.instantiate(1, tuple(RecordPatch("booking", key, {"bags": 0}) for key in keys))
        for key in order:
            assert not state.call("add_bag", {"booking_id": key}).isError
        digests.add(state.digest())
    assert len(digests) == 1


def test_a_change_that_is_undone_is_no_difference() -> None:
    world = load("order_desk")
    key = next(iter(world.instantiate(1).records("order")))
    state = world.instantiate(1, (RecordPatch("order", key, {"count": 2}),))
    start = state.digest()
    state.call("change_count", {"order_id": key, "count": 3})
    assert state.digest() != start
    assert {(change.entity, change.kind) for change in state.diff()} == {("order", "updated"), ("product", "updated")}
    state.call("change_count", {"order_id": key, "count": 2})
    assert (state.digest(), state.diff()) == (start, ())


def test_digest_and_diff_cost_what_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    state = load("travel").instantiate(1)
    state.digest()
    hashed: list[str] = []

    def counting(entity: str, key: str, fields: object, volatile: frozenset[str]) -> int:
        hashed.append(key)
        return record_hash(entity, key, fields, volatile)  # type: ignore[arg-type]

    monkeypatch.setattr(state_module, "record_hash", counting)
    free = {key for key, fields in state.records("booking").items() if fields["bags"] < 4}
    key = min(free)
    assert not state.call("add_bag", {"booking_id": key}).isError
    state.digest()
    state.fork().digest()
    assert hashed == [key]


def test_patches_belong_to_the_start() -> None:
    world = load("order_desk")
    key, other = list(world.instantiate(1).records("order"))[:2]
    patches = (
        RecordPatch("order", key, {"status": "paid", "count": 2.0}),
        RecordPatch("order", other, {"status": "done"}),
    )
    state = world.instantiate(1, patches)
    assert state.diff() == ()
    assert state.records("order")[key]["count"] == 2
    assert state.records("order")[other]["status"] == "done"
    assert state.digest() == world.instantiate(1, patches[::-1]).digest()
    assert content(world.instantiate(1)) != content(state)


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        (("orders", "100", {}), "no such entity"),
        (("order", "100", {}), "no such record"),
        (("order", None, {"state": "new"}), "no field state"),
        (("order", None, {"status": "lost"}), "must be one of new, paid, sent, done"),
        (("order", None, {"count": True}), "must be an integer"),
        (("order", None, {"count": 10}), "from 1 to 9"),
        (("order", None, {"product": "000"}), "names no product"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused(patch: tuple[str, str | None, dict[str, object]], complaint: str) -> None:
    world = load("order_desk")
    entity, key, fields = patch
    key = key or next(iter(world.instantiate(1).records("order")))
    with pytest.raises(ValueError, match=complaint):
        world.instantiate(1, (RecordPatch(entity, key, fields),))


def test_a_patch_may_not_break_uniqueness() -> None:
    world = load("order_desk")
    orders = world.instantiate(1).records("order")
    (key, _), (_, other) = list(orders.items())[:2]
    with pytest.raises(ValueError, match="another order has this customer"):
        world.instantiate(1, (RecordPatch("order", key, {"customer": other["customer"]}),))


def with_views(volatile: bool) -> WorldSpec:
    document = json.loads(json.dumps(load("travel").source))
    document["entities"]["booking"]["fields"]["views"] = {
        "type": "integer", "minimum": 0, "maximum": 9, "draw": [0], "volatile": volatile,
    }  # fmt: skip
    document["operations"]["book_flight"]["effects"][1]["create"]["fields"]["views"] = 0
    effects = document["operations"]["add_bag"]["effects"]
    count = {"add": {"record": "booking", "field": "views", "amount": 1}}
    document["operations"]["add_bag"]["effects"] = [*effects, count]
    document["operations"]["look_up"] = document["operations"]["add_bag"] | {"effects": [count]}
    return parse(document)


def test_volatile_fields_change_neither_digest_nor_difference() -> None:
    world = with_views(volatile=True)
    state = world.instantiate(1)
    before = state.digest()
    key, fields = next((key, fields) for key, fields in state.records("booking").items() if fields["bags"] < 4)
    assert not state.call("look_up", {"booking_id": key}).isError
    assert state.records("booking")[key]["views"] == 1
    assert (state.digest(), state.diff()) == (before, ())
    state.call("add_bag", {"booking_id": key})
    (change,) = state.diff()
    assert change.fields == {"bags": (fields["bags"], fields["bags"] + 1)} and state.digest() != before
    counted = with_views(volatile=False).instantiate(1)
    counted.call("look_up", {"booking_id": key})
    assert [dict(change.fields) for change in counted.diff()] == [{"views": (0, 1)}]


def test_a_patch_changes_the_digest_as_writing_would() -> None:
    world = load("travel")
    key, fields = next((key, fields) for key, fields in world.instantiate(1).records("booking").items() if fields["bags"] < 4)
    patched = world.instantiate(1, (RecordPatch("booking", key, {"bags": fields["bags"] + 1}),))
    written = world.instantiate(1)
    written.call("add_bag", {"booking_id": key})
    assert patched.digest() == written.digest() != world.instantiate(1).digest()
    hashes = [
        record_hash(entity, key, fields) for entity in world.entities for key, fields in patched.records(entity).items()
    ]
    assert patched.digest() == f"{sum(hashes) % DIGEST_MODULUS:064x}"
