"""The operators by which a world grows: each takes a draft and makes tools from what is there, one step at a time.

An operator never invents behaviour that the world language cannot run; what it makes is checked with the whole document
when the world is parsed.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from simulators.evolution.draft import Draft, a, spoken
from simulators.evolution.seed_world import compare, default_of, field_of, key_argument

__all__ = ["OPERATORS"]

Document = dict[str, Any]
COUNTED: Final = ("integer", "quantity", "money")
PAGES: Final = (5, 8, 10, 20)

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


def specialise(draft: Draft) -> None:
    """Readings become lists, and lists become lists of something: by a choice, from a date on, above a number."""
    for entity in list(draft.entities):
        fields, plural = draft.fields(entity), draft.plural(entity)
        base = _list(draft, entity, f"List {spoken(plural)}, page by page, filtered by any of their properties.")
        for name, field in fields.items():
            if field["type"] in ("enum", "boolean") and not field.get("nullable"):
                base["arguments"][name] = {"value_of": f"{entity}.{name}", "optional": True}
                base["match"].append(compare(field_of(entity, name), "equal", {"argument": name}))
        draft.grow("specialise", "additive", entity, {f"list_{plural}": base})
        for name, field in fields.items():
            draft.grow("specialise", "additive", f"list_{plural}", dict(_special_lists(draft, entity, name, field)))


def _list(draft: Draft, entity: str, description: str) -> Document:
    names = [name for name, field in draft.fields(entity).items() if field["type"] != "reference"]
    ordered = [name for name in names if draft.fields(entity)[name]["type"] in (*COUNTED, "date")]
    ordered = [name for name in ordered if not draft.fields(entity)[name].get("nullable")]
    tool: Document = {
        "kind": "list",
        "entity": entity,
        "description": description,
        "arguments": {},
        "match": [],
        "page_size": draft.rng.choice(PAGES),
        "returns": {f"{entity}_id": {"key": entity}} | {name: field_of(entity, name) for name in names[:4]},
    }
    if ordered:
        tool["sort"] = {"by": field_of(entity, draft.rng.choice(ordered)), "descending": draft.rng.random() < 0.5}
    return tool


def _special_lists(draft: Draft, entity: str, name: str, field: Mapping[str, Any]) -> Iterator[tuple[str, Document]]:
    plural, words = spoken(draft.plural(entity)), spoken(name, entity)
    if field.get("nullable"):
        tool = _list(draft, entity, f"List the {plural} that have no {words} yet.")
        yield f"list_{draft.plural(entity)}_without_{name}", tool | {"match": [compare(field_of(entity, name), "equal", None)]}
        return
    match field["type"]:
        case "enum" if name == "status":
            for value in field["values"]:
                tool = _list(draft, entity, f"List the {plural} that are {spoken(value)}.")
                yield f"list_{value}_{draft.plural(entity)}", tool | {"match": [compare(field_of(entity, name), "equal", value)]}
        case "enum":
            description = draft.say(f"List the {plural} of one {words}.", f"List {plural} by {words}.")
            tool = _list(draft, entity, description)
            tool["arguments"] = {name: {"value_of": f"{entity}.{name}"}}
            tool["match"] = [compare(field_of(entity, name), "equal", {"argument": name})]
            yield f"list_{draft.plural(entity)}_by_{name}", tool
        case "boolean":
            tool = _list(draft, entity, f"List the {plural} whose {words} flag is set.")
            yield f"list_{name}_{draft.plural(entity)}", tool | {"match": [compare(field_of(entity, name), "equal", True)]}
        case "date":
            tool = _list(draft, entity, f"List the {plural} whose {words} is on or after a given day.")
            tool["arguments"] = {"since": {"value_of": f"{entity}.{name}"}}
            tool["match"] = [compare(field_of(entity, name), "at_least", {"argument": "since"})]
            yield f"list_{draft.plural(entity)}_since_{name}", tool
        case kind if kind in COUNTED:
            tool = _list(draft, entity, f"List the {plural} whose {words} is at least a given number.")
            tool["arguments"] = {f"minimum_{name}": {"value_of": f"{entity}.{name}"}}
            tool["match"] = [compare(field_of(entity, name), "at_least", {"argument": f"minimum_{name}"})]
            yield f"list_{draft.plural(entity)}_by_minimum_{name}", tool
        case "reference":
            other = field["entity"]
            tool = _list(draft, entity, f"List the {plural} of one {spoken(other)}.")
            tool["arguments"] = {f"{other}_id": {"key_of": other}}
            tool["match"] = [compare(field_of(entity, name), "equal", {"argument": f"{other}_id"})]
            yield f"list_{draft.plural(entity)}_of_{other}", tool


def compute(draft: Draft) -> None:
    """Lists become figures: how many, how much, from when to when."""
    for entity in list(draft.entities):
        fields, plural = draft.fields(entity), draft.plural(entity)
        choices = [name for name, field in fields.items() if field["type"] == "enum" and not field.get("nullable")]
        for name in choices:
            tool = _totals(entity, f"Count the {spoken(plural)} of one {spoken(name, entity)}.", {"total": {"count": True}})
            tool["arguments"] = {name: {"value_of": f"{entity}.{name}"}}
            tool["match"] = [compare(field_of(entity, name), "equal", {"argument": name})]
            draft.grow("compute", "additive", entity, {f"count_{plural}_by_{name}": tool})
        for name, field in fields.items():
            if field["type"] not in (*COUNTED, "date") or field.get("nullable"):
                continue
            value = field_of(entity, name)
            totals: Document = {"lowest": {"least": value}, "highest": {"most": value}, "records": {"count": True}}
            if field["type"] in COUNTED:
                totals = {"sum": {"sum": value}} | totals
            words = f"{spoken(name, entity)} over all {spoken(plural)}"
            said = draft.say(f"Sum up the {words}.", f"Report figures for the {words}.")
            if field["type"] == "date":
                said = f"Report the earliest and the latest {words}."
            tool = _totals(entity, said, totals)
            if choices:
                by = draft.rng.choice(choices)
                tool["arguments"] = {by: {"value_of": f"{entity}.{by}", "optional": True}}
                tool["match"] = [compare(field_of(entity, by), "equal", {"argument": by})]
            draft.grow("compute", "additive", f"{entity}.{name}", {f"summarize_{plural}_{name}": tool})


def _totals(entity: str, description: str, totals: Document) -> Document:
    return {"kind": "compute", "entity": entity, "description": description, "arguments": {}, "match": [], "totals": totals}


def split(draft: Draft) -> None:
    """One wide update, and from it a narrow one for each field."""
    for entity in list(draft.entities):
        free = [name for name, field in draft.fields(entity).items() if _may_be_set(draft, entity, name, field)]
        if len(free) > 2:
            wide = free[:3]
            words = ", ".join(spoken(name) for name in wide)
            tool = _setting(draft, entity, wide, f"Update the {words} of {a(entity)} at once.")
            draft.grow("split", "additive", entity, {f"update_{entity}": tool})
        for name in free:
            description = draft.say(
                f"Set the {spoken(name, entity)} of {a(entity)}.", f"Change {a(entity)}'s {spoken(name, entity)}."
            )
            tools = {f"set_{entity}_{name}": _setting(draft, entity, [name], description)}
            if draft.fields(entity)[name].get("nullable"):
                tools[f"clear_{entity}_{name}"] = _clearing(draft, entity, name)
            draft.grow("split", "additive", f"update_{entity}", tools)


def _may_be_set(draft: Draft, entity: str, name: str, field: Mapping[str, Any]) -> bool:
    known = draft.domain.entities.get(entity)
    level = known is not None and known.level == name  # goes up and down by tools of its own
    return name != "status" and field["type"] != "reference" and not field.get("unique") and not level


def _setting(draft: Draft, entity: str, names: list[str], description: str) -> Document:
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
    """Records of the entities around the case are made and removed."""
    for entity in draft.domain.entities.values():
        if entity.archetype == "case":
            continue
        fields = draft.fields(entity.name)
        asked = [name for name, field in fields.items() if not field.get("nullable")][:3]
        values = {name: {"argument": name} if name in asked else default_of(dict(field)) for name, field in fields.items()}
        making = {
            "kind": "create",
            "entity": entity.name,
            "description": draft.say(f"Add {a(entity.name)}.", f"Register a new {spoken(entity.name)}."),
            "arguments": {name: {"value_of": f"{entity.name}.{name}"} for name in asked},
            "effects": [{"create": {"record": entity.name, "entity": entity.name, "fields": values}}],
            "returns": {f"{entity.name}_id": {"key": entity.name}},
        }
        removing = {
            "kind": "delete",
            "entity": entity.name,
            "description": f"Delete {a(entity.name)}; refused while anything refers to it.",
            "arguments": key_argument(draft, entity.name),
            "effects": [{"delete": {"record": entity.name}}],
            "returns": {"deleted": {"argument": f"{entity.name}_id"}},
        }
        draft.grow("make", "additive", entity.name, {f"add_{entity.name}": making})
        draft.grow("make", "additive", entity.name, {f"delete_{entity.name}": removing})


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
                tool = _with(base, f"{move.says.removesuffix('.')}, and charge an amount to its {spoken(other)}.")
                tool["arguments"]["amount"] = {"value_of": f"{other}.{entity.level}"}
                tool["records"] = record
                tool["effects"] = [_less(other, entity.level, {"argument": "amount"})]
                tool["returns"][entity.level] = field_of(other, entity.level)
                draft.grow("compose", "additive", f"{move.name}_{case.name}", {f"{move.name}_{case.name}_and_charge": tool})
            elif entity.archetype == "stock":
                tool = _with(base, f"{move.says.removesuffix('.')}, and give back one of its {spoken(other)}.")
                tool["records"] = record
                tool["effects"] = [{"add": {"record": other, "field": entity.level, "amount": 1}}]
                tool["returns"][entity.level] = field_of(other, entity.level)
                draft.grow("compose", "additive", f"{move.name}_{case.name}", {f"{move.name}_{case.name}_and_release": tool})
        free = [name for name, field in draft.fields(case.name).items() if _may_be_set(draft, case.name, name, field)]
        if free:
            name = free[number % len(free)]
            tool = _with(base, f"{move.says.removesuffix('.')}, and set its {spoken(name, case.name)}.")
            tool["arguments"][name] = {"value_of": f"{case.name}.{name}"}
            tool["effects"] = [{"set": {"record": case.name, "fields": {name: {"argument": name}}}}]
            tool["returns"][name] = field_of(case.name, name)
            draft.grow("compose", "additive", f"{move.name}_{case.name}", {f"{move.name}_{case.name}_with_{name}": tool})


def _with(base: Mapping[str, Any], description: str) -> Document:
    return {**base, "description": description, "arguments": dict(base["arguments"]), "returns": dict(base["returns"])}


def _less(record: str, field: str, amount: Any) -> Document:
    return {"add": {"record": record, "field": field, "amount": {"difference": [0, amount]}}}


def extend(draft: Draft) -> None:
    """An entity gets a further field, and the tools that come with it."""
    chosen = draft.rng.sample(_EXTENSIONS, 3)
    entities = [entity.name for entity in draft.domain.entities.values()]
    for (name, field, meaning), entity in zip(chosen, draft.rng.sample(entities, min(3, len(entities))), strict=False):
        if name in draft.fields(entity):
            continue

        def edit(document: Document, entity: str = entity, name: str = name, field: Document = field) -> None:
            document["entities"][entity]["fields"][name] = dict(field)
            for tool in document["operations"].values():
                for effect in tool.get("effects", []):
                    if effect.get("create", {}).get("entity") == entity:
                        effect["create"]["fields"][name] = default_of(field)

        draft.grow("extend", "additive", f"{entity}.{name}", {}, edit=edit)
        setting = _setting(draft, entity, [name], f"Set the {spoken(name, entity)} of {a(entity)}: {meaning}.")
        special = dict(_special_lists(draft, entity, name, field))
        draft.grow("extend", "additive", f"{entity}.{name}", {f"set_{entity}_{name}": setting} | special)


def add_policies(draft: Draft) -> None:
    """Rules about changes come into force where there are changes now; what was allowed before is not any more."""
    case = draft.domain.case
    for rule in draft.domain.rules:
        looks_at = {condition["left"]["field"].partition(".")[2] for condition in rule.when["all"]}
        moves = {f"{name}_{case.name}" for name in rule.forbids}
        batches = {f"{name}_{case.plural}" for name in rule.forbids}
        governed = []
        for name, tool in draft.operations.items():
            if tool["entity"] != case.name or tool["kind"] not in ("update", "transition", "batch"):
                continue
            sets = {field for effect in tool.get("effects", []) for field in effect.get("set", {}).get("fields", {})}
            workflow = tool["kind"] == "transition" and any(name.startswith(f"{move}_") for move in moves)
            if workflow or name in batches or ("change" in rule.forbids and tool["kind"] == "update" and not sets & looks_at):
                governed.append(name)
        if not governed:
            continue

        def edit(document: Document, rule: Any = rule, governed: list[str] = governed) -> None:
            found = next((policy for policy in document["policies"] if policy["id"] == rule.id), None)
            if found is None:
                found = {"id": rule.id, "text": rule.text, "operations": [], "entity": case.name,
                         "forbids_when": dict(rule.when), "reason": rule.reason}  # fmt: skip
                document["policies"].append(found)
            found["operations"] = list(dict.fromkeys([*found["operations"], *governed]))

        draft.grow("add_policy", "breaking", rule.id, {}, edit=edit)


def replace(draft: Draft) -> None:
    """A blind write is deprecated; its successor must be told what the caller believes is there."""
    blind = [name for name, tool in draft.operations.items() if draft.origin.get(name) == "split" and name.startswith("set_")]
    for name in draft.rng.sample(blind, min(2, len(blind))):
        old = draft.operations[name]
        entity = old["entity"]
        (field,) = old["effects"][0]["set"]["fields"]
        if draft.fields(entity)[field].get("nullable"):
            continue
        tool = _with(old, f"{old['description'].removesuffix('.')}, if it is still what the caller has seen.")
        tool["arguments"][f"expected_{field}"] = {"value_of": f"{entity}.{field}"}
        expected = {"argument": f"expected_{field}"}
        stale = compare(field_of(entity, field), "equal", expected, error="it has been changed by somebody else")
        tool["require"] = [stale, *old["require"]]

        def edit(document: Document, name: str = name) -> None:
            for policy in document["policies"]:
                policy["operations"] = [f"{name}_v2" if tool == name else tool for tool in policy["operations"]]

        if len(f"{name}_v2") <= 64:
            draft.grow("replace", "breaking", name, {f"{name}_v2": tool}, (name,), edit)


_IDIOMS: Final = (
    {"get": "get", "list": "list", "find": "find", "set": "set", "delete": "delete", "add": "add"},
    {"get": "retrieve", "list": "list", "find": "search", "set": "update", "delete": "delete", "add": "create"},
    {"get": "fetch", "list": "browse", "find": "lookup", "set": "change", "delete": "remove", "add": "register"},
    {"get": "show", "list": "list", "find": "find", "set": "edit", "delete": "remove", "add": "new"},
    {"get": "read", "list": "query", "find": "find", "set": "set", "delete": "drop", "add": "insert"},
)


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


OPERATORS: Final[tuple[Callable[[Draft], None], ...]] = (
    specialise, compute, split, make_and_remove, levels, batch, outbox, extend, compose, replace, add_policies, rename,
)  # fmt: skip
"""In the order in which a domain grows: what is composed must be there before, and names change last."""
