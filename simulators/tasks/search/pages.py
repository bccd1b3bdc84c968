"""The pages of a corpus: which there are and what each states (alike in every language), and their texts in one language.

Articles state the facts of their subject and, under headings, what others say of it; lists state those of a whole group. An older
edition of an article has the same title and source and an earlier date. Posts of the forum tell rumours. Only articles in their
newest edition and lists support an answer.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from simulators.tasks.search.facts import Fact, FactBase
from simulators.tasks.search.making import fact_base
from simulators.tasks.search.schema import RELATIONS, TYPES, lexicon
from trajectories.seeds import derive_rng

__all__ = ["GROUPS", "Page", "Pages", "pages_of", "shown_number", "source_of", "text_of", "title_of"]

_SAID: Final = lexicon("phrases")
_SOURCES: Final = _SAID["sources"] | {"older": _SAID["sources"]["article"], "post": _SAID["forum"]}

GROUPS: Final = {"creator": "completed", "headquarters": "set_up", "mayor_of": "term_start", "won": "won_year"}
"""Lists, by the relation that their members share: the number that each entry has."""

_SMALLEST_LIST: Final = 3
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"

Form = Literal["article", "older", "list", "post"]


@dataclass(frozen=True, slots=True)
class Page:
    """A page, in whatever language."""

    id: str
    form: Form
    about: int
    """Index of a thing."""
    relation: str
    """What a list's members share, and what a post is about; else empty."""
    date: str
    """ISO 8601."""


@dataclass(frozen=True)
class Pages:
    """All pages of a corpus; what counts as support is looked up here."""

    all: tuple[Page, ...]
    article: dict[int, Page]
    older: dict[int, Page]
    lists: dict[tuple[int, str], Page]
    posts: dict[Fact, Page]
    support: dict[Fact, tuple[Page, ...]]
    """Articles and lists that state a fact."""


@lru_cache(maxsize=16)
def pages_of(seed: int) -> Pages:
    """The pages of the corpus with this seed."""
    base, rng = fact_base(seed), derive_rng(seed, "search pages")
    ids: set[str] = set()
    made: list[Page] = []
    for thing in base.things:
        made.append(_page(rng, ids, "article", thing.index, "", (2016, 2023)))
        if any((thing.index, name) in base.old for name in base.facts_of(thing.index)):
            made.append(_page(rng, ids, "older", thing.index, "", (1994, 2009)))
    made += [
        _page(rng, ids, "list", about, relation, (2016, 2023))
        for (about, relation), members in sorted(base.subjects.items())
        if relation in GROUPS and len(members) >= _SMALLEST_LIST
    ]
    made += [_page(rng, ids, "post", subject, relation, (2018, 2024)) for subject, relation in base.rumours]
    rng.shuffle(made)
    article = {page.about: page for page in made if page.form == "article"}
    lists = {(page.about, page.relation): page for page in made if page.form == "list"}
    return Pages(
        all=tuple(made),
        article=article,
        older={page.about: page for page in made if page.form == "older"},
        lists=lists,
        posts={(page.about, page.relation): page for page in made if page.form == "post"},
        support={fact: _support(base, fact, article, lists) for fact in base.values},
    )


def _page(rng: random.Random, ids: set[str], form: Form, about: int, relation: str, years: tuple[int, int]) -> Page:
    while (name := "".join(rng.choices(_ALPHABET, k=6))) in ids:
        pass
    ids.add(name)
    date = f"{rng.randint(*years)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    return Page(name, form, about, relation, date)


def _support(base: FactBase, fact: Fact, article: dict[int, Page], lists: dict[tuple[int, str], Page]) -> tuple[Page, ...]:
    subject, relation = fact
    found = [article[subject]]
    if RELATIONS[relation].heard is not None:
        found.append(article[base.values[fact]])
    for shared, number in GROUPS.items():
        listed = lists.get((base.values.get((subject, shared), -1), shared))
        if listed and (relation in (shared, number) or (shared == "mayor_of" and relation == "term_end")):
            found.append(listed)
    return tuple(found)


def shown_number(value: int, sort: str, language: str) -> str:
    """As pages write it: amounts in English with commas."""
    return f"{value:,}" if sort == "amount" and language == "en" else str(value)


def title_of(base: FactBase, page: Page, language: str) -> str:
    name = base.things[page.about].name[language == "zh"]
    if page.form == "list":
        return str(_SAID["groups"][page.relation][language == "zh"].format(x=name))
    if page.form == "post":
        return ("Re: {x}", "回复：{x}")[language == "zh"].format(x=name)
    return name


def source_of(page: Page, language: str) -> str:
    return str(_SOURCES[page.form][language == "zh"])


def text_of(base: FactBase, page: Page, language: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The page as sections: a heading and its sentences."""
    zh = language == "zh"
    headings = [words[zh] for words in _SAID["headings"]]
    if page.form == "list":
        return ((headings[0], tuple(_entries(base, page, zh))),)
    if page.form == "post":
        said = _sentence(base, (page.about, page.relation), base.rumours[page.about, page.relation], zh)
        return ((headings[0], (_SAID["post"]["before"][zh], said, _SAID["post"]["after"][zh])),)
    thing = base.things[page.about]
    values = {name: base.values[page.about, name] for name in base.facts_of(page.about)}
    if page.form == "older":
        values |= {name: base.old[page.about, name] for name in values if (page.about, name) in base.old}
    stated = [_sentence(base, (page.about, name), value, zh) for name, value in values.items()]
    asides = [_SAID["asides"][(page.about * 5 + place * 3) % len(_SAID["asides"])][zh] for place in range(4)]
    lead = _SAID["lead"][zh].format(name=thing.name[zh], kind=thing.kind[zh], type=TYPES[thing.type][zh])
    half = (len(stated) + 1) // 2
    sections = [(headings[0], (lead, *stated[:half], *asides[:2])), (headings[1], (*stated[half:], *asides[2:]))]
    if page.form == "article" and (heard := tuple(_heard(base, page.about, zh))):
        sections.append((headings[2], heard))
    return tuple(sections)


def _sentence(base: FactBase, fact: Fact, value: int, zh: bool) -> str:
    relation = RELATIONS[fact[1]]
    shown = base.things[value].name[zh] if relation.value in TYPES else shown_number(value, relation.value, "zh" if zh else "en")
    return relation.page[zh].format(s=base.things[fact[0]].name[zh], o=shown)


def _heard(base: FactBase, about: int, zh: bool) -> Iterator[str]:
    for name, relation in RELATIONS.items():
        if relation.heard and (subjects := base.subjects.get((about, name))):
            names = ("、" if zh else "; ").join(base.things[one].name[zh] for one in sorted(subjects))
            yield f"{relation.heard[1]}：{names}。" if zh else f"{relation.heard[0]}: {names}."


def _entries(base: FactBase, page: Page, zh: bool) -> Iterator[str]:
    number = GROUPS[page.relation]
    members = sorted(base.subjects[page.about, page.relation], key=lambda one: base.things[one].name[0])
    for one in members:
        shown = str(base.values[one, number])
        if page.relation == "mayor_of":
            shown += f"-{base.values[one, 'term_end']}"
        yield f"{base.things[one].name[1]}（{shown}）。" if zh else f"{base.things[one].name[0]} ({shown})."
