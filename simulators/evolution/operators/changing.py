"""Operators that make tools which change one record or several: fields set, records made and removed, levels moved, moves in
batches, and blind writes replaced.
"""

from collections.abc import Mapping
from typing import Any

from simulators.evolution.draft import Draft, a, spoken
from simulators.evolution.seed_world import compare, default_of, field_of, key_argument

__all__ = ["batch", "copied", "levels", "make_and_remove", "may_be_set", "replace", "setting", "split"]

Document = dict[str, Any]


def split(draft: Draft) -> None:
    """One wide update, and from it a narrow one for each field."""
    for entity in list(draft.entities):
        free = [name for name, field in draft.fields(entity).items() if may_be_set(draft, entity, name, field)]
        if len(free) > 2:
            wide = free[:3]
            words = ", ".join(spoken(name) for name in wide)
            tool = setting(draft, entity, wide, f"Update the {words} of {a(entity)} at once.")
            draft.grow("split", "additive", entity, {f"update_{entity}": tool})
        for name in free:
            description = draft.say(
                f"Set the {spoken(name, entity)} of {a(entity)}.", f"Change {a(entity)}'s {spoken(name, entity)}."
            )
            tools = {f"set_{entity}_{name}": setting(draft, entity, [name], description)}
            if draft.fields(entity)[name].get("nullable"):
                tools[f"clear_{entity}_{name}"] = _clearing(draft, entity, name)
            draft.grow("split", "additive", f"update_{entity}", tools)


def may_be_set(draft: Draft, entity: str, name: str, field: Mapping[str, Any]) -> bool:
    known = draft.domain.entities.get(entity)
    level = known is not None and known.level == name  # goes up and down by tools of its own
    return name != "status" and field["type"] != "reference" and not field.get("unique") and not level


def setting(draft: Draft, entity: str, names: list[str], description: str) -> Document:
    return {
        "kind": "update",
        "entity": entity,
        "description": description,
        "arguments": key_argument(draft, entity) | {name: {"value_of": f"{entity}.{name}"} for name in names},
        "require": [
            compare(field_of(entity, names[0]), "not_equal", {"argument": names[0]}, error="it has this value already")
        ]
        if len(names) == 1
        else [],
        "effects": [{"set": {"record": entity, "fields": {name: {"argument": name} for name in names}}}],
        "returns": {name: field_of(entity, name) for name in names},
    }  # fmt: skip


def _clearing(draft: Draft, entity: str, name: str) -> Document:
    return {
        "kind": "update",
        "entity": entity,
        "description": f"Remove the {spoken(name, entity)} of {a(entity)}.",
        "arguments": key_argument(draft, entity),
        "require": [compare(field_of(entity, name), "not_equal", None, error=f"there is no {spoken(name, entity)}")],
        "effects": [{"set": {"record": entity, "fields": {name: None}}}],
        "returns": {name: field_of(entity, name)},
    }


def make_and_remove(draft: Draft) -> None:
    """Records are made and removed; how a case is made, its own seed tool says."""
    for entity in draft.domain.entities.values():
        if entity.archetype != "case":
            draft.grow("make", "additive", entity.name, {f"add_{entity.name}": _making(draft, entity.name)})
        removing = {
            "kind": "delete",
            "entity": entity.name,
            "description": f"Delete {a(entity.name)}; refused while anything refers to it.",
            "arguments": key_argument(draft, entity.name),
            "effects": [{"delete": {"record": entity.name}}],
            "returns": {"deleted": {"argument": f"{entity.name}_id"}},
        }
        draft.grow("make", "additive", entity.name, {f"delete_{entity.name}": removing})


def _making(draft: Draft, entity: str) -> Document:
    fields = draft.fields(entity)
    asked = [name for name, field in fields.items() if not field.get("nullable")][:3]
    values = {name: {"argument": name} if name in asked else default_of(dict(field)) for name, field in fields.items()}
    return {
        "kind": "create",
        "entity": entity,
        "description": draft.say(f"Add {a(entity)}.", f"Register a new {spoken(entity)}."),
        "arguments": {name: {"value_of": f"{entity}.{name}"} for name in asked},
        "effects": [{"create": {"record": entity, "entity": entity, "fields": values}}],
        "returns": {f"{entity}_id": {"key": entity}},
    }


