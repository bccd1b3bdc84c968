"""The first world of a domain: for each entity a reading and a search, for the case its making and its moves, and the
domain's rules. Everything else is grown from it.
"""

import random
from typing import Any, Final

from simulators.evolution.domains import Domain, Entity, Field
from simulators.evolution.draft import Draft, a, spoken
from simulators.evolution.vocabulary import VOCABULARIES

__all__ = ["seed_draft", "compare", "field_of", "key_argument", "shown"]

RECORDS: Final = {"party": 8, "item": 6, "stock": 5, "account": 7, "case": 9}
"""Of a fresh instance, by archetype."""
DIGITS: Final = 4
MOST_DRAWS: Final = 40
"""Words of a vocabulary in one world."""
ASKED_AT_CREATION: Final = 3
"""Fields of a new case that whoever opens it must give; the others begin with a default."""


def seed_draft(domain: Domain, rng: random.Random) -> Draft:
    """The draft before its first step."""
    entities = {entity.name: _entity(entity, domain, rng) for entity in domain.entities.values()}
    document: dict[str, Any] = {
        "name": domain.name,
        "title": domain.title,
        "instructions": _instructions(domain),
        "entities": entities,
        "operations": {},
        "policies": [],
    }
    draft = Draft(domain, document, rng)
    for entity in domain.entities.values():
        _add_reading(draft, entity)
    _add_case(draft)
    _add_rules(draft)
    draft.origin = dict.fromkeys(draft.operations, "seed")
    return draft


def field_of(record: str, name: str) -> dict[str, str]:
    return {"field": f"{record}.{name}"}


def compare(left: Any, op: str, right: Any, **more: Any) -> dict[str, Any]:
    return {"left": left, "op": op, "right": right} | more


def key_argument(draft: Draft, entity: str) -> dict[str, Any]:
    """The argument that names a record."""
    return {f"{entity}_id": {"key_of": entity, "description": f"Identifier of the {spoken(entity)}."}}


def shown(draft: Draft, entity: str, limit: int = 99) -> dict[str, Any]:
    """What a reading returns: the fields, references by their keys."""
    names = list(draft.fields(entity))[:limit]
    return {name: field_of(entity, name) for name in names}


def _entity(entity: Entity, domain: Domain, rng: random.Random) -> dict[str, Any]:
    count = RECORDS[entity.archetype]
    fields: dict[str, Any] = {name: {"type": "reference", "entity": name} for name in entity.of}
    if entity.archetype == "case":
        fields["status"] = {"type": "enum", "values": list(entity.states)}
    for field in entity.fields.values():
        fields[field.name] = _field(field, rng)
    return {"count": count, "capacity": count + 30, "digits": DIGITS, "fields": fields}


def _field(field: Field, rng: random.Random) -> dict[str, Any]:
    document = dict(field.document)
    if (vocabulary := document.pop("vocabulary", None)) is None:
        return document
    pool = VOCABULARIES[vocabulary]
    return document | {"draw": rng.sample(pool, min(MOST_DRAWS, len(pool))), "max_length": 60}


def _instructions(domain: Domain) -> str:
    rules = " ".join(f"{rule.text.removesuffix('.')}: decline with reason {rule.reason}." for rule in domain.rules)
    case = spoken(domain.case.name)
    return f"You {domain.role}. Look at the {case} first. {rules} Otherwise do what is asked."


def _add_reading(draft: Draft, entity: Entity) -> None:
    name, label = entity.name, entity.label
    draft.operations[f"get_{name}"] = {
        "kind": "read",
        "entity": name,
        "description": draft.say(
            f"Get {a(name)} with all of its details. {entity.about}",
            f"Return one {spoken(name)} by its identifier. {entity.about}",
            f"Read the full record of {a(name)}. {entity.about}",
        ),
        "arguments": key_argument(draft, name),
        "returns": shown(draft, name),
    }
    if label is None:
        return
    extra = [other for other in entity.fields.values() if other is not label][:2]
    draft.operations[f"find_{name}"] = {
        "kind": "search",
        "entity": name,
        "description": f"Find {a(name)} by {spoken(label.name)}; the match is exact.",
        "arguments": {label.name: {"value_of": f"{name}.{label.name}"}},
        "match": [compare(field_of(name, label.name), "equal", {"argument": label.name})],
        "returns": {f"{name}_id": {"key": name}} | {other.name: field_of(name, other.name) for other in extra},
    }


