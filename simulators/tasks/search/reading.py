"""How an honest reader gets from a question to its sources, and what can be had by a single search.

The reader only searches for names that it has, and only opens what it was shown; a problem whose pages cannot be found like that
is not used.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from simulators.tasks.search.asks import Solved
from simulators.tasks.search.corpus import MOST_RESULTS, Corpus
from simulators.tasks.search.facts import Fact
from simulators.tasks.search.pages import Page, pages_of
from simulators.tasks.search.paths import ARTICLE, Hop
from trajectories.tasks import GoldCall

__all__ = ["MOST_CALLS", "Trail", "opening", "searching", "shown_at_once", "support_of", "trail"]

MOST_CALLS: Final = 10


@dataclass(frozen=True, slots=True)
class Trail:
    """The oracle's calls, and the pages that it opened: each states something that is needed."""

    calls: tuple[GoldCall, ...]
    sources: tuple[str, ...]


def searching(query: str) -> GoldCall:
    return GoldCall("search", {"query": query, "k": MOST_RESULTS})


def opening(page_id: str) -> GoldCall:
    return GoldCall("open", {"page_id": page_id})


def support_of(seed: int, fact: Fact) -> tuple[Page, ...]:
    """Pages that state the fact, or, for `ARTICLE`, the newest about the thing."""
    pages = pages_of(seed)
    return (pages.article[fact[0]],) if fact[1] == ARTICLE else pages.support[fact]


def trail(seed: int, read: Corpus, solved: Solved) -> Trail | None:
    """Stage by stage: one search for all names of the stage, one by one for what it did not show; None where pages stay hidden
    or it takes too many calls."""
    calls: list[GoldCall] = []
    opened: dict[str, None] = {}
    for stage in solved.stages:
        names = list(dict.fromkeys(read.base.things[hop.known].name[read.language == "zh"] for hop in stage))
        for query in dict.fromkeys(("; ".join(names), *names)):
            left = [hop for hop in stage if not _is_read(seed, hop, opened)]
            if not left:
                break
            shown = {page.id for page in read.find(query, MOST_RESULTS)}
            fresh = list(_covering(seed, left, shown))
            if fresh:
                calls += [searching(query), *map(opening, fresh)]
                opened |= dict.fromkeys(fresh)
        if not all(_is_read(seed, hop, opened) for hop in stage):
            return None
    return Trail(tuple(calls), tuple(opened)) if len(calls) <= MOST_CALLS else None


def _is_read(seed: int, hop: Hop, opened: Iterable[str]) -> bool:
    return any(page.id in opened for page in support_of(seed, hop.fact))


def _covering(seed: int, hops: Sequence[Hop], shown: set[str]) -> Iterable[str]:
    """Pages among those that are shown, each stating most of what is left."""
    left = [{page.id for page in support_of(seed, hop.fact)} & shown for hop in hops]
    while left := [pages for pages in left if pages]:
        best = max(sorted(set().union(*left)), key=lambda page: sum(page in pages for pages in left))
        yield best
        left = [pages for pages in left if best not in pages]


def shown_at_once(read: Corpus, question: str, forms: Sequence[str]) -> bool:
    """Whether one search for the question's own words shows the answer, in a title or a snippet."""
    wanted = [
        re.compile(rf"(?<![\d,]){re.escape(form)}(?![\d,])" if form[0].isdigit() else re.escape(form)) for form in forms[:2]
    ]
    hits = read.search(question, MOST_RESULTS)
    return any(pattern.search(text) for hit in hits for text in (hit.title, hit.snippet) for pattern in wanted)
