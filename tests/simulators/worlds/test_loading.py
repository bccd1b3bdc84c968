"""A bad spec is refused before anything runs, with the file, the line and the path of what is wrong."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulators.worlds import WorldSpecError, load, names, parse
from simulators.worlds.loading import LIBRARY

Document = dict[str, Any]
DESK: Document = yaml.safe_load((LIBRARY / "order_desk.yaml").read_text())


def put(path: str, value: Any) -> Callable[[Document], None]:
    """A change of the document: the value at a dotted path, indices as numbers; None of type `type` removes it."""

    def change(document: Any) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in parents:
            document = document[part]
        if value is REMOVED:
            del document[last]
        else:
            document[last] = value

    return change


REMOVED = object()
CANCEL = "operations.cancel_order"
CHANGE = "operations.change_count"

BAD: list[tuple[Callable[[Document], None], str, str]] = [
    (put("policies", REMOVED), "top level", "missing key policies"),
    (put("extra", 1), "extra", "unknown key"),
    (put("name", "Order Desk"), "name", "no name"),
    (put("title", ""), "title", "not empty"),
    (put("entities", {}), "entities", "at least one entity"),
    (put("entities.order.count", 0), "entities.order.count", "from 1"),
    (put("entities.order.count", True), "entities.order.count", "integer"),
    (put("entities.order.capacity", 3), "entities.order.capacity", "from 6"),
    (put("entities.order.fields.status.type", "status"), "entities.order.fields.status.type", "unknown field type"),
    (put("entities.order.fields.status.values", ["a", "a"]), "entities.order.fields.status.values", "each once"),
    (put("entities.order.fields.status.draw", ["lost"]), "entities.order.fields.status.draw[0]", "one of new"),
    (put("entities.order.fields.status.minimum", 1), "entities.order.fields.status.minimum", "unknown key"),
    (put("entities.order.fields.product.entity", "produkt"), "entities.order.fields.product.entity", "unknown entity"),
    (put("entities.order.fields.product.unique", True), "entities.order.fields.product", "unique field of 6 records"),
    (put("entities.customer.fields.name.draw", ["Anna"]), "entities.customer.fields.name", "unique field of 8 records"),
    (put("entities.product.fields.stock.maximum", -1), "entities.product.fields.stock.maximum", "from 0"),
    (put(f"{CANCEL}.kind", "cancel"), f"{CANCEL}.kind", "unknown kind 'cancel'"),
    (put(f"{CANCEL}.kind", "update"), f"{CANCEL}.effects", "of the others only batch does"),
    (put(f"{CANCEL}.entity", "orders"), f"{CANCEL}.entity", "unknown entity 'orders'"),
    (put(f"{CANCEL}.returns", REMOVED), CANCEL, "missing key returns"),
    (put(f"{CANCEL}.match", []), f"{CANCEL}.match", "unknown key"),
    (put(f"{CANCEL}.arguments", {}), f"{CANCEL}.arguments", "key_of: order"),
    (put(f"{CANCEL}.arguments.order_id.optional", True), f"{CANCEL}.arguments.order_id.optional", "of kind search"),
    (put(f"{CANCEL}.arguments.reason", {"reason": True}), f"{CANCEL}.arguments.reason.reason", "only declining"),
    (
        put(f"{CANCEL}.arguments.x", {"value_of": "order.size"}),
        f"{CANCEL}.arguments.x.value_of",
        "undefined field 'size'",
    ),
    (put(f"{CANCEL}.arguments.x", {"value_of": "order.product"}), f"{CANCEL}.arguments.x.value_of", "key_of: product"),
    (put(f"{CANCEL}.arguments.x", {"schema": {"type": "object"}}), f"{CANCEL}.arguments.x.schema.type", "unknown type"),
    (
        put(f"{CANCEL}.arguments.x", {"schema": {"type": "integer"}}),
        f"{CANCEL}.arguments.x.schema",
        "missing key minimum",
    ),
    (
        put(f"{CANCEL}.arguments.x", {"schema": {"type": "boolean", "$ref": "http://example.org"}}),
        f"{CANCEL}.arguments.x.schema.$ref",
        "unknown key",
    ),
    (
        put(f"{CANCEL}.arguments.x", {"schema": {"type": "string", "maxLength": 5, "pattern": "("}}),
        f"{CANCEL}.arguments.x.schema",
        "not a JSON Schema",
    ),
    (put(f"{CANCEL}.records.order", {"entity": "order", "key": "1"}), f"{CANCEL}.records.order", "already bound"),
    (put(f"{CANCEL}.records.product.key", {"field": "order.count"}), f"{CANCEL}.records.product.key", "key:product"),
    (
        put(f"{CANCEL}.records.product.key", {"field": "order.item"}),
        f"{CANCEL}.records.product.key.field",
        "undefined field",
    ),
    (
        put(f"{CANCEL}.records.product.key", {"field": "orders.item"}),
        f"{CANCEL}.records.product.key.field",
        "undefined record",
    ),
    (put(f"{CANCEL}.records.product.key", {"field": "order"}), f"{CANCEL}.records.product.key.field", "record.field"),
    (put(f"{CANCEL}.records.product.key", {"eval": "1+1"}), f"{CANCEL}.records.product.key.eval", "unknown expression"),
    (put(f"{CANCEL}.effects", []), f"{CANCEL}.effects", "at least one effect"),
    (put(f"{CANCEL}.effects.0", {"run": "x"}), f"{CANCEL}.effects[0]", "one of set, add, create, delete"),
    (put(f"{CANCEL}.effects.0.add.record", "shop"), f"{CANCEL}.effects[0].add.record", "unknown record 'shop'"),
    (put(f"{CANCEL}.effects.0.add.field", "item"), f"{CANCEL}.effects[0].add.field", "unknown numeric field 'item'"),
    (put(f"{CANCEL}.effects.0.add.amount", "2"), f"{CANCEL}.effects[0].add.amount", "integer is needed"),
    (put(f"{CANCEL}.effects.0.add.amount", {"sum": [1]}), f"{CANCEL}.effects[0].add.amount.sum", "two expressions"),
    (put(f"{CANCEL}.returns.status", {"field": "order.status"}), f"{CANCEL}.returns.status.field", "deleted above"),
    (put(f"{CHANGE}.effects.1.set.fields.state", "new"), f"{CHANGE}.effects[1].set.fields.state", "undefined field"),
    (put(f"{CHANGE}.effects.1.set.fields.status", "lost"), f"{CHANGE}.effects[1].set.fields.status", "one of new"),
    (
        put(f"{CHANGE}.effects.1.set.fields.count", {"argument": "size"}),
        f"{CHANGE}.effects[1].set.fields.count",
        "unknown",
    ),
    (put(f"{CHANGE}.require.0.op", "equals"), f"{CHANGE}.require[0].op", "unknown op 'equals'"),
    (put(f"{CHANGE}.require.0.error", REMOVED), f"{CHANGE}.require[0]", "missing key error"),
    (put(f"{CHANGE}.require.0.left", {"field": "order.status"}), f"{CHANGE}.require[0].right", "string is needed"),
    (
        put("operations.place_order.effects.1.create.fields.count", REMOVED),
        "operations.place_order.effects[1]",
        "missing: count",
    ),
    (
        put("operations.find_order.match.0.left", {"field": "customer.age"}),
        "operations.find_order.match[0].left",
        "undefined",
    ),
    (put("operations.find_order.limit", 0), "operations.find_order.limit", "from 1"),
    (put("operations.decline_request", REMOVED), "operations", "exactly one operation of kind decline"),
    (
        put("operations.decline_request.arguments.reason", REMOVED),
        "operations.decline_request.arguments",
        "two arguments",
    ),
    (put("policies", []), "policies", "at least one policy"),
    (put("policies.0.operations", ["cancel"]), "policies[0].operations[0]", "unknown operation 'cancel'"),
    (put("policies.0.operations", ["get_order"]), "policies[0].operations[0]", "does not change"),
    (put("policies.0.operations", ["place_order"]), "policies[0].operations[0]", "does not change a given order"),
    (put("policies.0.entity", "product"), "policies[0].entity", "must be order"),
    (put("policies.0.reason", "It was sent."), "policies[0].reason", "no name"),
    (put("policies.0.forbids_when.right", ["sent", "dnoe"]), "policies[0].forbids_when.right", "'dnoe' is no value"),
    (
        put("policies.0.forbids_when.left", {"field": "order.state"}),
        "policies[0].forbids_when.left.field",
        "undefined field",
    ),
    (put("policies.0.forbids_when", {"not": {}}), "policies[0].forbids_when.not", "a condition has"),
    (put("policies.0.forbids_when", {"any": []}), "policies[0].forbids_when.any", "at least one condition"),
    (
        put("policies.0.forbids_when", {"left": {"key": "order"}, "op": "equal", "right": {"key": "order"}}),
        "policies[0].forbids_when.left.key",
        "not its key",
    ),
    (
        put("policies.0.forbids_when", {"left": {"field": "order.status"}, "op": "less", "right": "sent"}),
        "policies[0].forbids_when.left",
        "compares numbers or dates",
    ),
]


@pytest.mark.parametrize(("change", "path", "complaint"), BAD, ids=[f"{path}: {what}" for _, path, what in BAD])
def test_a_bad_spec_names_file_line_and_path(
    change: Callable[[Document], None], path: str, complaint: str, tmp_path: Path
) -> None:
    document = copy.deepcopy(DESK)
    change(document)
    file = tmp_path / "desk.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(WorldSpecError) as caught:
        load(file)
    message = str(caught.value)
    place, _, rest = message.removeprefix(str(file)).partition(": ")
    assert message.startswith(str(file))
    assert place.removeprefix(":").isdigit()
    assert rest.startswith(path)
    assert complaint in rest
    with pytest.raises(WorldSpecError, match=r"^made: "):
        parse(document, source="made")


def test_the_line_is_the_line_of_the_key(tmp_path: Path) -> None:
    text = (
        (LIBRARY / "order_desk.yaml")
        .read_text()
        .replace("{field: order.product}}\n    returns", "{field: order.box}}\n    returns")
    )
    file = tmp_path / "desk.yaml"
    file.write_text(text)
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "order.box" in row)
    with pytest.raises(
        WorldSpecError, match=rf"desk\.yaml:{line}: operations\.get_order\.records\.product\.key\.field: .*'box'"
    ):
        load(file)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "empty"),
        (b"- 1\n", "must be a mapping"),
        (b"name: [1\n", "not YAML"),
        (b"name: \xff\n", "not UTF-8"),
        (b"name: a\nname: b\n", ":2: name: this key is already given"),
        (b"a: &x 1\nb: *x\n", "anchors"),
        (b"a: !!python/object/apply:os.system [true]\n", "unknown key|plain"),
        (b"a: !!python/name:os.system x\n", "plain strings"),
        (b"a: 2024-01-01\n", "quote"),
        (b"1: a\n", "keys must be strings"),
        (b"yes: a\n", "keys must be strings"),
        (b'name: "\\ud800"\n', "surrogate|Unicode"),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused(text: bytes, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(text)
    with pytest.raises(WorldSpecError, match=complaint):
        load(file)


def test_an_unknown_world_or_file_is_named() -> None:
    with pytest.raises(WorldSpecError, match=r"no world 'orders'; give one of bank_branch, it_tickets, .*order_desk"):
        load("orders")
    with pytest.raises(WorldSpecError, match=r"nowhere/desk\.yaml: cannot be read: No such file"):
        load("nowhere/desk.yaml")


def test_name_path_and_mapping_give_the_same_spec() -> None:
    world = load("order_desk")
    assert load("order_desk") is world
    assert load(LIBRARY / "order_desk.yaml") == world
    assert parse(DESK) == world
    assert parse(DESK).instantiate(4).digest() == world.instantiate(4).digest()
    assert pickle.loads(pickle.dumps(world)) == world
    assert len({load(name).fingerprint() for name in names()}) == len(names())


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text((LIBRARY / "order_desk.yaml").read_text())
    first = load(file)
    file.write_text((LIBRARY / "order_desk.yaml").read_text().replace("count: 8", "count: 9"))
    assert load(file).entities["customer"].count == 9
    assert load(file) != first
