"""Reads a lexicon: one YAML file per category, in words and figures. Fields are written in one line:

    standard | silver | gold        one of these          yes | no          true or false
    0..60                           a whole number        1..14 nights      one with a unit
    EUR 40..400                     money, in whole euros 2024-01-01..2025-12-31   a date
    text city                       a text of a vocabulary      ... or null   may be empty

A move is written ``booked, held -> cancelled; What the tool does, as a sentence.``
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, get_args

from simulators.evolution.domains import Archetype, Category, Domain, Entity, Field, Move, Rule
from simulators.evolution.vocabulary import VOCABULARIES
from simulators.worlds.document import Section, WorldSpecError, read_document
from simulators.worlds.fields import is_date

__all__ = ["LEXICON", "categories", "read_category"]

LEXICON: Final = Path(__file__).parent / "lexicon"

_COUNT = re.compile(r"(-?\d+)\.\.(-?\d+)(?: ([a-z][a-z_ ]*))?")
_MONEY = re.compile(r"([A-Z]{3}) (\d+)\.\.(\d+)")
_DATES = re.compile(r"(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})")
_CHOICE = re.compile(r"[a-z0-9_]+(?: \| [a-z0-9_]+)+")
_MOVE = re.compile(r"([a-z0-9_]+(?:, [a-z0-9_]+)*) -> ([a-z0-9_]+); ([A-Z].*\.)")
_RESERVED: Final = ("status", "id", "offset", "reason")


@lru_cache(maxsize=1)
def categories() -> tuple[Category, ...]:
    """The lexicon that ships, by name.

    Raises:
        WorldSpecError: something in it is wrong; names file, line and place.
    """
    found = tuple(read_category(path) for path in sorted(LEXICON.glob("*.yaml")))
    owners: dict[str, str] = {}
    for category in found:
        for domain in category.domains:
            if (owner := owners.setdefault(domain, category.name)) != category.name:
                raise WorldSpecError(f"{category.name}.yaml: domains.{domain}: this name is taken in {owner}.yaml")
    return found


def read_category(path: Path) -> Category:
    """One file.

    Raises:
        WorldSpecError: as `categories`.
    """
    top = read_document(path)
    top.check_keys(("category", "title", "domains"))
    name = top.child("category").name()
    if name != path.stem:
        top.child("category").fail(f"the file of category {name} is called {name}.yaml")
    domains = {key: _read_domain(key, name, part) for key, part in top.child("domains").named()}
    return Category(name, top.child("title").text(), domains)


def _read_domain(name: str, category: str, section: Section) -> Domain:
    section.check_keys(("title", "role", "entities", "rules"))
    part = section.child("entities")
    names = [key for key, _ in part.named()]
    entities = {key: _read_entity(key, child, names) for key, child in part.named()}
    kinds = [entity.archetype for entity in entities.values()]
    if not 3 <= len(entities) <= 6 or kinds.count("case") != 1 or "party" not in kinds:
        part.fail("a domain has 3 to 6 entities: one case, a party, and at least one more")
    if len(set(kinds)) < 3:
        part.fail("a domain has at least three archetypes: a case, a party, and an item, a stock or an account")
    case = next(entity for entity in entities.values() if entity.archetype == "case")
    rules = tuple(_read_rule(child, case) for child in section.child("rules").elements())
    if not rules or len({rule.id for rule in rules}) < len(rules):
        section.child("rules").fail("needs at least one rule, each with an id of its own")
    role = section.child("role").text()
    if role.endswith(".") or role[0].isupper():
        section.child("role").fail('follows "You ": begins small and has no full stop')
    return Domain(name, category, section.child("title").text(), role, entities, rules)


def _read_entity(name: str, section: Section, names: list[str]) -> Entity:
    if "is" not in section.mapping():
        section.fail("missing key is")
    archetype: Archetype = section.child("is").one_of(get_args(Archetype), "archetype")  # type: ignore[assignment]
    needs = {"case": ("of", "states", "moves", "create"), "stock": ("level",), "account": ("level",)}.get(archetype, ())
    labelled = ("label",) if archetype != "case" else ()
    section.check_keys(("is", "plural", "about", "fields", *needs, *labelled), ("create",))
    fields = {key: _read_field(key, part) for key, part in section.child("fields").named()}
    if labelled:
        key, part = _only(section.child("label"))
        fields = {key: Field(key, {"type": "text", "unique": True, "vocabulary": _vocabulary(part)}, label=True), **fields}
    if not 3 <= len(fields) <= 9:
        section.child("fields").fail("an entity has 3 to 9 fields, its label included")
    about = section.child("about").text()
    if not about.endswith(".") or not about[0].isupper():
        section.child("about").fail("is a sentence: a capital first, a full stop last")
    settings: dict[str, Any] = {}
    if (verb := section.get("create")) is not None:
        settings["create"] = verb.name()
    if "level" in needs:
        level = section.child("level").one_of(list(fields), "field")
        wanted = ("money",) if archetype == "account" else ("integer", "quantity")
        if fields[level].type not in wanted or fields[level].document.get("nullable"):
            section.child("level").fail(f"must be a field of type {' or '.join(wanted)} that is never null")
        settings["level"] = level
    if archetype == "case":
        of = tuple(part.one_of([other for other in names if other != name], "entity") for part in section.child("of").elements())
        if not of or len(set(of)) < len(of) or set(of) & set(fields):
            section.child("of").fail("needs at least one entity, each once, none called as a field")
        states = tuple(part.name() for part in section.child("states").elements())
        if not 3 <= len(set(states)) == len(states) <= 8:
            section.child("states").fail("a case has 3 to 8 states, each once")
        moves = tuple(_read_move(key, part, states) for key, part in section.child("moves").named())
        if not 3 <= len(moves) <= 8:
            section.child("moves").fail("a case has 3 to 8 moves")
        settings |= {"of": of, "states": states, "moves": moves}
    return Entity(name, section.child("plural").name(), archetype, about, fields, **settings)


def _read_field(name: str, section: Section) -> Field:
    if name in _RESERVED:
        section.fail(f"{name} is a word of the tools' own; choose another")
    text = section.text()
    nullable = text.endswith(" or null")
    text = text.removesuffix(" or null")
    more: dict[str, Any] = {"nullable": True} if nullable else {}
    if text == "yes | no":
        return Field(name, {"type": "boolean"} | more)
    if _CHOICE.fullmatch(text):
        values = text.split(" | ")
        if len(set(values)) < len(values):
            section.fail("names a value twice")
        return Field(name, {"type": "enum", "values": values} | more)
    if found := _COUNT.fullmatch(text):
        low, high, unit = int(found[1]), int(found[2]), found[3]
        if low >= high:
            section.fail("the second bound is above the first")
        kind = {"type": "quantity", "unit": unit} if unit else {"type": "integer"}
        return Field(name, {**kind, "minimum": low, "maximum": high} | more)
    if found := _MONEY.fullmatch(text):
        low, high = 100 * int(found[2]), 100 * int(found[3])
        if low >= high:
            section.fail("the second bound is above the first")
        return Field(name, {"type": "money", "currency": found[1], "minimum": low, "maximum": high} | more)
    if found := _DATES.fullmatch(text):
        if not (is_date(found[1]) and is_date(found[2]) and found[1] < found[2]):
            section.fail("needs two dates of the calendar, the later one second")
        return Field(name, {"type": "date", "earliest": found[1], "latest": found[2]} | more)
    if text.startswith("text "):
        inner = Section(text.removeprefix("text "), section.source, section.path, section.lines)
        return Field(name, {"type": "text", "vocabulary": _vocabulary(inner)} | more)
    section.fail(f"{text!r} is no field; see the forms at the top of {Path(__file__).name}")


def _vocabulary(section: Section) -> str:
    return section.one_of(list(VOCABULARIES), "vocabulary")


def _read_move(name: str, section: Section, states: tuple[str, ...]) -> Move:
    found = _MOVE.fullmatch(section.text())
    if found is None:
        section.fail("has the form: start, other -> end; What the tool does, as a sentence.")
    start, end = tuple(found[1].split(", ")), found[2]
    if unknown := [state for state in (*start, end) if state not in states]:
        section.fail(f"unknown state {unknown[0]!r}; known: {', '.join(states)}")
    if end in start:
        section.fail(f"{end} is where it already is")
    return Move(name, start, end, found[3])


def _read_rule(section: Section, case: Entity) -> Rule:
    section.check_keys(("id", "forbids", "when", "text", "reason"))
    moves = [move.name for move in case.moves]
    forbids = tuple(part.one_of([*moves, "change", "delete"], "move") for part in section.child("forbids").elements())
    if not forbids:
        section.child("forbids").fail("needs at least one move")
    when = {"all": [_read_when(key, part, case) for key, part in section.child("when").named()]}
    if not when["all"]:
        section.child("when").fail("needs at least one field")
    text = section.child("text").text()
    if not text.endswith("."):
        section.child("text").fail("is a sentence with a full stop")
    return Rule(section.child("id").name(), forbids, when, text, section.child("reason").name())


def _read_when(name: str, section: Section, case: Entity) -> dict[str, Any]:
    """``status: held``, ``tier: [gold, silver]``, ``insured: true``, ``nights: {above: 7}``."""
    left = {"field": f"{case.name}.{name}"}
    if name != "status" and name not in case.fields:
        section.fail(f"undefined field; {case.name} has status, {', '.join(case.fields)}")
    status: dict[str, Any] = {"type": "enum", "values": list(case.states)}
    document: dict[str, Any] = status if name == "status" else dict(case.fields[name].document)
    if document.get("nullable"):
        section.fail("a rule is about a field that is never null")
    if document["type"] == "boolean":
        return {"left": left, "op": "equal", "right": section.boolean()}
    if document["type"] == "enum":
        parts = section.elements() if isinstance(section.value, list) else [section]
        values = [part.one_of(list(document["values"]), f"value of {name}") for part in parts]
        if set(values) == set(document["values"]):
            section.fail("forbids every value there is")
        return {"left": left, "op": "in", "right": values}
    if document["type"] in ("integer", "quantity", "money"):
        key, part = _only(section)
        if key not in ("above", "below"):
            part.fail("is above or below")
        factor = 100 if document["type"] == "money" else 1
        bound, low, high = part.integer() * factor, document["minimum"], document["maximum"]
        if not low < bound < high:
            part.fail(f"must be inside the range of {name}, so that both sides exist")
        return {"left": left, "op": "greater" if key == "above" else "less", "right": bound}
    section.fail(f"{name} is a {document['type']}; a rule is about a choice, a yes or no, or a number")


def _only(section: Section) -> tuple[str, Section]:
    members = list(section.named())
    return members[0] if len(members) == 1 else section.fail("has exactly one key")