def levels(draft: Draft) -> None:
    """Stocks are filled and used, accounts are charged and credited, and money moves between them."""
    for entity in draft.domain.entities.values():
        if entity.archetype == "stock":
            words = f"the {spoken(entity.level)} of {a(entity.name)}"
            up = _adding(draft, entity.name, entity.level, 1, f"Raise {words}.")
            down = _adding(draft, entity.name, entity.level, -1, f"Lower {words}.")
            draft.grow("levels", "additive", entity.name, {f"restock_{entity.name}": up, f"draw_from_{entity.name}": down})
        elif entity.archetype == "account":
            words = f"{a(entity.name)}"
            up = _adding(draft, entity.name, entity.level, 1, f"Credit an amount to {words}.")
            down = _adding(draft, entity.name, entity.level, -1, f"Charge an amount to {words}; refused beyond its balance.")
            draft.grow("levels", "additive", entity.name, {f"credit_{entity.name}": up, f"charge_{entity.name}": down})
            moving = {
                "kind": "transfer",
                "entity": entity.name,
                "description": f"Move money from one {spoken(entity.name)} to another.",
                "arguments": key_argument(draft, entity.name)
                | {f"to_{entity.name}_id": {"key_of": entity.name}, "amount": {"value_of": f"{entity.name}.{entity.level}"}},
                "records": {"receiver": {"entity": entity.name, "key": {"argument": f"to_{entity.name}_id"}}},
                "transfer": {"from": entity.name, "to": "receiver", "field": entity.level, "amount": {"argument": "amount"}},
                "returns": {"left": field_of(entity.name, entity.level)},
            }
            draft.grow("levels", "additive", entity.name, {f"transfer_between_{entity.plural}": moving})


def _adding(draft: Draft, entity: str, level: str, sign: int, description: str) -> Document:
    amount: Any = {"argument": "amount"}
    return {
        "kind": "update",
        "entity": entity,
        "description": description,
        "arguments": key_argument(draft, entity) | {"amount": {"value_of": f"{entity}.{level}"}},
        "require": [compare({"argument": "amount"}, "greater", 0, error="the amount must be above 0")],
        "effects": [{"add": {"record": entity, "field": level, "amount": amount if sign > 0 else {"difference": [0, amount]}}}],
        "returns": {level: field_of(entity, level)},
    }


def batch(draft: Draft) -> None:
    """What is done to one case is done to several, all or none."""
    case = draft.domain.case
    keys = {f"{case.name}_ids": {"keys_of": case.name, "maximum": draft.rng.choice((5, 10, 20))}}
    for move in case.moves:
        field = field_of(case.name, "status")
        error = f"the {spoken(case.name)} must be {' or '.join(spoken(state) for state in move.start)}"
        draft.grow("batch", "additive", f"{move.name}_{case.name}", {
            f"{move.name}_{case.plural}": {
                "kind": "batch",
                "entity": case.name,
                "description": f"{move.says.removesuffix('.')}, for several {spoken(case.plural)} at once; all of them or none.",
                "arguments": keys,
                "require": [compare(field, "in", list(move.start), error=error)],
                "effects": [{"set": {"record": case.name, "fields": {"status": move.end}}}],
                "returns": {f"{case.name}_id": {"key": case.name}, "status": field},
            }
        })  # fmt: skip


def replace(draft: Draft) -> None:
    """A blind write is deprecated; its successor must be told what the caller believes is there."""
    blind = [name for name, tool in draft.operations.items() if draft.origin.get(name) == "split" and name.startswith("set_")]
    for name in draft.rng.sample(blind, min(2, len(blind))):
        old = draft.operations[name]
        entity = old["entity"]
        (field,) = old["effects"][0]["set"]["fields"]
        if draft.fields(entity)[field].get("nullable"):
            continue
        tool = copied(old, f"{old['description'].removesuffix('.')}, if it is still what the caller has seen.")
        tool["arguments"][f"expected_{field}"] = {"value_of": f"{entity}.{field}"}
        expected = {"argument": f"expected_{field}"}
        stale = compare(field_of(entity, field), "equal", expected, error="it has been changed by somebody else")
        tool["require"] = [stale, *old["require"]]

        def edit(document: Document, name: str = name) -> None:
            for policy in document["policies"]:
                policy["operations"] = [f"{name}_v2" if tool == name else tool for tool in policy["operations"]]

        if len(f"{name}_v2") <= 64:
            draft.grow("replace", "breaking", name, {f"{name}_v2": tool}, (name,), edit)


def copied(base: Mapping[str, Any], description: str) -> Document:
    return {**base, "description": description, "arguments": dict(base["arguments"]), "returns": dict(base["returns"])}
