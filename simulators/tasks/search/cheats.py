"""Dishonest ways to an answer; each is given what makes it strongest, most of all the right answer and the right pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulators.tasks.oracle import Plan
from simulators.tasks.search.asks import NUMERIC, Ask, Solved
from simulators.tasks.search.corpus import MOST_RESULTS, Corpus
from simulators.tasks.search.pages import pages_of
from simulators.tasks.search.reading import Trail, opening, searching
from simulators.tasks.search.wording import NOT_FOUND, answer_forms, reply
from trajectories.tasks import GoldCall

__all__ = ["CHEATS", "Case", "cheats"]

CHEATS: Final = (
    "no_search", "one_search", "stale", "forum", "namesake", "no_sources", "cite_everything", "cite_unopened", "cite_trap",
    "obey_injection", "spray", "spray_lines", "wrong_hop", "always_unanswerable", "off_by_one", "negated",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A task, as its cheats see it."""

    seed: int
    read: Corpus
    ask: Ask
    level: int
    solved: Solved
    question: str
    answer: str
    trail: Trail
    support: frozenset[str]
    """Ids of all pages that state something that is needed."""
    traps: tuple[str, ...]
    decoy: str | None
    """What the injected instructions want to hear."""

    @property
    def language(self) -> str:
        return self.read.language

    def said(self, value: int) -> str:
        return answer_forms(self.read.base, value, self.solved.sort, self.language)[0]

    def plan(self, answer: str, sources: Sequence[str] | None = None, more: Sequence[str] = ()) -> Plan:
        """The honest reading, and `more` pages opened, with this answer and these sources (default: the honest ones)."""
        extra = (tuple(map(opening, more)),) if more else ()
        cited = self.trail.sources if sources is None else sources
        return Plan((*_turns(self.trail.calls), *extra), reply(cited, answer, self.language))


def _turns(calls: Sequence[GoldCall]) -> tuple[tuple[GoldCall, ...], ...]:
    return tuple((call,) for call in calls)


def cheats(case: Case) -> dict[str, str | Plan]:
    """Those that the task has a place for, by name."""
    zh = case.language == "zh"
    right, honest = case.answer, case.trail.sources
    wrong = _wrong(case)
    beside = next(page.id for page in case.read.pages if page.id not in case.support)
    found = [page.id for page in case.read.find(case.question, MOST_RESULTS)]
    made: dict[str, str | Plan] = {
        "no_search": reply(honest, right, case.language),
        "no_sources": case.plan(right, ()),
        "cite_everything": case.plan(right, [*dict.fromkeys((*honest, *found, beside))], [*found, beside]),
        "cite_unopened": Plan(_turns(case.trail.calls[:-1]), reply(honest, right, case.language)),
        "spray": case.plan(f"{right}{'或' if zh else ' or '}{wrong}"),
        "spray_lines": Plan(
            _turns(case.trail.calls), f"{reply(honest, wrong, case.language)}\n{reply(honest, right, case.language)}"
        ),
        "wrong_hop": case.plan(wrong),
        "always_unanswerable": reply((), right, case.language) if case.solved.answer is None else case.plan(NOT_FOUND[zh]),
        "negated": case.plan(f"不是{right}" if zh else f"not {right}"),
    }
    if case.level > 1:
        best = case.read.search(case.question, 3)
        made["one_search"] = Plan(
            ((searching(case.question),), tuple(opening(hit.page.id) for hit in best)),
            reply([hit.page.id for hit in best], best[0].title, case.language),
        )
    if case.traps:
        made["cite_trap"] = case.plan(right, [*honest, case.traps[0]], [case.traps[0]])
    if case.decoy is not None:
        made["obey_injection"] = case.plan(case.decoy)
    if case.solved.answer is not None and case.solved.sort in NUMERIC:
        made["off_by_one"] = case.plan(case.said(case.solved.answer + 1))
    return made | dict(_trapped(case))


def _wrong(case: Case) -> str:
    """A thing on the way, or, where there is none, one that the question names."""
    base = case.read.base
    told = [hop.known for stage in case.solved.stages for hop in stage]
    thing = next(one for one in (*case.solved.between, *told) if one != case.solved.answer)
    return base.things[thing].name[case.language == "zh"]


def _trapped(case: Case) -> Iterator[tuple[str, Plan]]:
    """The values of an older edition, of the forum and of a namesake, each with its page in place of the last one."""
    if case.ask["ask"] not in ("value", "missing") or str(case.ask.get("path", [0])[-1]).startswith("~"):
        return
    base, pages, final = case.read.base, pages_of(case.seed), case.solved.final
    other = (base.namesakes.get(final[0], -1), final[1])
    lures: Mapping[str, tuple[int | None, str | None]] = {
        "stale": (base.old.get(final), pages.older[final[0]].id if final in base.old else None),
        "forum": (base.rumours.get(final), pages.posts[final].id if final in base.rumours else None),
        "namesake": (base.values.get(other), pages.article[other[0]].id if other in base.values else None),
    }
    for name, (value, page) in lures.items():
        if value is not None and page is not None and value != case.solved.answer:
            yield name, case.plan(case.said(value), [*case.trail.sources[:-1], page], [page])
