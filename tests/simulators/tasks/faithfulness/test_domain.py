"""Tasks are functions of their problem, whole in both languages; what the documents say is what the key says."""

import json
import random
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers.faithfulness import FaithfulnessVerifier
from rewards.verifiers.faithfulness.facts import FactBase
from rewards.verifiers.faithfulness.reading import Reader
from rewards.verifiers.faithfulness.verifier import findings
from simulators.playable import open_world
from simulators.tasks.agents import play
from simulators.tasks.domains.stream import DomainMix, candidate
from simulators.tasks.faithfulness import DOMAIN
from simulators.tasks.faithfulness.documents import told_value
from simulators.tasks.faithfulness.lexicon import POOLS, THEMES, TYPES, lexicon, spoken_name, statement
from simulators.tasks.faithfulness.values import CURRENCIES, canonical, draw_value
from simulators.tasks.oracle import Plan, PlannedAgent
from tests.simulators.tasks.domains.checking import certify_sample
from trajectories.canonical import canonical_json

PLACES = st.tuples(st.sampled_from(sorted(DOMAIN.families)), st.integers(1, DOMAIN.levels), st.integers(0, 2**32))
LANGUAGES = st.sampled_from(DOMAIN.languages)


def drawn(family: str, level: int, seed: int):
    return DOMAIN.draw(family, level, random.Random(seed))


@lru_cache(maxsize=1)
def sample():
    return certify_sample("faithfulness", 27)


def test_oracles_pass_and_every_cheat_scores_nothing():
    report = sample()
    assert report.certified == report.oracle_passes == report.candidates == 27, report.reasons
    assert set(report.cheat_scores.values()) == {0.0}
    assert set(DOMAIN.cheats) <= set(report.cheat_scores)


CAUGHT_BY = {
    "invent": "no_unsupported", "never_abstain": "no_unsupported", "hedge": "no_unsupported", "contradict": "no_contradiction",
    "swap": "no_contradiction", "deny": "no_contradiction", "stale": "no_contradiction", "one_side": "no_contradiction",
    "always_abstain": "no_contradiction", "spray": "no_contradiction", "wrong_figure": "no_contradiction", "drop": "coverage",
    "no_citation": "citations", "wrong_citation": "citations", "figure_alone": "coverage", "copy_all": "no_unsupported",
}  # fmt: skip


def test_every_cheat_is_caught_for_what_it_does():
    mix, tried = DomainMix(levels=tuple(range(1, DOMAIN.levels + 1)), languages=DOMAIN.languages), set()
    for number in range(18):
        task, draft = candidate(DOMAIN, number, mix=mix, run_seed=5, split="train")
        for name, plan in draft.cheats.items():
            assert isinstance(plan, Plan)
            outcome = play(task, open_world(task.world), PlannedAgent(plan), task.seed, max_turns=24)[2]
            components = FaithfulnessVerifier().verify(task, outcome).components
            last = {key.removeprefix("turn2:"): value for key, value in components.items() if not key.startswith("turn1:")}
            # A name that stands in no document is unsupported before it contradicts anything.
            new_name = name == "contradict" and last["no_unsupported"] == 0.0
            assert last["no_unsupported" if new_name else CAUGHT_BY[name]] == 0.0, (name, task.id, last)
            if name == "swap":
                assert last["no_unsupported"] == 1.0, (name, plan.reply)
            if name in ("invent", "never_abstain"):
                assert last["no_contradiction"] == 1.0, (name, plan.reply)
            tried.add(name)
    assert tried == set(CAUGHT_BY) == set(DOMAIN.cheats)


@settings(max_examples=15, deadline=None)
@given(PLACES, LANGUAGES)
def test_draw_and_render_are_functions_of_their_arguments(place, language):
    family, level, _ = place
    problem = drawn(*place)
    assert canonical_json(problem) == canonical_json(drawn(*place))
    stored = json.loads(json.dumps(problem))
    draft = DOMAIN.render(stored, family, level, language)
    assert draft == DOMAIN.render(problem, family, level, language)
    assert json.loads(json.dumps(draft.key)) == draft.key
    assert draft.reply not in draft.prompt and len(draft.calls) <= 11


