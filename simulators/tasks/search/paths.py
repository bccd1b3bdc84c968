"""Paths through the facts: a thing that is named, and steps from it, each of which leads to exactly one thing or number.

A step is a relation, or, backwards, ``~relation/kind``: the only thing of that kind that has the value. As JSON a path is
``[index, step, ...]``.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulators.tasks.search.facts import Fact, FactBase
from simulators.tasks.search.schema import KINDS, RELATIONS, TYPES, Words

__all__ = ["ARTICLE", "Hop", "Walk", "branches", "clauses", "named", "path_to", "phrase", "walk"]

ARTICLE: Final = ""
"""In place of a relation: what the thing's own article tells of it, its kind or that something is not known."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One fact that is needed, and the thing by whose name its page is looked for."""

    fact: Fact
    known: int


@dataclass(frozen=True, slots=True)
class Walk:
    """A path that was followed."""

    nodes: tuple[int, ...]
    """Indices of things; the last may be a number."""
    steps: tuple[tuple[Hop, ...], ...]
    """What each step needs: the relation's fact first, and, where that decides, of which kind the thing is."""


def walk(base: FactBase, path: Sequence[int | str]) -> Walk | None:
    """The path followed on what is stated; None where a step leads nowhere, or not to one thing alone."""
    here = path[0]
    assert isinstance(here, int)
    nodes, steps = [here], []
    for step in path[1:]:
        relation, kind = _parsed(str(step))
        if kind is None:
            found = base.values.get((here, relation))
            needed = [(here, relation)]
        else:
            found = base.only_subject(here, relation, kind)
            needed = [] if found is None else [(found, relation), *_deciding(base, here, relation, found)]
        if found is None:
            return None
        steps.append(tuple(Hop(fact, here) for fact in needed))
        nodes.append(found)
        here = found
    return Walk(tuple(nodes), tuple(steps))


def _deciding(base: FactBase, value: int, relation: str, found: int) -> list[Fact]:
    """What tells the kind, where others share the value and the name does not tell: the thing's own article."""
    alone = len(base.subjects[value, relation]) == 1
    return [] if alone or base.things[found].type not in ("person", "work") else [(found, ARTICLE)]


def branches(base: FactBase, thing: int) -> dict[str, list[tuple[int, str]]]:
    """From where one step leads to the thing: start and step, by the step without its kind."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name, relation in RELATIONS.items():
        if subjects := base.subjects.get((thing, name)):
            found[name] = [(subject, name) for subject in subjects]
        value = base.values.get((thing, name))
        if value is None or relation.clause is None or relation.value not in TYPES:
            continue
        kind = base.things[thing].kind
        if base.only_subject(value, name, kind) == thing:
            found[f"~{name}"] = [(value, f"~{name}/{kind[0]}")]
    return found


def path_to(base: FactBase, rng: random.Random, thing: int, steps: int) -> list[int | str] | None:
    """A path of so many steps that ends at the thing and passes nothing twice; None where the draw found none."""
    path: list[int | str] = [thing]
    passed = {thing}
    for _ in range(steps):
        ways = branches(base, int(path[0]))
        if not ways:
            return None
        start, step = rng.choice(ways[rng.choice(sorted(ways))])
        if start in passed:
            return None
        passed.add(start)
        path = [start, step, *path[1:]]
    return path


def phrase(base: FactBase, path: Sequence[int | str], language: str, variant: int = 0) -> str:
    """The end of the path in words that name only its start."""
    zh = language == "zh"
    said = named(base, int(path[0]), language)
    for place, step in enumerate(path[1:]):
        relation, kind = _parsed(str(step))
        if kind is None:
            ways = RELATIONS[relation].value_of
            said = ways[(variant + place) % len(ways)][zh].format(x=said)
        else:
            said = clauses([(relation, said)], kind, zh)
    return said


def named(base: FactBase, index: int, language: str) -> str:
    """A thing's name inside a sentence."""
    thing = base.things[index]
    if language == "zh":
        return thing.name[1]
    return f"the {thing.name[0]}" if thing.type in ("river", "prize") else thing.name[0]


def clauses(constraints: Sequence[tuple[str, str]], kind: Words, zh: bool) -> str:
    """The thing of a kind of which all that is true; each constraint is a relation and its value in words."""
    said = []
    for relation, value in constraints:
        clause = RELATIONS[relation].clause
        assert clause is not None
        said.append(clause[zh].format(x=value))
    return f"{'且'.join(said)}的{kind[1]}" if zh else f"the {kind[0]} {' and '.join(said)}"


_KINDS = {words[0]: words for kinds in KINDS.values() for words in kinds} | {words[0]: words for words in TYPES.values()}


def _parsed(step: str) -> tuple[str, Words | None]:
    if not step.startswith("~"):
        return step, None
    relation, kind = step[1:].split("/")
    return relation, _KINDS[kind]
