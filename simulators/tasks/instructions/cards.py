"""The card of a task: a place with a name and a handful of facts, some to be told and the others to be left out.

Numbers on a card differ from each other, and so do names, so that a value says which fact it belongs to.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import yaml

__all__ = ["Card", "Fact", "card_of", "draw_card", "lexicon"]

_TYPES: Final = (
    "year", "metres", "metres", "person", "person", "person", "steps", "visitors", "rooms", "coins", "town", "town", "coins",
    "windows", "code", "person",
)  # fmt: skip
"""By field, in the order of the lexicon's ``fields``."""
_RANGES: Final = (
    (1801, 1999), (12, 98), (101, 480), None, None, None, (60, 399), (2001, 89_999), (5, 59), (2, 48), None, None,
    (90_001, 990_000), (7, 240), (10_000, 99_999), None,
)  # fmt: skip
"""Of numbers, by field."""


@lru_cache(maxsize=4)
def lexicon(language: str) -> dict[str, Any]:
    """Names, words and sentence patterns; both languages have equally many of each."""
    text = resources.files("simulators.tasks.instructions").joinpath(f"lexicon_{language}.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str
    """As the card writes it."""
    field: str
    """The name of its field in JSON, the same in every language."""
    json: str | int
    """Its value in JSON: years are numbers."""


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    purpose: str
    facts: tuple[Fact, ...]

    def lines(self, name_label: str) -> str:
        return "\n".join([f"- {name_label}: {self.name}", *(f"- {fact.label}: {fact.value}" for fact in self.facts)])


def draw_card(size: int, rng: random.Random) -> dict[str, Any]:
    """A card of `size` facts as numbers and places in the lexicon."""
    words = lexicon("en")
    fields = rng.sample(range(len(_TYPES)), size)
    numbers: set[int] = set()
    people = iter(zip(rng.sample(range(len(words["first"])), 8), rng.sample(range(len(words["last"])), 8), strict=True))
    towns = iter(rng.sample(range(len(words["towns"])), 4))
    facts: list[list[int]] = []
    for field in fields:
        if (limits := _RANGES[field]) is not None:
            number = rng.randint(*limits)
            while number in numbers:
                number = rng.randint(*limits)
            numbers.add(number)
            facts.append([field, number])
        else:
            facts.append([field, *next(people)] if _TYPES[field] == "person" else [field, next(towns)])
    return {
        "kind": rng.randrange(len(words["kinds"])),
        "part": rng.randrange(len(words["parts"])),
        "purpose": rng.randrange(len(words["purposes"])),
        "facts": facts,
    }


def card_of(drawn: Mapping[str, Any], language: str, user: str = "") -> Card:
    """The card in words of `language`; what it is for, in those of the `user`, where that is another."""
    words = lexicon(language)
    name = words["name"].format(part=words["parts"][drawn["part"]], kind=words["kinds"][drawn["kind"]])
    facts = tuple(_fact(field, value, words) for field, *value in drawn["facts"])
    return Card(name, lexicon(user or language)["purposes"][drawn["purpose"]], facts)


def _fact(field: int, value: list[int], words: dict[str, Any]) -> Fact:
    kind, key = _TYPES[field], lexicon("en")["fields"][field].replace(" ", "_")
    if kind == "person":
        text = words["person"].format(first=words["first"][value[0]], last=words["last"][value[1]])
    elif kind == "town":
        text = words["towns"][value[0]]
    else:
        text = words["units"][kind].format(n=value[0])
    return Fact(words["fields"][field], text, key, value[0] if kind == "year" else text)
