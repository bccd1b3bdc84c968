"""What the language can say, on a world made for it: conditions, arithmetic, effects in order, deletion, capacity."""

import json
from typing import Any

import pytest

from simulators.worlds import WorldSpec, parse
from trajectories.tasks import RecordPatch


def field(name: str) -> dict[str, str]:
    return {"field": name}


def compare(left: Any, op: str, right: Any) -> dict[str, Any]:
    return {"left": left, "op": op, "right": right}


def world(**operations: dict[str, Any]) -> WorldSpec:
    """Boxes that stand in rooms; `operations` are added to a reading and a refusal."""
    box = {"kind": "update", "entity": "box", "description": "x", "arguments": {"box_id": {"key_of": "box"}}}
    added = {name: {**box, "returns": {"done": True}, **settings} for name, settings in operations.items()}
    return parse({
        "name": "rooms", "title": "Rooms", "instructions": "Carry boxes.",
        "entities": {
            "room": {"count": 3, "fields": {"size": {"type": "integer", "minimum": 0, "maximum": 9, "draw": [4]}}},
            "box": {
                "count": 2, "capacity": 3,
                "fields": {
                    "room": {"type": "reference", "entity": "room"},
                    "weight": {"type": "integer", "minimum": 0, "maximum": 100, "draw": [7]},
                    "open": {"type": "boolean", "draw": [False]},
                    "label": {"type": "text", "draw": ["old"], "max_length": 8},
                },
            },
        },
        "operations": {
            "touch": {**box, "effects": [{"set": {"record": "box", "fields": {"open": True}}}],
                      "returns": {"done": True}},
            "decline": {"kind": "decline", "entity": "box", "description": "x",
                        "arguments": {"box_id": {"key_of": "box"}, "reason": {"reason": True}}},
            **added,
        },
        "policies": [{"id": "p", "text": "t", "operations": ["touch"], "entity": "box", "reason": "open",
                      "forbids_when": compare(field("box.open"), "equal", True)}],
    })  # fmt: skip


TRUE_CONDITIONS = [
    compare(field("box.weight"), "equal", 7),
    compare(field("box.weight"), "not_equal", 8),
    compare(field("box.weight"), "less", 8),
    compare(field("box.weight"), "at_most", 7),
    compare(field("box.weight"), "greater", 6),
    compare(field("box.weight"), "at_least", 7),
    compare(field("box.weight"), "in", [1, 7]),
    compare(field("box.label"), "not_in", ["new"]),
    compare({"sum": [field("box.weight"), 3]}, "equal", 10),
    compare({"difference": [3, field("box.weight")]}, "equal", -4),
    compare({"product": [field("box.weight"), {"sum": [1, 1]}]}, "equal", 14),
    compare(field("box.open"), "equal", False),
]


@pytest.mark.parametrize("condition", TRUE_CONDITIONS, ids=json.dumps)
def test_a_condition_decides_and_its_negation_decides_otherwise(condition: dict[str, Any]) -> None:
    effects = [{"add": {"record": "box", "field": "weight", "amount": 1}}]
    false = {"not": condition}
    cases = {
        "plain": (condition, True), "negated": (false, False), "doubly": ({"not": false}, True),
        "all_true": ({"all": [condition, condition]}, True), "all_mixed": ({"all": [condition, false]}, False),
        "any_mixed": ({"any": [false, condition]}, True), "any_false": ({"any": [false, false]}, False),
    }  # fmt: skip
    spec = world(
        **{name: {"require": [{**case, "error": "no"}], "effects": effects} for name, (case, _) in cases.items()}
    )
    for name, (_, holds) in cases.items():
        state = spec.instantiate(1)
        key = next(iter(state.records("box")))
        result = state.call(name, {"box_id": key})
        assert result.isError != holds, name
        assert (state.diff() == ()) != holds
        assert holds or result.content == '{"error":"no"}'


def test_effects_see_the_effects_before_them() -> None:
    effects = [
        {"add": {"record": "box", "field": "weight", "amount": 3}},
        {"set": {"record": "box", "fields": {"weight": {"product": [field("box.weight"), 2]}}}},
    ]
    state = world(change={"effects": effects, "returns": {"weight": field("box.weight")}}).instantiate(1)
    key = next(iter(state.records("box")))
    assert state.call("change", {"box_id": key}).structuredContent == {"weight": 20}


