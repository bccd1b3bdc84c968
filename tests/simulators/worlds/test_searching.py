"""The index only narrows: whatever is found through it is what looking at every record finds."""

import pytest
from hypothesis import given, settings

from simulators.worlds import WorldSpec, WorldState, load, searching
from simulators.worlds.transaction import Transaction
from tests.simulators.worlds.random_calls import make_call, plans, seeds, worlds
from trajectories.tasks import RecordPatch

EFFORT = settings(max_examples=60, deadline=None)


def scanned(state: WorldState, entity: str, field: str, value: object) -> list[str]:
    return [key for key, fields in state.records(entity).items() if fields[field] == value]


@EFFORT
@given(worlds, seeds, plans)
def test_holders_of_a_value_are_those_that_a_scan_finds(world: WorldSpec, seed: int, plan: list[int]) -> None:
    fresh = world.instantiate(seed)
    entity = world.entities[sorted(world.entities)[seed % len(world.entities)]]
    key, fields = next(iter(fresh.records(entity.name).items()))
    plain = {name: value for name, value in fields.items() if not entity.fields[name].unique}
    patch = RecordPatch(entity.name, key, plain | {name: other(world, fresh, entity.name, name) for name in plain})
    state = world.instantiate(seed, (patch,))
    for number in plan:
        state.call(*make_call(state, number))
    for name in entity.fields:
        values = {fields[name] for source in (fresh, state) for fields in source.records(entity.name).values()}
        for value in values:
            assert list(state.find_by(entity.name, name, value)) == scanned(state, entity.name, name, value)
            transaction = Transaction(state, world.entities, {})
            assert sorted(transaction.find_by(entity.name, name, value)) == scanned(state, entity.name, name, value)


def other(world: WorldSpec, state: WorldState, entity: str, field: str) -> object:
    """Another value that the field may hold."""
    spec = world.entities[entity].fields[field]
    if spec.type == "reference":
        return list(state.records(spec.entity))[-1]
    others = {"enum": spec.values, "boolean": (True,), "text": spec.draw, "date": (spec.latest,)}
    return others.get(spec.type, (spec.maximum,))[-1]


@EFFORT
@given(worlds, seeds, plans)
def test_a_search_by_index_finds_what_a_search_through_everything_finds(
    world: WorldSpec, seed: int, plan: list[int]
) -> None:
    state = world.instantiate(seed)
    for number in plan:
        tool, arguments = make_call(state, number)
        operation = world.operations.get(tool)
        if operation is not None and operation.kind in ("search", "list", "compute") and isinstance(arguments, dict):
            result = state.call(tool, arguments)
            if not result.isError:
                assert result.structuredContent == through_everything(state, tool, arguments)
        else:
            state.call(tool, arguments)


def through_everything(state: WorldState, tool: str, arguments: dict) -> dict:
    """The same search, compiled as if none of its conditions pinned anything down."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(searching, "_pinned", lambda condition, operation: None)
        search = searching.compile_search(state.world.operations[tool])
    return search(state, Transaction(state, state.world.entities, arguments))


def test_the_index_of_a_patched_instance_does_not_forget_the_patch() -> None:
    world = load("travel")
    key, fields = next(iter(world.instantiate(3).records("booking").items()))
    status = next(value for value in world.entities["booking"].fields["status"].values if value != fields["status"])
    state = world.instantiate(3, (RecordPatch("booking", key, {"status": status}),))
    assert key in state.find_by("booking", "status", status)
    assert key not in state.find_by("booking", "status", fields["status"])
    assert world.instantiate(3).find_by("booking", "status", fields["status"]).count(key) == 1
