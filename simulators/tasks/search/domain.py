"""Questions that are answered by searching and reading a small encyclopaedia, with sources.

Some corpora are for training and others are held out: a problem is drawn until its split is that of its corpus, so no held-out
question is about anything that training has seen.
"""

import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from simulators.playable import FunctionWorld
from simulators.tasks.domains.protocol import Draft, Problem
from simulators.tasks.domains.stream import problem_id, split_of
from simulators.tasks.search.asks import NUMERIC, Solved, solve
from simulators.tasks.search.cheats import CHEATS, Case, cheats
from simulators.tasks.search.corpus import corpus
from simulators.tasks.search.facts import FactBase
from simulators.tasks.search.families import FAMILIES, draw_ask
from simulators.tasks.search.making import fact_base
from simulators.tasks.search.pages import pages_of
from simulators.tasks.search.reading import Trail, shown_at_once, support_of, trail
from simulators.tasks.search.schema import LANGUAGES, RELATIONS
from simulators.tasks.search.wording import NOTES, answer_forms, note, prompt, question, reply
from simulators.tasks.search.world import patches_for, search_world

__all__ = ["HELD_OUT", "TRAIN", "SearchDomain"]

TRAIN: Final = (1, 2, 3, 4, 5, 6, 7, 8)
"""Seeds of corpora."""
HELD_OUT: Final = (101, 102, 103, 104)

_MOST_DRAWS: Final = 20_000
_RARELY: Final = 8
"""Of problems of whatever corpus one in eight is held out; this many draws of held-out corpora for each of the others make
up for it."""


class SearchDomain:
    """See docs/gym/search.md."""

    name = "search"
    about = "multi-hop questions over a searchable corpus with stale, disputed and misleading pages; answers with sources"
    families: Mapping[str, str] = FAMILIES
    levels = 4
    languages = LANGUAGES
    cheats = CHEATS

    def __init__(self, train: tuple[int, ...] = TRAIN, held_out: tuple[int, ...] = HELD_OUT) -> None:
        self._train, self._held_out = train, held_out

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        """A problem that an honest reader can do in either language, and, from level 2 on, not by one search."""
        for _ in range(_MOST_DRAWS):
            seed = rng.choice(self._held_out if rng.randrange(_RARELY) else self._train)
            problem = _drawn(seed, family, level, rng)
            if problem is None or (split_of(problem_id(self.name, family, problem)) == "held_out") != (seed in self._held_out):
                continue
            if all(_usable(problem, level, language) for language in LANGUAGES):
                return problem
        raise ValueError(f"search/{family}: no problem of level {level} in {_MOST_DRAWS} draws")

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        """Raises: ValueError: for a problem that `draw` would not give."""
        seed, ask = problem["corpus"], problem["ask"]
        found = _followed(problem, language)
        if found is None:
            raise ValueError(f"search: this problem has no provable answer: {dict(problem)}")
        solved, steps, asked = found
        base, read = fact_base(seed), corpus(seed, language)
        forms = answer_forms(base, solved.answer, solved.sort, language, solved.final[1])
        hops = list(
            dict.fromkeys(tuple(page.id for page in support_of(seed, hop.fact)) for stage in solved.stages for hop in stage)
        )
        traps = _traps(seed, base, solved)
        decoy, notes = None, {}
        if "note" in problem:
            decoy = answer_forms(base, problem["note"]["value"], solved.sort, language)[0]
            said = note(problem["note"]["form"], decoy, language)
            notes = {page.id: said for page in support_of(seed, solved.final)}
        support = frozenset(page for pages in hops for page in pages)
        case = Case(seed, read, ask, level, solved, asked, forms[0], steps, support, traps, decoy)
        return Draft(
            prompt=prompt(asked, language),
            reply=reply(steps.sources, forms[0], language),
            key={"answers": forms, "hops": list(map(list, hops)), "traps": list(traps), "searched": solved.answer is None},
            calls=steps.calls,
            world=self.name,
            seed=seed,
            patches=patches_for(language, notes),
            tags=(ask["ask"], f"hops:{len(solved.stages)}"),
            cheats=cheats(case),
        )

    def world(self) -> FunctionWorld:
        return _world()


@lru_cache(maxsize=1)
def _world() -> FunctionWorld:
    return search_world()


def _drawn(seed: int, family: str, level: int, rng: random.Random) -> Problem | None:
    base = fact_base(seed)
    ask = draw_ask(base, family, level, rng)
    if ask is None or (solved := solve(base, ask)) is None:
        return None
    problem: dict[str, Any] = {"corpus": seed, "ask": dict(ask), "wording": rng.randrange(2)}
    if family == "injected":
        problem["note"] = {"form": rng.randrange(NOTES), "value": _decoy(base, solved, rng)}
    return problem


def _decoy(base: FactBase, solved: Solved, rng: random.Random) -> int:
    """Something of the answer's sort that is not the answer."""
    assert solved.answer is not None
    if solved.sort in NUMERIC:
        return solved.answer + rng.choice((-1, 1)) * rng.randint(3, 40)
    return rng.choice([thing.index for thing in base.of_type(solved.sort) if thing.index != solved.answer])


def _usable(problem: Problem, level: int, language: str) -> bool:
    found = _followed(problem, language)
    if found is None:
        return False
    solved, steps, asked = found
    if level > 1 and problem["ask"]["ask"] in ("value", "missing") and len(steps.sources) < max(2, level - 1):
        return False
    if level == 1 or solved.answer is None:
        return True
    read = corpus(problem["corpus"], language)
    return not shown_at_once(read, asked, answer_forms(read.base, solved.answer, solved.sort, language))


def _followed(problem: Problem, language: str) -> tuple[Solved, Trail, str] | None:
    """The answer, an honest way to it, and the question."""
    seed, ask = problem["corpus"], problem["ask"]
    base = fact_base(seed)
    if (solved := solve(base, ask)) is None or (steps := trail(seed, corpus(seed, language), solved)) is None:
        return None
    return solved, steps, question(base, ask, solved, language, problem["wording"])


def _traps(seed: int, base: FactBase, solved: Solved) -> tuple[str, ...]:
    """Older editions and posts about what must be read, and articles of namesakes; none of them supports anything here."""
    pages = pages_of(seed)
    things = dict.fromkeys(node for stage in solved.stages for hop in stage for node in (hop.fact[0], hop.known))
    support = {page.id for stage in solved.stages for hop in stage for page in support_of(seed, hop.fact)}
    found = [
        *(pages.older[thing] for thing in things if thing in pages.older),
        *(pages.posts[thing, name] for thing in things for name in RELATIONS if (thing, name) in pages.posts),
        *(pages.article[base.namesakes[thing]] for thing in things if thing in base.namesakes),
    ]
    return tuple(page.id for page in found if page.id not in support)
