"""Tasks are functions of their problems, the same in every language, and their answers can be found in the files alone."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.tasks.documents import DOMAIN
from simulators.tasks.documents.recipe import FAMILIES, LANGUAGES, Recipe, words
from simulators.tasks.domains.common_cheats import COMMON_CHEATS
from tests.simulators.tasks.documents.solving import solve
from tests.simulators.tasks.domains.checking import certify_sample
from trajectories.canonical import canonical_json
from trajectories.tasks import RecordPatch

WORLD = DOMAIN.world()
problems = st.builds(
    lambda family, level, seed: (family, level, DOMAIN.draw(family, level, random.Random(seed))),
    st.sampled_from(list(FAMILIES)),
    st.integers(1, DOMAIN.levels),
    st.integers(0, 2**40),
)


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_answer_can_be_found_by_a_reader_who_knows_only_the_tools(family: str, level: int) -> None:
    draft = DOMAIN.render(DOMAIN.draw(family, level, random.Random(level)), family, level, "en")
    found = solve(draft.prompt, WORLD.instantiate(draft.seed, draft.patches))
    wanted = draft.key["answer"]
    assert (found is None) == (wanted["kind"] == "missing")
    assert found == wanted.get("value")


def test_a_sample_of_every_family_is_certified() -> None:
    report = certify_sample("documents", 20, seed=3)
    assert report.oracle_passes == report.certified == report.candidates == 20, report.reasons
    assert set(report.cheat_scores.values()) == {0.0}
    assert set(COMMON_CHEATS) <= set(report.tried)
    assert {"no_citation", "wrong_file", "cite_all", "spray", "wrong_by_one", "always_missing", "no_reading"} <= set(report.tried)


@settings(max_examples=15, deadline=None)
@given(problems)
def test_draws_and_renderings_are_functions_of_their_arguments(drawn: tuple) -> None:
    family, level, problem = drawn
    first, second = (DOMAIN.render(problem, family, level, "en") for _ in range(2))
    assert first == second
    assert set(first.cheats) <= set(DOMAIN.cheats)
    assert len(first.calls) <= 10
    canonical_json([problem, first.key, first.patches[0].fields])


@settings(max_examples=15, deadline=None)
@given(problems)
def test_every_language_asks_the_same_and_never_tells_the_answer(drawn: tuple) -> None:
    family, level, problem = drawn
    english, chinese = (DOMAIN.render(problem, family, level, language) for language in LANGUAGES)
    assert english.key["answer"] == chinese.key["answer"]
    assert [len(group) for group in english.key["needed"]] == [len(group) for group in chinese.key["needed"]]
    for draft in (english, chinese):
        question = draft.prompt.split("\n\n")[1]
        assert draft.key["answer"].get("value", "#") not in question
        assert all("#" not in question for _ in draft.key["needed"])


def test_both_lexicons_have_the_same_keys_and_lists_of_the_same_lengths() -> None:
    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items()}
        return [shape(item) for item in value] if isinstance(value, list) else "text"

    assert shape(words("en")) == shape(words("zh"))


def test_levels_need_more_places_or_hide_more() -> None:
    def places(level: int) -> int:
        drafts = [DOMAIN.render(DOMAIN.draw(f, level, random.Random(5)), f, level, "en") for f in FAMILIES]
        return sum(len(draft.key["needed"]) for draft in drafts)

    assert places(1) < places(2) < places(3)


@pytest.mark.parametrize(
    "fields",
    [{}, {"theme": "zoo", "number": 1, "level": 1, "family": "timeline", "language": "en"},
     {"theme": "clinic", "number": True, "level": 1, "family": "timeline", "language": "en"},
     {"theme": "clinic", "number": 1, "level": 9, "family": "timeline", "language": "en"},
     {"theme": "clinic", "number": 1, "level": 1, "family": ["timeline"], "language": "en"}],
)  # fmt: skip
def test_what_is_no_recipe_is_refused_by_name(fields: dict) -> None:
    with pytest.raises(ValueError, match="documents"):
        Recipe.of(0, (RecordPatch("folder", "recipe", fields),))


def test_a_world_without_a_recipe_has_a_folder_of_its_seed() -> None:
    assert Recipe.of(4, ()) == Recipe.of(4, ()) != Recipe.of(5, ())
    with pytest.raises(ValueError, match="one patch"):
        Recipe.of(4, (RecordPatch("order", "1", {}),))
