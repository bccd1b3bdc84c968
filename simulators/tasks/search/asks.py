"""What is asked, solved on the facts: the answer, proven to be the only one, and every fact that it rests on.

An ask is part of a problem, as JSON; its ``ask`` says which of the kinds below it is. Solving one looks at nothing but what pages
state, so it has an answer only where a reader can have one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulators.tasks.search.facts import Fact, FactBase
from simulators.tasks.search.pages import GROUPS
from simulators.tasks.search.paths import ARTICLE, Hop, Walk, walk
from simulators.tasks.search.schema import RELATIONS

__all__ = ["NUMERIC", "Ask", "Solved", "members", "solve"]

Ask = Mapping[str, Any]
Stages = tuple[tuple[Hop, ...], ...]
NUMERIC: Final = ("year", "amount", "count", "years")
"""Sorts of answers that are numbers."""


@dataclass(frozen=True, slots=True)
class Solved:
    """An answer with its proof."""

    answer: int | None
    """Index of a thing, or a number; None where the corpus does not tell."""
    sort: str
    """A type, or one of `NUMERIC`; of what is missing, too."""
    stages: Stages
    """What must be read, in an order in which each can be found by what was read before."""
    final: Fact
    """The last fact: the answer is its value, or its subject, or, where it is missing, it would be."""
    between: tuple[int, ...]
    """Things that lead to the answer and that the question does not name."""


def solve(base: FactBase, ask: Ask) -> Solved | None:
    """None where there is no answer, or more than one, or it stands in the question."""
    solved = _SOLVERS[ask["ask"]](base, ask)
    if solved is None or (solved.answer in _named(ask) and solved.sort not in NUMERIC and ask["ask"] != "compare"):
        return None
    return solved


def _named(ask: Ask) -> set[int]:
    """Indices of the things that the question names."""
    paths = [ask[name] for name in ("path", "when") if isinstance(ask.get(name), list)]
    return {path[0] for path in (*paths, *ask.get("paths", ()), *(item[1] for item in ask.get("where", ())))}


def _aligned(walks: Sequence[Walk]) -> Stages:
    """Hops of several walks; each stage has those that come so many steps after the start."""
    depth = max(len(one.steps) for one in walks)
    return tuple(tuple(hop for one in walks if place < len(one.steps) for hop in one.steps[place]) for place in range(depth))


def _passed(walks: Sequence[Walk], *, to_end: bool) -> tuple[int, ...]:
    """Things between, the end included where it is not the answer."""
    return tuple(node for one in walks for node in (one.nodes[1:] if to_end else one.nodes[1:-1]))


def _value(base: FactBase, ask: Ask) -> Solved | None:
    found = walk(base, ask["path"])
    if found is None or not found.steps:
        return None
    final, backwards = found.steps[-1][0].fact, str(ask["path"][-1]).startswith("~")
    sort = RELATIONS[final[1]].subject if backwards else RELATIONS[final[1]].value
    return Solved(found.nodes[-1], sort, _aligned([found]), final, _passed([found], to_end=False))


def _missing(base: FactBase, ask: Ask) -> Solved | None:
    found = walk(base, ask["path"])
    if found is None or (final := (found.nodes[-1], ask["relation"])) not in base.missing:
        return None
    stages = (*_aligned([found]), (Hop((final[0], ARTICLE), final[0]),))
    return Solved(None, RELATIONS[final[1]].value, stages, final, _passed([found], to_end=True))


def _meet(base: FactBase, ask: Ask) -> Solved | None:
    walks = [walk(base, path) for _, path in ask["where"]]
    if any(one is None for one in walks):
        return None
    ends = [(relation, one.nodes[-1]) for (relation, _), one in zip(ask["where"], walks, strict=True) if one]
    groups = [set(base.subjects.get((end, relation), ())) for relation, end in ends]
    common = set.intersection(*groups)
    if len(common) != 1 or min(map(len, groups)) < 2:
        return None
    answer = common.pop()
    last = tuple(Hop((answer, relation), end) for relation, end in ends)
    followed = [one for one in walks if one and one.steps]
    stages = (*(_aligned(followed) if followed else ()), last)
    return Solved(answer, base.things[answer].type, stages, last[-1].fact, _passed(followed, to_end=True))


def _compare(base: FactBase, ask: Ask) -> Solved | None:
    walks = [one for path in ask["paths"] if (one := walk(base, path))]
    ends = [one.nodes[-1] for one in walks]
    values = [base.values.get((end, ask["relation"])) for end in ends]
    if len(walks) < len(ask["paths"]) or None in values or len(set(values)) < len(values) or len(set(ends)) < len(ends):
        return None
    best = (max if ask["most"] else min)(range(len(ends)), key=lambda place: values[place] or 0)
    winner, compared = ends[best], tuple(Hop((end, ask["relation"]), end) for end in ends)
    followed = [one for one in walks if one.steps]
    stages = (*(_aligned(followed) if followed else ()), compared)
    between = _passed(followed, to_end=True)
    if not ask["tail"]:
        return Solved(winner, base.things[winner].type, stages, (winner, ask["relation"]), tuple(set(between) - {winner}))
    tail = walk(base, [winner, *ask["tail"]])
    if tail is None or tail.nodes[-1] in ends:
        return None
    final = tail.steps[-1][0].fact
    return Solved(
        tail.nodes[-1], RELATIONS[final[1]].value, (*stages, *_aligned([tail])), final, (*between, *_passed([tail], to_end=False))
    )


def members(base: FactBase, owner: int, shared: str) -> list[int]:
    """Of a group, by their number; fewer than there are where a number is not stated or not a member's own."""
    number = GROUPS[shared]
    everybody = base.subjects.get((owner, shared), [])
    numbers = {base.values.get((one, number)) for one in everybody}
    if None in numbers or len(numbers) < len(everybody):
        return []
    return sorted(everybody, key=lambda one: base.values[one, number])


