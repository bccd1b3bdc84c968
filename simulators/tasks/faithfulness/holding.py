"""What holds by the documents of a problem: who states it, what was superseded, and what nobody states."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulators.tasks.faithfulness.lexicon import THEMES, TYPES, lexicon
from simulators.tasks.faithfulness.values import canonical

__all__ = ["LATEST", "Fact", "Held", "Holding", "attributes", "holding", "rows"]

LATEST = ("superseded", "corrected")
"""Families in which the later of two documents that differ holds; in others both stand, in conflict."""

Fact = tuple[int, str]


@dataclass(frozen=True)
class Held:
    """One value of a fact: as it was drawn, and the numbers of the documents that state it, from 1."""

    value: Any
    documents: tuple[int, ...]


@dataclass(frozen=True)
class Holding:
    stated: Mapping[Fact, tuple[Held, ...]]
    """Several where documents contradict each other."""
    stale: Mapping[Fact, tuple[Held, ...]]
    asked: tuple[Fact, ...]

    @property
    def unknown(self) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.asked if fact not in self.stated)

    @property
    def conflicts(self) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.asked if len(self.stated.get(fact, ())) > 1)


def holding(problem: Mapping[str, Any], family: str, documents: Sequence[Mapping[str, Any]]) -> Holding:
    """By these documents, which are numbered from 1 in their order."""
    found: dict[Fact, dict[str, tuple[Any, list[int]]]] = {}
    dates: dict[tuple[Fact, str], list[int]] = {}
    for number, document in enumerate(documents, 1):
        for entity, attribute, value, _ in document["facts"]:
            fact = (entity, attribute)
            found.setdefault(fact, {}).setdefault(str(value), (value, []))[1].append(number)
            dates[fact, str(value)] = max(dates.get((fact, str(value)), [0]), list(document["date"]))
    stated: dict[Fact, tuple[Held, ...]] = {}
    stale: dict[Fact, tuple[Held, ...]] = {}
    for fact, values in found.items():
        held = {name: Held(value, tuple(numbers)) for name, (value, numbers) in values.items()}
        newest = max(held, key=lambda name: dates[fact, name])
        if family in LATEST and len(held) > 1:
            stated[fact] = (held.pop(newest),)
            stale[fact] = tuple(held.values())
        else:
            stated[fact] = tuple(held.values())
    return Holding(stated, stale, tuple((entity, attribute) for entity, attribute in problem["asked"]))


def rows(problem: Mapping[str, Any], facts: Mapping[Fact, Iterable[Held]], language: str) -> list[list[Any]]:
    """As a task's key holds them: entity, attribute, canonical value, ids of documents."""
    return [
        [*fact, canonical(TYPES[fact[1]], held.value, problem["currency"], language), [str(number) for number in held.documents]]
        for fact, all_held in facts.items()
        for held in all_held
    ]


def attributes(problem: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Type and words of everything that can be said of such an entity, stated or not."""
    found: dict[str, Any] = {}
    for name in THEMES[problem["theme"]]:
        words = lexicon(language)["attributes"][name]
        found[name] = {"type": TYPES[name], "words": sorted({words["label"], *words["words"]})}
        found[name] |= {role: words[role] for role in ("passive", "active") if role in words}
    return found
