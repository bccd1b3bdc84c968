"""Operators that change the world around the tools: new fields and records, workflows over several of them, and another
idiom.
"""

from typing import Any, Final

from simulators.evolution.draft import Draft, Extension, a, spoken
from simulators.evolution.operators.changing import copied, may_be_set, setting
from simulators.evolution.operators.telling import special_lists
from simulators.evolution.seed_world import default_of, field_of, key_argument

__all__ = ["compose", "extend", "outbox", "rename"]

Document = dict[str, Any]

_EXTENSIONS: Final[tuple[tuple[str, Document, str], ...]] = (
    ("priority", {"type": "enum", "values": ["low", "normal", "high"]}, "how urgent it is"),
    ("flagged", {"type": "boolean"}, "whether somebody should look at it again"),
    (
        "follow_up_on",
        {"type": "date", "earliest": "2026-01-01", "latest": "2026-12-31", "nullable": True},
        "when to come back to it",
    ),
    ("region", {"type": "enum", "values": ["north", "south", "east", "west"]}, "where it belongs"),
    ("score", {"type": "integer", "minimum": 0, "maximum": 100}, "how well it was rated"),
    ("archived", {"type": "boolean"}, "whether it is out of daily use"),
    ("reviewed_on", {"type": "date", "earliest": "2025-01-01", "latest": "2025-12-31"}, "when it was looked at last"),
    ("visibility", {"type": "enum", "values": ["internal", "partner", "public"]}, "who may see it"),
    ("attempts", {"type": "integer", "minimum": 0, "maximum": 9}, "how often it was tried"),
)  # fmt: skip
_IDIOMS: Final = (
    {"get": "get", "list": "list", "find": "find", "set": "set", "delete": "delete", "add": "add"},
    {"get": "retrieve", "list": "list", "find": "search", "set": "update", "delete": "delete", "add": "create"},
    {"get": "fetch", "list": "browse", "find": "lookup", "set": "change", "delete": "remove", "add": "register"},
    {"get": "show", "list": "list", "find": "find", "set": "edit", "delete": "remove", "add": "new"},
    {"get": "read", "list": "query", "find": "find", "set": "set", "delete": "drop", "add": "insert"},
)


def outbox(draft: Draft) -> None:
    """Messages: a record of what was sent to whom, and a tool for each occasion."""
    name = "notice"
    party = next(entity.name for entity in draft.domain.entities.values() if entity.archetype == "party")
    if name in draft.entities:
        return
    fields = {
        "receiver": {"type": "reference", "entity": party},
        "channel": {"type": "enum", "values": ["email", "letter", "sms"]},
        "text": {"type": "text", "draw": ["Your request has been received."], "max_length": 200},
    }

    def edit(document: Document) -> None:
        document["entities"][name] = {"count": 1, "capacity": 40, "digits": 4, "fields": fields}

    words = {"channel": {"value_of": f"{name}.channel"}, "text": {"value_of": f"{name}.text"}}
    effects = [{"create": {"record": name, "entity": name, "fields": {
        "receiver": {"key": party}, "channel": {"argument": "channel"}, "text": {"argument": "text"}}}}]  # fmt: skip
    result = {"notice_id": {"key": name}}
    tools: dict[str, Document] = {
        f"notify_{party}": {
            "kind": "notify", "entity": party, "description": f"Send a message to {a(party)}.",
            "arguments": key_argument(draft, party) | words, "effects": effects, "returns": result,
        }
    }  # fmt: skip
    case = draft.domain.case
    if party in case.of:
        tools[f"send_{case.name}_notice"] = {
            "kind": "notify", "entity": case.name,
            "description": f"Send a message to the {spoken(party)} of {a(case.name)}.",
            "arguments": key_argument(draft, case.name) | words,
            "records": {party: {"entity": party, "key": field_of(case.name, party)}},
            "effects": effects, "returns": result,
        }  # fmt: skip
    draft.grow("extend", "additive", party, tools, edit=edit)


def extend(draft: Draft) -> None:
    """An entity gets a further field, and the tools that come with it: first those that are drawn, then what was proposed."""
    chosen = draft.rng.sample(_EXTENSIONS, 3)
    entities = [entity.name for entity in draft.domain.entities.values()]
    for (name, field, meaning), entity in zip(chosen, draft.rng.sample(entities, min(3, len(entities))), strict=False):
        _widen(draft, Extension(entity, name, field, meaning))
    drawn = draft.rng.getstate()
    for extension in draft.extensions:
        _widen(draft, extension)
    draft.rng.setstate(drawn)  # later operators draw what they draw without proposals, so that the other tools stay


