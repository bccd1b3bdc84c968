"""Operators that make rules: those of the lexicon come into force where there is something to rule, and others that every
trade knows are added: what to have confirmed, what is over a limit for whom, and what is too old to be changed."""

import random
from typing import Any

from simulators.evolution.domains import Entity
from simulators.evolution.draft import Draft, a, spoken
from simulators.evolution.seed_world import compare, field_of

__all__ = ["add_policies", "confirm", "limit", "outdate"]

Document = dict[str, Any]

_STANDING = ("tier", "segment", "plan", "member", "standing")
"""Parts of the names of fields by which a trade ranks whom it deals with."""


def add_policies(draft: Draft) -> None:
    """Rules about changes come into force where there are changes now; what was allowed before is not any more."""
    case = draft.domain.case
    for rule in draft.domain.rules:
        moves = {f"{name}_{case.name}" for name in rule.forbids}
        batches = {f"{name}_{case.plural}" for name in rule.forbids}
        governed = []
        for name, tool in draft.operations.items():
            if tool["entity"] != case.name or tool["kind"] not in ("update", "transition", "batch", "delete"):
                continue
            workflow = tool["kind"] == "transition" and any(name.startswith(f"{move}_") for move in moves)
            deletion = tool["kind"] == "delete" and "delete" in rule.forbids
            changed = tool["kind"] == "update" and "change" in rule.forbids
            if workflow or deletion or changed or name in batches:
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


def confirm(draft: Draft) -> None:
    """What cannot be undone is done only when the user has said yes to it."""
    case = draft.domain.case.name
    _add_rule(
        draft, [f"delete_{case}"], f"Ask the user to confirm before you delete {a(case)}",
        {"id": f"confirm_deleting_{case}", "confirm_when": "always"},
    )  # fmt: skip


def limit(draft: Draft) -> None:
    """Amounts above a limit are not charged, or not to those of a lower standing: a rule that looks at the call, and at the
    record that the case refers to."""
    case = draft.domain.case
    charging = [name for name, tool in draft.operations.items() if _charges(tool, case)]
    party = next((draft.domain.entities[name] for name in case.of if draft.domain.entities[name].archetype == "party"), None)
    if not charging:
        return
    account = draft.operations[charging[0]]["arguments"]["amount"]["value_of"].partition(".")
    bounds = draft.fields(account[0])[account[2]]
    most = _rounded(bounds["minimum"] + (bounds["maximum"] - bounds["minimum"]) // 2)
    said = f"{most / 100:,.2f} {bounds['currency']}" if bounds["type"] == "money" else f"{most:,}"
    text = f"Never charge more than {said} to {a(case.name)}"
    above = compare({"argument": "amount"}, "greater", most)
    rule: Document = {"id": f"limit_of_{case.name}", "reason": "over_limit", "forbids_when": above}
    if party is not None and (choice := _standing(draft, party.name)) is not None:
        field, value = choice
        text += f" of {a(party.name)} whose {spoken(field, party.name)} is {spoken(value)}"
        rule["records"] = {party.name: {"entity": party.name, "key": field_of(case.name, party.name)}}
        rule["forbids_when"] = {"all": [above, compare(field_of(party.name, field), "equal", value)]}
    _add_rule(draft, charging, text, rule)


def outdate(draft: Draft) -> None:
    """What lies before a day is closed: a rule about time."""
    case, fields = draft.domain.case.name, draft.fields(draft.domain.case.name)
    shown = [value["field"] for value in draft.operations.get(f"get_{case}", {}).get("returns", {}).values() if "field" in value]
    dates = [name for name, field in fields.items() if field["type"] == "date" and not field.get("nullable")]
    dates = [name for name in dates if f"{case}.{name}" in shown]
    setters = [name for name in draft.operations if name.startswith(f"set_{case}_")]
    told = [name.removeprefix(f"set_{case}_") for name in setters]
    told = [name for name in told if name in fields and fields[name]["type"] != "boolean" and name not in dates]
    if not dates or not told:
        return
    date = draft.rng.choice(dates)
    bounds = draft.fields(case)[date]
    cutoff = _between(bounds["earliest"], bounds["latest"], draft.rng)
    field = draft.rng.choice(told)
    what = spoken(field, case)
    _add_rule(
        draft, [name for name, tool in draft.operations.items() if _sets(tool, case, field)],
        f"Never change the {what} of {a(case)} whose {spoken(date, case)} lies before {cutoff}",
        {"id": f"closed_before_{date}", "reason": "too_old", "forbids_when": compare(field_of(case, date), "less", cutoff)},
    )  # fmt: skip


def _add_rule(draft: Draft, operations: list[str], text: str, rule: Document) -> None:
    """Puts the rule into the world and into what the agent is told."""
    known = [name for name in operations if name in draft.operations]
    if not known:
        return
    told = f"{text}: decline with reason {rule['reason']}." if "reason" in rule else f"{text}."

    def edit(document: Document) -> None:
        document["policies"].append(
            {"text": f"{text}.", "operations": known, "entity": draft.domain.case.name} | rule
        )
        before, marker, after = document["instructions"].rpartition(" Otherwise do what is asked.")
        document["instructions"] = f"{before} {told}{marker}{after}"

    draft.grow("add_policy", "breaking", str(rule["id"]), {}, edit=edit)


def _sets(tool: Document, case: str, field: str) -> bool:
    """Whether the tool changes this field of one case that it is given, whatever else it does."""
    if tool["entity"] != case or tool["kind"] in ("batch", "create", "reserve", "decline"):
        return False
    effects = tool.get("effects", [])
    sets = (effect["set"] for effect in effects if "set" in effect)
    adds = (effect["add"] for effect in effects if "add" in effect)
    return any(part["record"] == case and field in part["fields"] for part in sets) or any(
        part["record"] == case and field == part["field"] for part in adds
    )


def _charges(tool: Document, case: Entity) -> bool:
    return tool["entity"] == case.name and tool["kind"] == "transition" and "value_of" in tool["arguments"].get("amount", {})


def _standing(draft: Draft, entity: str) -> tuple[str, str] | None:
    """A field that ranks a party, and its first value; other traits are nothing to decide by."""
    for name, field in draft.fields(entity).items():
        if field["type"] == "enum" and not field.get("nullable") and any(word in name for word in _STANDING):
            return name, field["values"][0]
    return None


def _rounded(number: int) -> int:
    """To two digits."""
    step = 10 ** max(0, len(str(number)) - 2)
    return number // step * step


def _between(earliest: str, latest: str, rng: random.Random) -> str:
    """A first of a month, well inside."""
    months = [
        f"{year}-{month:02}-01" for year in range(int(earliest[:4]), int(latest[:4]) + 1) for month in range(1, 13)
    ]
    inside = [day for day in months if earliest < day < latest]
    return rng.choice(inside[len(inside) // 4 : -len(inside) // 4] or inside) if inside else latest
