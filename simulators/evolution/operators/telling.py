"""Operators that make tools which tell: lists from readings, lists of something from lists, and figures from both."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from simulators.evolution.draft import Draft, spoken
from simulators.evolution.seed_world import compare, field_of

__all__ = ["compute", "special_lists", "specialise"]

Document = dict[str, Any]
COUNTED: Final = ("integer", "quantity", "money")
PAGES: Final = (5, 8, 10, 20)


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
            draft.grow("specialise", "additive", f"list_{plural}", dict(special_lists(draft, entity, name, field)))


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


def special_lists(draft: Draft, entity: str, name: str, field: Mapping[str, Any]) -> Iterator[tuple[str, Document]]:
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
