"""Draws problems: who exists, which document states what and when, what is asked, and what nobody states.

A problem is JSON: ``theme``, ``noun``, ``entities`` (``[prefix or -1, stem]``), ``currency``, ``documents`` (each with ``date``,
``title``, ``form``, ``facts`` as ``[entity, attribute, value, style]``, ``noise``, ``silent``, and ``corrects`` where it does),
``asked`` (``[entity, attribute]``), ``sentences`` (0 for any number), ``operation``, and ``salt`` (of the wording of the oracle
and of the cheats).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.tasks.faithfulness.lexicon import OPERATIONS, POOLS, THEMES, TYPES
from simulators.tasks.faithfulness.values import CURRENCIES, draw_value

__all__ = ["FAMILIES", "LEVELS", "draw_problem"]

FAMILIES: Final[Mapping[str, str]] = {
    "report": "a report in a given number of sentences about one entity, each sentence with its citation",
    "roster": "one sentence about each of several entities, some with names that are much alike",
    "unanswerable": "questions of which some have no answer in the documents; that is said, and the rest is answered",
    "superseded": "later documents correct earlier ones; only what holds is reported",
    "conflict": "documents that contradict each other; the contradiction is reported, with both sides",
    "table": "tables put into sentences, with cells that are empty",
    "aggregate": "a total, average, highest or lowest figure, stated with the items that it rests on",
    "tools": "documents that are listed, read and looked up with tools",
    "corrected": "a second turn in which a register, looked up with a tool, corrects what the documents said",
}

LEVELS: Final = 5


@dataclass(frozen=True)
class _Size:
    entities: int
    documents: int
    asked: int


_SIZES: Final[Sequence[_Size]] = (_Size(2, 3, 2), _Size(3, 4, 3), _Size(3, 5, 4), _Size(4, 6, 5), _Size(5, 8, 6))
_ALIKE: Final = 3
"""From this level on: two names are alike, documents speak of several entities, and their order is not that of their dates."""

_Facts = list[list[Any]]


@dataclass
class _Desk:
    """What is being put together."""

    level: int
    rng: random.Random
    entities: int
    documents: int
    asked: int
    theme: str = ""
    attributes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    pages: list[dict[str, Any]] = field(default_factory=list)

    def fact(self, entity: int, attribute: str, step: int = 1) -> list[Any]:
        """With a value that nobody else has; of numbers, a multiple of `step`."""
        while True:
            value = draw_value(TYPES[attribute], self.rng)
            if step > 1:
                value = (value // step + 1) * step
            if f"{TYPES[attribute]} {value}" not in self.used:
                self.used.add(f"{TYPES[attribute]} {value}")
                return [entity, attribute, value, self.rng.randrange(12)]

    def scatter(self, facts: _Facts, pages: Sequence[int], twice: float = 0.0) -> None:
        """Puts each fact on one of these pages, or, with probability `twice`, on two."""
        for fact in facts:
            homes = [page for page in pages if self.level >= _ALIKE or page % self.entities == fact[0] % len(pages)] or list(
                pages
            )
            for page in self.rng.sample(homes, 2 if len(homes) > 1 and self.rng.random() < twice else 1):
                self.pages[page]["facts"].append([*fact[:3], self.rng.randrange(12)])


def draw_problem(family: str, level: int, rng: random.Random) -> dict[str, Any]:
    """A problem of this family and level, 1 to `LEVELS`."""
    size = _SIZES[level - 1]
    entities = size.entities + (level if family in ("roster", "aggregate") else 1 if family == "table" else 0)
    desk = _Desk(level, rng, entities, size.documents, size.asked)
    desk.theme = rng.choice(sorted(THEMES))
    desk.attributes = rng.sample(THEMES[desk.theme], len(THEMES[desk.theme]))
    desk.pages = [_page(desk, "prose") for _ in range(size.documents)]
    asked, more = _DRAWERS[family](desk)
    stems = rng.sample(range(POOLS["stems"]), entities)
    people = [[-1, stem] for stem in stems]
    if level >= _ALIKE:
        people[1] = [rng.randrange(POOLS["similar"]), stems[0]]
    if level < _ALIKE:
        _by_date(desk.pages)
    return {
        "theme": desk.theme,
        "noun": rng.randrange(POOLS["nouns"]),
        "entities": people,
        "currency": rng.choice(CURRENCIES),
        "documents": desk.pages,
        "asked": asked,
        "sentences": 0,
        "salt": rng.getrandbits(32),
        **more,
    }


_Drawn = tuple[list[list[Any]], dict[str, Any]]
"""What is asked, and further keys of the problem."""


def _page(desk: _Desk, form: str) -> dict[str, Any]:
    rng = desk.rng
    date = [rng.randint(2012, 2023), rng.randint(1, 12), rng.randint(1, 28)]
    while any(page["date"] == date for page in desk.pages):
        date = [rng.randint(2012, 2023), rng.randint(1, 12), rng.randint(1, 28)]
    noise = [[rng.randrange(POOLS["noise"]), rng.randrange(desk.entities)] for _ in range(rng.randint(1, 2))]
    return {"date": date, "title": rng.randrange(POOLS["titles"]), "form": form, "facts": [], "noise": noise, "silent": []}


def _by_date(pages: list[dict[str, Any]]) -> None:
    """Gives the dates out again, in the order of the pages."""
    for page, date in zip(pages, sorted(page["date"] for page in pages), strict=True):
        page["date"] = date


def _around(desk: _Desk, asked: Sequence[str], subject: int = 0, unknown: Sequence[str] = ()) -> _Facts:
    """Facts that distract: the same attributes of others, and others of the subject."""
    kept = [name for name in desk.attributes if name not in (*asked, *unknown)]
    facts = [desk.fact(subject, name) for name in kept[: 1 + desk.level // 2]]
    for entity in range(desk.entities):
        if entity != subject:
            facts += [desk.fact(entity, name) for name in (*asked, *unknown)]
    return facts


def _subject(desk: _Desk, unknown: int, known: int) -> list[list[Any]]:
    """States `known` attributes of entity 0 and leaves `unknown` ones out; all are asked, in no order."""
    told, left_out = desk.attributes[:known], desk.attributes[known : known + unknown]
    desk.scatter([desk.fact(0, name) for name in told], range(desk.documents), 0.25 if desk.level > 1 else 0.0)
    desk.scatter(_around(desk, told, 0, left_out), range(desk.documents))
    for name in left_out:
        if desk.level >= _ALIKE:
            desk.rng.choice(desk.pages)["silent"].append([0, name])
    asked = [[0, name] for name in (*told, *left_out)]
    desk.rng.shuffle(asked)
    return asked


def _maybe(desk: _Desk) -> int:
    return int(desk.level >= 2 and desk.rng.random() < 0.5)


def _report(desk: _Desk) -> _Drawn:
    unknown = _maybe(desk)
    asked = _subject(desk, unknown, desk.asked)
    return asked, {"sentences": (desk.asked + 1) // 2 + unknown}


def _roster(desk: _Desk) -> _Drawn:
    each = 1 + (desk.level >= 2)
    names = desk.attributes[:each]
    facts = [desk.fact(entity, name) for entity in range(desk.entities) for name in names]
    facts += [desk.fact(entity, name) for entity in range(desk.entities) for name in desk.attributes[each : each + 1]]
    desk.scatter(facts, range(desk.documents))
    people = desk.rng.sample(range(desk.entities), desk.entities - 1)
    return [[entity, name] for entity in people for name in names], {"sentences": len(people)}


def _unanswerable(desk: _Desk) -> _Drawn:
    return _subject(desk, 1 + desk.level // 2, desk.asked), {}


def _superseded(desk: _Desk) -> _Drawn:
    asked = _subject(desk, _maybe(desk), desk.asked)
    _by_date(desk.pages)
    stale = desk.attributes[: 1 + (desk.level >= _ALIKE)]
    for name in stale:
        holding = [page for page in desk.pages if any(fact[:2] == [0, name] for fact in page["facts"])]
        for page in holding:
            page["facts"] = [fact for fact in page["facts"] if fact[:2] != [0, name]]
        old, now = desk.fact(0, name), desk.fact(0, name)
        earlier = desk.rng.randrange(desk.documents - 1)
        later = desk.rng.randrange(earlier + 1, desk.documents)
        desk.pages[earlier]["facts"].append(old)
        desk.pages[later]["facts"].append(now)
        if desk.level < _ALIKE:
            desk.pages[later] |= {"form": "correction", "corrects": earlier}
    if desk.level >= _ALIKE:
        desk.rng.shuffle(desk.pages)
    return asked, {}


def _conflict(desk: _Desk) -> _Drawn:
    asked = _subject(desk, _maybe(desk), desk.asked)
    for name in desk.attributes[: 1 + (desk.level >= 4)]:
        silent = [page for page in desk.pages if all(fact[:2] != [0, name] for fact in page["facts"])]
        desk.rng.choice(silent)["facts"].append(desk.fact(0, name))
    return asked, {}


def _table(desk: _Desk) -> _Drawn:
    columns = desk.attributes[: desk.asked + 2]
    tables = 1 + (desk.level >= 2) + (desk.level >= 4)
    desk.pages = desk.pages[:tables]
    missing = _maybe(desk)
    rows = desk.rng.sample(range(desk.entities), min(desk.entities - 1, 1 + desk.level // 2))
    wanted = [[row, name] for row in rows for name in columns]
    asked = desk.rng.sample(wanted, desk.asked + missing)
    for number, name in enumerate(columns):
        page = desk.pages[number % tables]
        page["form"] = "table"
        for entity in range(desk.entities):
            if not missing or [entity, name] != asked[-1]:
                page["facts"].append(desk.fact(entity, name))
    desk.rng.shuffle(asked)
    return asked, {}


def _aggregate(desk: _Desk) -> _Drawn:
    operation = desk.rng.choice(OPERATIONS)
    name = next(item for item in desk.attributes if TYPES[item] in ("count", "money"))
    people = list(range(desk.entities - (desk.level >= 2)))
    step = len(people) * (10_000 if TYPES[name] == "money" else 1)
    facts = [desk.fact(entity, name, step) for entity in range(desk.entities)]
    others = [item for item in desk.attributes if item != name][: 1 + desk.level // 2]
    desk.scatter(facts, range(desk.documents))
    desk.scatter([desk.fact(entity, item) for entity in range(desk.entities) for item in others], range(desk.documents))
    desk.rng.shuffle(people)
    return [[entity, name] for entity in people], {"operation": operation}


def _tools(desk: _Desk) -> _Drawn:
    asked = _subject(desk, _maybe(desk), desk.asked)
    if desk.level >= 2:
        _register(desk, [desk.attributes[desk.asked - 1]])
    return asked, {}


def _corrected(desk: _Desk) -> _Drawn:
    asked = _subject(desk, _maybe(desk), desk.asked)
    _register(desk, [])
    desk.pages[-1]["facts"] += [desk.fact(0, name) for name in desk.attributes[: 1 + desk.level // 2]]
    return asked, {}


def _register(desk: _Desk, moved: Sequence[str]) -> None:
    """Adds the register's page on entity 0, newer than all others, with the facts of `moved` taken from the documents."""
    page = _page(desk, "register") | {"date": [2024, desk.rng.randint(1, 12), desk.rng.randint(1, 28)], "noise": []}
    for other in desk.pages:
        page["facts"] += [fact for fact in other["facts"] if fact[0] == 0 and fact[1] in moved and fact[:2] not in _told(page)]
        other["facts"] = [fact for fact in other["facts"] if fact[0] != 0 or fact[1] not in moved]
    desk.pages.append(page)


def _told(page: Mapping[str, Any]) -> list[Any]:
    return [fact[:2] for fact in page["facts"]]


_DRAWERS: Final[Mapping[str, Callable[[_Desk], _Drawn]]] = {
    "report": _report, "roster": _roster, "unanswerable": _unanswerable, "superseded": _superseded, "conflict": _conflict,
    "table": _table, "aggregate": _aggregate, "tools": _tools, "corrected": _corrected,
}  # fmt: skip