def _add_case(draft: Draft) -> None:
    case = draft.domain.case
    for other in case.of:
        label = draft.domain.entities[other].label
        if label is None:
            continue
        draft.operations[f"find_{case.plural}_by_{other}"] = {
            "kind": "search",
            "entity": case.name,
            "description": f"Find the {spoken(case.plural)} of {a(other)} by {spoken(label.name)}.",
            "arguments": {label.name: {"value_of": f"{other}.{label.name}"}},
            "records": {other: {"entity": other, "key": field_of(case.name, other)}},
            "match": [compare(field_of(other, label.name), "equal", {"argument": label.name})],
            "returns": {f"{case.name}_id": {"key": case.name}, "status": field_of(case.name, "status")},
        }
    for move in case.moves:
        draft.operations[f"{move.name}_{case.name}"] = {
            "kind": "transition",
            "entity": case.name,
            "description": move.says,
            "arguments": key_argument(draft, case.name),
            "transition": {"field": "status", "from": list(move.start), "to": move.end},
            "returns": {"status": field_of(case.name, "status")},
        }
    draft.operations[f"{case.create}_{case.name}"] = _creation(draft, case)
    draft.operations["decline_request"] = {
        "kind": "decline",
        "entity": case.name,
        "description": f"Decline a request about {a(case.name)} and name the reason.",
        "arguments": key_argument(draft, case.name) | {"reason": {"reason": True}},
    }


def _creation(draft: Draft, case: Entity) -> dict[str, Any]:
    """A new case takes one from a stock, where it refers to one."""
    asked = [field for field in case.fields.values() if not field.document.get("nullable")][:ASKED_AT_CREATION]
    values: dict[str, Any] = {other: {"key": other} for other in case.of} | {"status": case.states[0]}
    for field in case.fields.values():
        document = draft.fields(case.name)[field.name]
        values[field.name] = {"argument": field.name} if field in asked else default_of(dict(document))
    arguments: dict[str, Any] = {}
    for other in case.of:
        arguments |= key_argument(draft, other)
    arguments |= {field.name: {"value_of": f"{case.name}.{field.name}"} for field in asked}
    stock = next((draft.domain.entities[name] for name in case.of if draft.domain.entities[name].archetype == "stock"), None)
    named = " and ".join(spoken(other) for other in case.of)
    return {
        "kind": "create" if stock is None else "reserve",
        "entity": case.name,
        "description": f"{spoken(case.create).capitalize()} {a(case.name)} for a {named}. {case.about}",
        "arguments": arguments,
        "records": {other: {"entity": other, "key": {"argument": f"{other}_id"}} for other in case.of},
        "effects": [{"create": {"record": case.name, "entity": case.name, "fields": values}}],
        "returns": {f"{case.name}_id": {"key": case.name}},
    } | ({"reserve": {"record": stock.name, "field": stock.level, "amount": 1}} if stock is not None else {})


def default_of(document: dict[str, Any]) -> Any:
    """What a field holds where nobody said anything."""
    if document.get("nullable"):
        return None
    match document["type"]:
        case "enum":
            return document["values"][0]
        case "boolean":
            return False
        case "date":
            return document["earliest"]
        case "text":
            return document["draw"][0]
        case _:
            return document["minimum"]


def _add_rules(draft: Draft) -> None:
    case = draft.domain.case
    for rule in draft.domain.rules:
        moves = [f"{name}_{case.name}" for name in rule.forbids if name not in ("change", "delete")]
        draft.document["policies"].append(
            {"id": rule.id, "text": rule.text, "operations": moves, "entity": case.name,
             "forbids_when": dict(rule.when), "reason": rule.reason}
        )  # fmt: skip
    # A rule about changes alone gets its operations when there are some; until then it waits outside of the document.
    draft.document["policies"] = [policy for policy in draft.document["policies"] if policy["operations"]]