def _widen(draft: Draft, extension: Extension) -> None:
    entity, name, field = extension.entity, extension.name, dict(extension.document)
    if name in draft.fields(entity):
        return

    def edit(document: Document) -> None:
        document["entities"][entity]["fields"][name] = dict(field)
        for tool in document["operations"].values():
            for effect in tool.get("effects", []):
                if effect.get("create", {}).get("entity") == entity:
                    effect["create"]["fields"][name] = default_of(field)

    draft.grow("extend", "additive", f"{entity}.{name}", {}, edit=edit)
    tool = setting(draft, entity, [name], f"Set the {spoken(name, entity)} of {a(entity)}: {extension.meaning}.")
    special = dict(special_lists(draft, entity, name, field))
    draft.grow("extend", "additive", f"{entity}.{name}", {f"set_{entity}_{name}": tool} | special)


def compose(draft: Draft) -> None:
    """Two things that belong together become one workflow: a move with its booking, its release, or its note."""
    case = draft.domain.case
    for number, move in enumerate(case.moves):
        base = draft.operations.get(f"{move.name}_{case.name}")
        if base is None:
            continue
        for other in case.of:
            entity = draft.domain.entities[other]
            record = {other: {"entity": other, "key": field_of(case.name, other)}}
            if entity.archetype == "account":
                tool = copied(base, f"{move.says.removesuffix('.')}, and charge an amount to its {spoken(other)}.")
                tool["arguments"]["amount"] = {"value_of": f"{other}.{entity.level}"}
                tool["records"] = record
                tool["effects"] = [_less(other, entity.level, {"argument": "amount"})]
                tool["returns"][entity.level] = field_of(other, entity.level)
                draft.grow("compose", "additive", f"{move.name}_{case.name}", {f"{move.name}_{case.name}_and_charge": tool})
            elif entity.archetype == "stock":
                tool = copied(base, f"{move.says.removesuffix('.')}, and give back one of its {spoken(other)}.")
                tool["records"] = record
                tool["effects"] = [{"add": {"record": other, "field": entity.level, "amount": 1}}]
                tool["returns"][entity.level] = field_of(other, entity.level)
                draft.grow("compose", "additive", f"{move.name}_{case.name}", {f"{move.name}_{case.name}_and_release": tool})
        free = [name for name, field in draft.fields(case.name).items() if may_be_set(draft, case.name, name, field)]
        if free:
            name = free[number % len(free)]
            tool = copied(base, f"{move.says.removesuffix('.')}, and set its {spoken(name, case.name)}.")
            tool["arguments"][name] = {"value_of": f"{case.name}.{name}"}
            tool["effects"] = [{"set": {"record": case.name, "fields": {name: {"argument": name}}}}]
            tool["returns"][name] = field_of(case.name, name)
            draft.grow("compose", "additive", f"{move.name}_{case.name}", {f"{move.name}_{case.name}_with_{name}": tool})


def _less(record: str, field: str, amount: Any) -> Document:
    return {"add": {"record": record, "field": field, "amount": {"difference": [0, amount]}}}


def rename(draft: Draft) -> None:
    """The domain's tools speak one idiom; nothing but names changes."""
    idiom = draft.rng.choice(_IDIOMS)
    for verb, word in idiom.items():
        if verb == word:
            continue
        names = {}
        for name in draft.operations:
            first, _, rest = name.partition("_")
            new = f"{word}_{rest}"
            if first == verb and rest and new not in draft.operations and len(new) <= 64:
                names[name] = new
        if not names:
            continue

        def edit(document: Document, names: dict[str, str] = names) -> None:
            operations = {names.get(name, name): tool for name, tool in document["operations"].items()}
            document["operations"] = operations
            for policy in document["policies"]:
                policy["operations"] = [names.get(name, name) for name in policy["operations"]]

        origin = {names.get(name, name): operator for name, operator in draft.origin.items()}
        draft.grow("rename", "cosmetic", f"{verb} -> {word}", {}, edit=edit)
        draft.origin = origin
