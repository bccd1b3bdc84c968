"""The corpus: its facts are stated where they are said to be, in both languages, and nothing that is withheld is stated."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.tasks.search.corpus import MOST_RESULTS, Corpus, corpus, tokens
from simulators.tasks.search.making import fact_base
from simulators.tasks.search.pages import GROUPS, pages_of, shown_number
from simulators.tasks.search.schema import LANGUAGES, RELATIONS, TYPES

SEED = 1
BASE = fact_base(SEED)
PAGES = pages_of(SEED)


def text(read: Corpus, page_id: str) -> str:
    page = read.by_id[page_id]
    return read.title(page) + "\n" + "\n".join(part for _, said in read.sections(page) for part in said)


def test_a_corpus_has_two_thousand_pages_and_their_ids_are_its_own() -> None:
    assert len(PAGES.all) > 2_000
    assert len({page.id for page in PAGES.all}) == len(PAGES.all)
    assert not {page.id for page in PAGES.all} & {page.id for page in pages_of(2).all}


def test_no_name_is_given_twice() -> None:
    for zh in (0, 1):
        assert len({thing.name[zh] for thing in BASE.things}) == len(BASE.things)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_that_supports_a_fact_names_subject_and_value(language: str) -> None:
    read, zh = corpus(SEED, language), language == "zh"
    for (subject, relation), pages in list(PAGES.support.items())[::20]:
        value, sort = BASE.values[subject, relation], RELATIONS[relation].value
        shown = BASE.things[value].name[zh] if sort in TYPES else shown_number(value, sort, language)
        sentence = RELATIONS[relation].page[zh].format(s=BASE.things[subject].name[zh], o=shown)
        assert pages[0] == PAGES.article[subject] and sentence in text(read, pages[0].id)
        for page in pages:
            said = text(read, page.id)
            assert BASE.things[subject].name[zh] in said and shown in said, (subject, relation, page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_missing_is_stated_by_no_page_but_the_forum(language: str) -> None:
    read, zh = corpus(SEED, language), language == "zh"
    for subject, relation in BASE.missing:
        name = BASE.things[subject].name[zh]
        sentence = re.compile(re.escape(RELATIONS[relation].page[zh].format(s=name, o="\0")).replace("\0", ".+"))
        for page in (PAGES.article[subject], PAGES.older.get(subject)):
            assert page is None or not sentence.search(text(read, page.id))
        assert (subject, relation) not in PAGES.support
        assert all(subject not in subjects for (_, name_), subjects in BASE.subjects.items() if name_ == relation)


def test_an_older_edition_is_older_and_states_another_value() -> None:
    read = corpus(SEED, "en")
    for (subject, relation), value in BASE.old.items():
        new, old = PAGES.article[subject], PAGES.older[subject]
        assert old.date < new.date and read.title(old) == read.title(new) and value != BASE.values[subject, relation]
        assert text(read, old.id) != text(read, new.id)


def test_traps_support_nothing() -> None:
    supporting = {page.id for pages in PAGES.support.values() for page in pages}
    assert not supporting & {page.id for page in PAGES.all if page.form in ("older", "post")}


def test_lives_and_offices_are_in_order() -> None:
    for (city, relation), mayors in BASE.subjects.items():
        if relation == "mayor_of":
            terms = sorted((BASE.values[one, "term_start"], BASE.values[one, "term_end"]) for one in mayors)
            assert all(end <= start for (_, end), (start, _) in pairwise(terms)), city
    for (work, relation), year in BASE.values.items():
        if relation == "completed":
            born = BASE.values.get((BASE.values[work, "creator"], "birth_year"))
            assert born is None or born + 18 < year
    assert set(GROUPS.values()) <= set(RELATIONS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_finds_its_own_article_or_list_first_and_always_the_same_way(language: str) -> None:
    read, again = corpus(SEED, language), Corpus(SEED, language)
    for thing in BASE.things[::90]:
        name = thing.name[language == "zh"]
        found = read.find(name, MOST_RESULTS)
        assert PAGES.article[thing.index] in found
        assert found == again.find(name, MOST_RESULTS)
        assert found[:3] == read.find(name, 3)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.integers(1, 10))
def test_any_query_is_answered(query: str, count: int) -> None:
    for language in LANGUAGES:
        hits = corpus(SEED, language).search(query, count)
        assert len(hits) <= count
        assert all(hit.snippet and len(hit.snippet) <= 240 for hit in hits)


def test_chinese_is_cut_into_characters_and_pairs() -> None:
    assert tokens("瓦瑞利，1856年 Varelin") == ["瓦", "瑞", "利", "瓦瑞", "瑞利", "1856", "年", "varelin"]