def _group(base: FactBase, ask: Ask) -> tuple[Walk, list[int], tuple[Hop, ...]] | None:
    found = walk(base, ask["path"])
    everybody = members(base, found.nodes[-1], ask["shared"]) if found else []
    if found is None or len(everybody) < 3:
        return None
    read = (ask["shared"], GROUPS[ask["shared"]])
    return found, everybody, tuple(Hop((one, relation), found.nodes[-1]) for one in everybody for relation in read)


def _count(base: FactBase, ask: Ask) -> Solved | None:
    if (group := _group(base, ask)) is None:
        return None
    found, everybody, hops = group
    number = GROUPS[ask["shared"]]
    counted = [one for one in everybody if ask["from"] <= base.values[one, number] <= ask["to"]]
    if not 1 < len(counted) < len(everybody):
        return None
    return Solved(len(counted), "count", (*_aligned([found]), hops), (counted[0], number), _passed([found], to_end=True))


def _ordinal(base: FactBase, ask: Ask) -> Solved | None:
    if (group := _group(base, ask)) is None:
        return None
    found, everybody, hops = group
    if not 1 <= ask["place"] <= len(everybody):
        return None
    answer = everybody[ask["place"] - 1]
    final = (answer, GROUPS[ask["shared"]])
    return Solved(answer, base.things[answer].type, (*_aligned([found]), hops), final, _passed([found], to_end=True))


def _holder(base: FactBase, ask: Ask) -> Solved | None:
    place = walk(base, ask["path"])
    when = ask["when"] if isinstance(ask["when"], int) else walk(base, ask["when"])
    if place is None or when is None:
        return None
    year, city = when if isinstance(when, int) else when.nodes[-1], place.nodes[-1]
    mayors = [
        one
        for one in base.subjects.get((city, "mayor_of"), ())
        if base.values[one, "term_start"] < year < base.values[one, "term_end"]
    ]
    if len(mayors) != 1:
        return None
    walks = [place] if isinstance(when, int) else [place, when]
    hops = tuple(Hop((mayors[0], name), city) for name in ("mayor_of", "term_start", "term_end"))
    between = (*place.nodes[1:], *(() if isinstance(when, int) else when.nodes[1:-1]))
    return Solved(mayors[0], "person", (*_aligned(walks), hops), (mayors[0], "mayor_of"), between)


def _difference(base: FactBase, ask: Ask) -> Solved | None:
    walks = [one for path in ask["paths"] if (one := walk(base, path))]
    if len(walks) != 2 or not all(one.steps for one in walks) or walks[0].steps[-1][0].fact[0] == walks[1].steps[-1][0].fact[0]:
        return None
    answer = abs(walks[0].nodes[-1] - walks[1].nodes[-1])
    return (
        Solved(answer, "years", _aligned(walks), walks[0].steps[-1][0].fact, _passed(walks, to_end=False)) if answer > 1 else None
    )


_SOLVERS: Final[dict[str, Callable[[FactBase, Ask], Solved | None]]] = {
    "value": _value, "missing": _missing, "meet": _meet, "compare": _compare, "count": _count, "ordinal": _ordinal,
    "holder": _holder, "difference": _difference,
}  # fmt: skip