@settings(max_examples=15, deadline=None)
@given(PLACES, LANGUAGES)
def test_every_value_of_the_key_stands_in_the_documents_and_what_is_unknown_does_not(place, language):
    family, level, _ = place
    problem = drawn(*place)
    draft = DOMAIN.render(problem, family, level, language)
    turn = draft.key["turns"][-1]
    shown = draft.prompt + "".join(canonical_json(dict(patch.fields)) for patch in draft.patches)
    told = {(entity, name): value for page in problem["documents"] for entity, name, value, _ in page["facts"]}
    for entity, name, value, _ in turn["facts"]:
        written = [told_value(problem, name, told[entity, name], style, language) for style in range(6)]
        current = canonical(TYPES[name], told[entity, name], problem["currency"], language)
        assert any(text in shown for text in written) or current != value
    assert not {tuple(fact) for fact in turn["unknown"]} & set(told)
    assert {tuple(fact) for fact in turn["asked"]} - {tuple(fact) for fact in turn["unknown"]} <= set(told)


@pytest.mark.parametrize("language", DOMAIN.languages)
def test_whatever_the_documents_say_of_an_attribute_is_read_as_that_fact(language):
    rng = random.Random(3)
    words = lexicon(language)["attributes"]
    for theme, names in THEMES.items():
        problem = {"theme": theme, "noun": 0, "entities": [[-1, 0]], "currency": "EUR"}
        name = spoken_name(problem, 0, language)
        for attribute in names:
            for style in range(6):
                problem["currency"] = CURRENCIES[style % 3]
                value = draw_value(TYPES[attribute], rng)
                fact = canonical(TYPES[attribute], value, problem["currency"], language)
                keys = {item: {"type": TYPES[item], **words[item]} for item in names}
                key = {
                    "language": language, "entities": [name.removeprefix("the ")], "nouns": [], "attributes": keys, "unknown": [],
                    "facts": [[0, attribute, fact, ["1"]]], "stale": [], "asked": [[0, attribute]],
                }  # fmt: skip
                said = statement(attribute, told_value(problem, attribute, value, style, language), style, language)
                base = FactBase.of(key)
                text = f"{name} {said} [1]." if language == "en" else f"{name}{said}[1]。"
                found = findings(text, base, Reader(base))
                assert found.given == {(0, attribute)}, (text, found)
                wrong = [*found.unsupported, *found.contradicting, *found.badly_cited, *found.beside_the_point]
                assert not wrong, (text, wrong)


@pytest.mark.parametrize("language", DOMAIN.languages)
def test_languages_have_the_same_words_and_no_name_means_two_things(language):
    words = lexicon(language)
    assert set(words["attributes"]) == set(TYPES) == {name for names in THEMES.values() for name in names}
    for pool, count in POOLS.items():
        lists = words["nouns"].values() if pool == "nouns" else [words[pool]]
        assert all(len(items) == len(set(items)) == count for items in lists)
    names = [*words["stems"], *words["towns"], *words["holders"], *(words["family"] if language == "en" else [])]
    assert len({name.casefold() for name in names}) == len(names)


def test_levels_differ_and_families_do_what_they_say():
    def render(family: str, level: int, seed: int):
        problem = drawn(family, level, seed)
        return problem, DOMAIN.render(problem, family, level, "en")

    for seed in range(10):
        assert len(render("report", 5, seed)[1].prompt) > len(render("report", 1, seed)[1].prompt)
        assert render("unanswerable", 1, seed)[1].key["turns"][0]["unknown"]
        assert render("superseded", 4, seed)[1].key["turns"][0]["stale"]
        facts = [tuple(item[:2]) for item in render("conflict", 3, seed)[1].key["turns"][0]["facts"]]
        assert len(facts) > len(set(facts))
        assert render("tools", 2, seed)[1].calls[0].tool == "list_documents"
        draft = render("corrected", 3, seed)[1]
        assert len(draft.key["turns"]) == 2 and draft.key["turns"][1]["stale"] and len(draft.follow_ups) == 1


def test_the_library_shows_what_the_task_put_there_and_nothing_else():
    draft = DOMAIN.render(drawn("tools", 2, 1), "tools", 2, "en")
    state = DOMAIN.world().instantiate(0, draft.patches)
    listed = state.call("list_documents", {}).structuredContent["documents"]
    assert [item["document"] for item in listed] == [1, 2, 3, 4]
    assert state.call("read_document", {"document": 1}).structuredContent["text"]
    assert state.call("lookup", draft.calls[-1].arguments).structuredContent["entries"]
    for tool, arguments in (
        ("read_document", {"document": 99}), ("read_document", {"document": "1"}), ("read_document", {}),
        ("lookup", {"name": ""}), ("lookup", {"name": "x" * 10_000}), ("nothing", {}), ("list_documents", "no JSON"),
    ):  # fmt: skip
        assert state.call(tool, arguments).isError
    assert state.diff() == ()