def test_two_names_of_one_record_see_the_same_fields() -> None:
    """Taking from one and giving to the other comes to nothing when both are the same."""
    settings = {
        "arguments": {"box_id": {"key_of": "box"}, "room_id": {"key_of": "room"}},
        "records": {
            "old": {"entity": "room", "key": field("box.room")},
            "new": {"entity": "room", "key": {"argument": "room_id"}},
        },
        "effects": [
            {"add": {"record": "old", "field": "size", "amount": 1}},
            {"add": {"record": "new", "field": "size", "amount": -1}},
        ],
        "returns": {"old": field("old.size"), "new": field("new.size")},
    }
    state = world(move=settings).instantiate(1)
    key, fields = next(iter(state.records("box").items()))
    other = next(room for room in state.records("room") if room != fields["room"])
    same = state.call("move", {"box_id": key, "room_id": fields["room"]})
    assert same.structuredContent == {"old": 4, "new": 4}
    assert state.diff() == ()
    assert state.call("move", {"box_id": key, "room_id": other}).structuredContent == {"old": 5, "new": 3}


def test_a_record_that_another_refers_to_cannot_be_deleted() -> None:
    remove = {
        "kind": "delete", "entity": "room", "arguments": {"room_id": {"key_of": "room"}},
        "effects": [{"delete": {"record": "room"}}],
    }  # fmt: skip
    spec = world(remove=remove)
    state = spec.instantiate(1)
    used = {fields["room"] for fields in state.records("box").values()}
    for room in list(state.records("room")):
        result = state.call("remove", {"room_id": room})
        assert result.isError == (room in used)
        assert not result.isError or f"room {room} is in use by box" in result.content
    assert set(state.records("room")) == used


def test_creation_stops_at_the_capacity_and_a_freed_key_is_taken_again() -> None:
    new = {
        "kind": "create", "arguments": {"room_id": {"key_of": "room"}, "label": {"value_of": "box.label"}},
        "effects": [{"create": {"record": "made", "entity": "box", "fields": {
            "room": {"argument": "room_id"}, "weight": 1, "open": False, "label": {"argument": "label"}}}}],
        "returns": {"box_id": {"key": "made"}},
    }  # fmt: skip
    drop = {"kind": "delete", "effects": [{"delete": {"record": "box"}}]}
    state = world(new=new, drop=drop).instantiate(1)
    room = next(iter(state.records("room")))
    first = state.call("new", {"room_id": room, "label": "größe"})
    assert first.structuredContent is not None
    key = first.structuredContent["box_id"]
    assert state.records("box")[key] == {"room": room, "weight": 1, "open": False, "label": "größe"}
    assert state.call("new", {"room_id": room, "label": "x"}).content == '{"error":"no room for another box"}'
    filled = state.digest()
    assert not state.call("drop", {"box_id": key}).isError
    assert state.diff() == ()
    assert state.call("new", {"room_id": room, "label": "größe"}) == first
    assert state.digest() == filled


@pytest.mark.parametrize("label", ["", "nine char", "\ud800"])
def test_text_keeps_its_bounds(label: str) -> None:
    rename = {
        "arguments": {"box_id": {"key_of": "box"}, "label": {"value_of": "box.label"}},
        "effects": [{"set": {"record": "box", "fields": {"label": {"argument": "label"}}}}],
    }
    state = world(rename=rename).instantiate(1)
    key = next(iter(state.records("box")))
    assert state.call("rename", {"box_id": key, "label": label}).isError
    assert state.call("rename", json.dumps({"box_id": key, "label": label})).isError
    assert state.diff() == ()


def test_whose_content_it_is_belongs_to_the_digest() -> None:
    """Two records that exchange what they hold are another world, although the same things are in it."""
    spec = world()
    one, other = spec.instantiate(1).records("box")
    room = next(iter(spec.instantiate(1).records("room")))
    digests = set()
    for light, heavy in ((one, other), (other, one)):
        patches = (RecordPatch("box", light, {"room": room, "weight": 1}), RecordPatch("box", heavy, {"room": room}))
        digests.add(spec.instantiate(1, patches).digest())
    assert len(digests) == 2


def test_a_policy_reads_a_record() -> None:
    (policy,) = world().policies
    key = next(iter(world().instantiate(1).keys("box")))
    for is_open in (True, False):
        state = world().instantiate(1, (RecordPatch("box", key, {"open": is_open}),))
        assert policy.applies(state, key, {}) == is_open
