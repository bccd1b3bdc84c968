"""The worlds that ship: small, sound, different from one another, and with a rule that only the agent can keep."""

import json
from itertools import combinations

import pytest
from jsonschema_rs import meta

from simulators.worlds import OperationSpec, WorldSpec, WorldState, load, names
from tests.simulators.worlds.random_calls import make_call
from trajectories.messages import ToolSpec
from trajectories.tasks import RecordPatch

WORLDS = ["it_tickets", "library_loans", "order_desk", "travel"]


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> WorldSpec:
    return load(request.param)


def succeeds(state: WorldState, operation: OperationSpec, key: str) -> bool:
    """Whether some call of the operation on this record succeeds."""
    subject = str(operation.subject_argument)
    calls = (make_call(state, number) for number in range(4, 64_000, 16))
    about = ((tool, arguments) for tool, arguments in calls if tool == operation.name and subject in arguments)
    return any(
        not state.fork().call(tool, arguments).isError
        for tool, arguments in about
        if isinstance(arguments, dict) and arguments[subject] == key
    )


def test_the_shipped_worlds() -> None:
    assert names() == ["bank_branch", *WORLDS]


def test_tools_are_mcp_tools_with_valid_schemas(world: WorldSpec) -> None:
    for spec in world.tool_specs():
        meta.validate(dict(spec.inputSchema))
        assert spec.inputSchema["type"] == "object"
        assert spec.inputSchema["additionalProperties"] is False
        assert spec.description
        assert ToolSpec.from_mcp(json.loads(json.dumps(spec.to_mcp()))) == spec
    assert [spec.name for spec in world.tool_specs()] == list(world.operations)


def test_instructions_are_short_and_name_every_reason(world: WorldSpec) -> None:
    assert len(world.instructions.split()) <= 36
    assert all(policy.reason in world.instructions for policy in world.policies)


def test_two_statuses_allow_and_two_forbid(world: WorldSpec) -> None:
    subject = world.decline_operation.entity
    status = world.entities[subject].fields["status"]
    key = next(iter(world.instantiate(1).keys(subject)))
    governed = {name for policy in world.policies for name in policy.operations}
    assert len(governed) >= 2
    for name in governed:
        forbidden = {
            value
            for value in status.values
            if (state := world.instantiate(1, (RecordPatch(subject, key, {"status": value}),)))
            and any(policy.applies(state, key, {}) for policy in world.policies_on(name))
        }
        assert (len(status.values), len(forbidden)) == (4, 2)


def test_the_tools_do_not_enforce_the_policies(world: WorldSpec) -> None:
    subject = world.decline_operation.entity
    for policy in world.policies:
        for name in policy.operations:
            for value in world.entities[subject].fields["status"].values:
                found = False
                for seed in range(8):
                    key = next(iter(world.instantiate(seed).records(subject)))
                    state = world.instantiate(seed, (RecordPatch(subject, key, {"status": value}),))
                    found = found or succeeds(state, world.operations[name], key)
                assert found, f"{world.name}.{name} never works for status {value}"


def test_ids_are_three_digits_and_reads_are_small(world: WorldSpec) -> None:
    state = world.instantiate(2)
    for entity in world.entities:
        keys = list(state.records(entity))
        assert len(set(keys)) == len(keys) <= 8
        assert all(len(key) == 3 and key.isascii() and key.isdigit() for key in keys)
    subject = world.decline_operation.entity
    (reader,) = world.operations_of(subject, "read")
    for key in state.records(subject):
        result = state.call(reader.name, {str(reader.subject_argument): key})
        assert result.structuredContent is not None
        assert 3 <= len(result.structuredContent) <= 5
        assert "status" in result.structuredContent
        assert len(result.content) < 60


def test_every_subject_can_be_found_by_what_a_person_knows(world: WorldSpec) -> None:
    """Some search on the subject has one required argument, and each record is the only hit of some value of it."""
    state = world.instantiate(3)
    subject = world.decline_operation.entity
    (search,) = world.operations_of(subject, "search")
    (argument,) = [argument for argument in search.arguments.values() if not argument.optional]
    values = [fields[argument.field] for fields in state.records(argument.entity).values()]
    hits = [state.call(search.name, {argument.name: value}).structuredContent for value in values]
    found = [hit["found"][0][f"{subject}_id"] for hit in hits if hit is not None and len(hit["found"]) == 1]
    assert sorted(found) == list(state.records(subject))


def test_an_optional_argument_narrows_a_search() -> None:
    state = load("it_tickets").instantiate(1)
    key, ticket = next(iter(state.records("ticket").items()))
    name = state.records("person")[ticket["person"]]["name"]
    other = next(topic for topic in ("mail", "login") if topic != ticket["topic"])
    assert state.call("find_ticket", {"name": name}).structuredContent == {"found": [{"ticket_id": key}]}
    both = {"name": name, "topic": ticket["topic"]}
    assert state.call("find_ticket", both).structuredContent == {"found": [{"ticket_id": key}]}
    assert state.call("find_ticket", {"name": name, "topic": other}).content == '{"found":[]}'


def test_the_worlds_are_not_one_template() -> None:
    shapes = {}
    for name in WORLDS:
        spec = load(name)
        references = sorted(
            (field.unique, len(spec.entities[field.entity].fields))
            for entity in spec.entities.values() for field in entity.fields.values() if field.type == "reference"
        )  # fmt: skip
        kinds = sorted(
            (operation.kind, len(operation.arguments), len(operation.effects)) for operation in spec.operations.values()
        )
        shapes[name] = (references, kinds, len(spec.policies))
    assert all(one != other for one, other in combinations(shapes.values(), 2))
    assert {kind for _, kinds, _ in shapes.values() for kind, _, _ in kinds} == {
        "read", "search", "create", "update", "delete", "decline",
    }  # fmt: skip


def test_creating_takes_free_keys_until_the_entity_is_full() -> None:
    world = load("library_loans")
    state = world.instantiate(1)
    created = []
    for _ in range(200):
        member = next((key for key, fields in state.records("member").items() if fields["free"] > 0), None)
        lent = {fields["book"] for fields in state.records("loan").values()}
        book = next((key for key, f in state.records("book").items() if f["copies"] > 0 and key not in lent), None)
        if member is None or book is None:
            break
        result = state.call("lend_book", {"member_id": member, "book_id": book})
        assert result.structuredContent is not None
        created.append(result.structuredContent["loan_id"])
    assert created
    assert len(set(created)) == len(created)
    assert not set(created) & set(world.instantiate(1).records("loan"))
    assert [change.key for change in state.diff() if change.kind == "created"] == sorted(created)
