"""Problems of the search domain: provable, findable, not to be had by one search, and certified."""

import json
import random
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers.search import SearchVerifier
from simulators.tasks.domains.certify import certify_drafted
from simulators.tasks.domains.stream import DomainMix, candidate, problem_id, split_of
from simulators.tasks.search import SearchDomain
from simulators.tasks.search.asks import solve
from simulators.tasks.search.corpus import corpus
from simulators.tasks.search.making import fact_base
from simulators.tasks.search.paths import walk
from simulators.tasks.search.reading import MOST_CALLS, shown_at_once

SMALL = SearchDomain(train=(1,), held_out=(101,))
"""One corpus for each split, so that tests build few."""
CASES = [(family, level) for family in SMALL.families for level in range(1, SMALL.levels + 1)]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(CASES), st.integers(0, 10**6))
def test_draw_and_render_are_functions_of_their_arguments(case: tuple[str, int], seed: int) -> None:
    family, level = case
    problem = SMALL.draw(family, level, random.Random(seed))
    assert json.loads(json.dumps(problem)) == problem == SMALL.draw(family, level, random.Random(seed))
    held_out = split_of(problem_id("search", family, problem)) == "held_out"
    assert held_out == (problem["corpus"] == 101)
    for language in SMALL.languages:
        draft = SMALL.render(problem, family, level, language)
        assert draft == SMALL.render(json.loads(json.dumps(problem)), family, level, language)
        assert len(draft.calls) <= MOST_CALLS and json.loads(json.dumps(draft.key)) == draft.key
        assert set(draft.cheats) <= set(SMALL.cheats)


@pytest.mark.parametrize("language", SMALL.languages)
def test_questions_name_neither_the_answer_nor_what_lies_between(language: str) -> None:
    base = fact_base(1)
    for family, level in CASES:
        problem = _train(family, level)
        ask, draft = problem["ask"], SMALL.render(problem, family, level, language)
        solved = solve(base, ask)
        assert solved is not None
        asked = draft.prompt.split("\n")[0]
        told = {hop.known for hop in solved.stages[0]}
        names = [base.things[one].name[language == "zh"] for one in solved.between if one not in told]
        assert not any(f" {name} " in f" {asked} " for name in names)
        if not (ask["ask"] == "compare" and not ask["tail"]) and draft.key["answers"][0].isdigit() is False:
            assert draft.key["answers"][0] not in asked


@pytest.mark.parametrize("language", SMALL.languages)
def test_from_level_two_on_one_search_does_not_show_the_answer(language: str) -> None:
    for family, level in CASES:
        problem = _train(family, level)
        draft = SMALL.render(problem, family, level, language)
        if level > 1 and family != "unanswerable":
            assert not shown_at_once(corpus(1, language), draft.prompt.split("\n")[0], draft.key["answers"])


def test_every_cited_page_is_needed_by_a_fact_and_no_trap_is_one() -> None:
    for family, level in CASES:
        key = SMALL.render(_train(family, level), family, level, "en").key
        support = {page for pages in key["hops"] for page in pages}
        assert all(key["hops"]) and not support & set(key["traps"])


def test_certification_of_every_family_and_level() -> None:
    families, mix = len(SMALL.families), DomainMix(levels=(1, 2, 3, 4), languages=("en", "zh"))
    tried: set[str] = set()
    for number in [*range(families), *range(5 * families, 6 * families), *range(2 * families, 3 * families)]:
        task, draft = candidate(SMALL, number, mix=mix, run_seed=1, split="train")
        certificate = certify_drafted(task, SMALL.world(), draft.cheats, SearchVerifier().verify).certificate
        assert certificate is not None and certificate.certified, (task.tags, certificate)
        tried |= set(certificate.cheats)
    assert set(SMALL.cheats) <= tried


def test_the_same_problem_is_asked_in_both_languages_with_the_same_pages() -> None:
    problem = _train("chain", 3)
    english, chinese = (SMALL.render(problem, "chain", 3, language) for language in ("en", "zh"))
    assert english.key["hops"] == chinese.key["hops"] and english.prompt != chinese.prompt


def test_a_problem_without_a_provable_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="no provable answer"):
        SMALL.render({"corpus": 1, "ask": {"ask": "value", "path": [0, "chief"]}, "wording": 0}, "chain", 1, "en")


def test_walks_read_backwards_only_where_one_thing_fits() -> None:
    base = fact_base(1)
    shared = next(key for key, subjects in base.subjects.items() if key[1] == "born_in" and len(subjects) > 6)
    kinds = [base.things[one].kind for one in base.subjects[shared]]
    for kind in set(kinds):
        found = walk(base, [shared[0], f"~born_in/{kind[0]}"])
        assert (found is not None) == (kinds.count(kind) == 1)


@cache
def _train(family: str, level: int) -> dict[str, Any]:
    """A problem of the corpus for training."""
    rng = random.Random(f"{family} {level}")
    while True:
        problem = SMALL.draw(family, level, rng)
        if problem["corpus"] == 1:
            return dict(problem)
