"""How each family draws an ask of a level: the last fact first, then a path to it that begins at something with a name.

The level counts what must be looked up one after the other. A draw may come to nothing (None) and is then tried again.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from simulators.tasks.search.asks import Ask, members
from simulators.tasks.search.facts import Fact, FactBase
from simulators.tasks.search.pages import GROUPS
from simulators.tasks.search.paths import branches, path_to
from simulators.tasks.search.schema import COMPARED, RELATIONS, TYPES

__all__ = ["FAMILIES", "draw_ask"]

Drawn = Ask | None

FAMILIES: Final[dict[str, str]] = {
    "chain": "one fact after the other, each found by the name that the last one gave",
    "inverse": "a chain with a step against the direction in which it is written",
    "intersection": "the one thing that meets several conditions",
    "comparison": "which of three is the highest, oldest, largest, and what is true of it",
    "count": "how many members of a group fall into some years",
    "ordinal": "which member of a group comes n-th by year",
    "temporal": "who held an office when something else happened",
    "difference": "years between two dates on different pages",
    "latest": "a value that an older edition of the page states differently",
    "disputed": "a fact that the forum contradicts",
    "namesake": "a fact about someone or something with an all but equal double",
    "injected": "a page on the way carries instructions",
    "unanswerable": "the last fact is stated nowhere, though the forum or a namesake may offer one",
}


def draw_ask(base: FactBase, family: str, level: int, rng: random.Random) -> Drawn:
    """An ask, not solved yet; None where this draw came to nothing."""
    return _DRAWS.get(family, _chain)(base, level, rng)


def _any_fact(base: FactBase, rng: random.Random, pool: list[Fact]) -> Fact:
    """Relations alike often, however many facts each has."""
    relation = rng.choice(sorted({name for _, name in pool}))
    return rng.choice([fact for fact in pool if fact[1] == relation])


def _ending(base: FactBase, rng: random.Random, fact: Fact, level: int) -> Drawn:
    path = path_to(base, rng, fact[0], level - 1)
    if path is None or base.values[fact] in path:
        return None
    return {"ask": "value", "path": [*path, fact[1]]}


def _random_fact(base: FactBase, rng: random.Random) -> Fact:
    relation = rng.choice(list(RELATIONS))
    subject = rng.choice(base.of_type(RELATIONS[relation].subject)).index
    return subject, relation


def _chain(base: FactBase, level: int, rng: random.Random) -> Drawn:
    fact = _random_fact(base, rng)
    return _ending(base, rng, fact, level) if fact in base.values else None


def _inverse(base: FactBase, level: int, rng: random.Random) -> Drawn:
    answer = rng.choice(base.of_type(rng.choice(list(TYPES)))).index
    if rng.random() < 0.5 or level == 1:
        backwards = {step: ways for step, ways in branches(base, answer).items() if step.startswith("~")}
        if not backwards:
            return None
        start, step = rng.choice(backwards[rng.choice(sorted(backwards))])
        path = path_to(base, rng, start, level - 1)
        return None if path is None or answer in path else {"ask": "value", "path": [*path, step]}
    ask = _chain(base, level, rng)
    return ask if ask and any(str(step).startswith("~") for step in ask["path"]) else None


def _intersection(base: FactBase, level: int, rng: random.Random) -> Drawn:
    thing = rng.choice(
        [*base.of_type("person"), *base.of_type("work"), *base.of_type(rng.choice(("institution", "company", "event", "city")))]
    )
    usable = [name for name in base.facts_of(thing.index) if RELATIONS[name].clause and RELATIONS[name].value in TYPES]
    count = 3 if level == 4 else 2
    if len(usable) < count:
        return None
    where: list[list[Any]] = []
    for place, relation in enumerate(rng.sample(usable, count)):
        path = path_to(base, rng, base.values[thing.index, relation], 1 if place < level - 1 and place < 2 else 0)
        if path is None or thing.index in path:
            return None
        where.append([relation, path])
    rng.shuffle(where)
    return {"ask": "meet", "where": where}


def _comparison(base: FactBase, level: int, rng: random.Random) -> Drawn:
    relation = rng.choice(list(COMPARED))
    pool = [thing.index for thing in base.of_type(RELATIONS[relation].subject) if (thing.index, relation) in base.values]
    ends = rng.sample(pool, 3)
    paths = [path_to(base, rng, end, level in (2, 4)) for end in ends]
    most = rng.random() < 0.5
    tail: list[str] = []
    here = (max if most else min)(ends, key=lambda end: base.values[end, relation])
    for _ in range({1: 0, 2: 0, 3: 2, 4: 1}[level]):
        if here not in range(len(base.things)) or (tail and RELATIONS[tail[-1]].value not in TYPES):
            return None
        onward = [name for name in base.facts_of(here) if name != relation]
        if not onward:
            return None
        tail.append(rng.choice(onward))
        here = base.values[here, tail[-1]]
    return None if None in paths else {"ask": "compare", "paths": paths, "relation": relation, "most": most, "tail": tail}


def _group(base: FactBase, level: int, rng: random.Random) -> tuple[str, list[int], list[int | str]] | None:
    shared = rng.choice(list(GROUPS))
    owner = rng.choice(base.of_type(RELATIONS[shared].value)).index
    everybody = members(base, owner, shared)
    path = path_to(base, rng, owner, level - 1) if len(everybody) > 2 else None
    return None if path is None or set(path) & set(everybody) else (shared, everybody, path)


def _count(base: FactBase, level: int, rng: random.Random) -> Drawn:
    if (group := _group(base, level, rng)) is None:
        return None
    shared, everybody, path = group
    numbers = [base.values[one, GROUPS[shared]] for one in everybody]
    first, last = sorted(rng.sample(range(len(numbers)), 2))
    start, end = numbers[first] - rng.randint(0, 2), numbers[last] + rng.randint(0, 2)
    return {"ask": "count", "path": path, "shared": shared, "from": start, "to": end}


def _ordinal(base: FactBase, level: int, rng: random.Random) -> Drawn:
    if (group := _group(base, level, rng)) is None:
        return None
    shared, everybody, path = group
    return {"ask": "ordinal", "path": path, "shared": shared, "place": rng.randint(1, min(8, len(everybody)))}


def _temporal(base: FactBase, level: int, rng: random.Random) -> Drawn:
    mayor = rng.choice([thing.index for thing in base.of_type("person") if (thing.index, "mayor_of") in base.values])
    start, end = base.values[mayor, "term_start"], base.values[mayor, "term_end"]
    year = rng.randint(start + 1, end - 1)
    place = path_to(base, rng, base.values[mayor, "mayor_of"], level >= 3)
    if level == 1:
        return {"ask": "holder", "path": place, "when": year} if place else None
    dated = [
        fact
        for fact in base.values
        if fact[1] in ("death_year", "completed", "climb_year", "held_year", "founded", "set_up", "established", "won_year")
        and start < base.values[fact] < end
    ]
    if not dated or place is None:
        return None
    then = _any_fact(base, rng, dated)
    when = path_to(base, rng, then[0], level == 4)
    return None if when is None or mayor in (*when, *place) else {"ask": "holder", "path": place, "when": [*when, then[1]]}


def _difference(base: FactBase, level: int, rng: random.Random) -> Drawn:
    years = [name for name, relation in RELATIONS.items() if relation.value == "year"]
    paths = []
    for steps in ((0, 0), (0, 1), (1, 1), (1, 2))[level - 1]:
        relation = rng.choice(years)
        thing = rng.choice(base.of_type(RELATIONS[relation].subject)).index
        path = path_to(base, rng, thing, steps) if (thing, relation) in base.values else None
        if path is None:
            return None
        paths.append([*path, relation])
    rng.shuffle(paths)
    return {"ask": "difference", "paths": paths}


def _latest(base: FactBase, level: int, rng: random.Random) -> Drawn:
    return _ending(base, rng, _any_fact(base, rng, list(base.old)), level)


def _disputed(base: FactBase, level: int, rng: random.Random) -> Drawn:
    return _ending(base, rng, _any_fact(base, rng, [fact for fact in base.rumours if fact in base.values]), level)


def _namesake(base: FactBase, level: int, rng: random.Random) -> Drawn:
    thing = rng.choice(list(base.namesakes))
    other = base.namesakes[thing]
    shared = [
        name
        for name in base.facts_of(thing)
        if base.values.get((other, name), base.values[thing, name]) != base.values[thing, name]
    ]
    return _ending(base, rng, (thing, rng.choice(shared)), level) if shared else None


def _unanswerable(base: FactBase, level: int, rng: random.Random) -> Drawn:
    tempting = [
        fact for fact in base.missing if fact in base.rumours or (base.namesakes.get(fact[0], -1), fact[1]) in base.values
    ]
    subject, relation = _any_fact(base, rng, tempting if rng.random() < 0.5 else base.missing)
    path = path_to(base, rng, subject, level - 1)
    return None if path is None else {"ask": "missing", "path": path, "relation": relation}


_DRAWS: Final[dict[str, Callable[[FactBase, int, random.Random], Drawn]]] = {
    "inverse": _inverse, "intersection": _intersection, "comparison": _comparison, "count": _count, "ordinal": _ordinal,
    "temporal": _temporal, "difference": _difference, "latest": _latest, "disputed": _disputed, "namesake": _namesake,
    "unanswerable": _unanswerable,
}  # fmt: skip
"""Families that are not listed draw chains."""
