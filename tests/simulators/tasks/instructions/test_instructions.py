"""Tasks of complex instructions: all constraints can be met at once, none can be left out, and nothing cheap passes."""

import json
import random
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.verifiers.instructions.verifier import CHECKS, reply_components
from simulators.tasks.domains.protocol import Draft
from simulators.tasks.instructions import DOMAIN
from simulators.tasks.instructions.asking import ALLOWED, compatible
from simulators.tasks.instructions.breaking import BREAKERS
from simulators.tasks.instructions.cards import lexicon
from simulators.tasks.oracle import Plan
from tests.simulators.tasks.domains.checking import certify_sample
from trajectories.canonical import canonical_json

WHAT = st.tuples(
    st.sampled_from(list(DOMAIN.families)),
    st.integers(1, DOMAIN.levels),
    st.sampled_from(DOMAIN.languages),
    st.integers(0, 2**32),
)


def drafted(family: str, level: int, language: str, seed: int) -> tuple[Any, Draft]:
    problem = DOMAIN.draw(family, level, random.Random(seed))
    return problem, DOMAIN.render(problem, family, level, language)


def replies_of(draft: Draft, cheat: str | Plan | None = None) -> list[str]:
    if cheat is None:
        return [*(str(call.say) for call in draft.calls), draft.reply]
    plan = cheat if isinstance(cheat, Plan) else Plan((), cheat)
    return [*(str(turn[0].say) for turn in plan.turns), plan.reply]


@settings(max_examples=30, deadline=None)
@given(WHAT)
def test_the_oracle_satisfies_every_constraint_at_once(what: tuple[str, int, str, int]) -> None:
    _, draft = drafted(*what)
    for text, turn in zip(replies_of(draft), draft.key["turns"], strict=True):
        missed = [name for name, holds in reply_components(text, turn, draft.key).items() if not holds]
        assert not missed, (missed, draft.prompt, text)


@settings(max_examples=25, deadline=None)
@given(WHAT)
def test_harmless_variations_of_the_oracle_pass(what: tuple[str, int, str, int]) -> None:
    _, draft = drafted(*what)
    turn, text = draft.key["turns"][-1], draft.reply
    kinds = {asked["kind"] for asked in turn["constraints"]}
    varied = [f"\n{text}\n\n", text.replace("\n", "\r\n"), text.replace("\n", "  \n")]
    if "json" in kinds:
        varied += [
            f"```json\n{text}\n```",
            f"```\n{text}\n```",
            json.dumps(json.loads(text)),
            json.dumps(json.loads(text), indent=8),
        ]
    if kinds & {"bullets", "numbered"} and "postscript" not in kinds:
        varied += [text.replace("\n", "\n\n").replace("\n\n\n", "\n\n"), re.sub(r"(?m)^(\d+)\. ", r" \1) ", text)]
    if "quoted" in kinds:
        varied.append(f'"{text[1:-1]}"')
    if "table" in kinds:
        varied.append(text.replace("| --- ", "|:-----:").replace(" | ", "   |   "))
    for reply in varied:
        missed = [name for name, holds in reply_components(reply, turn, draft.key).items() if not holds]
        assert not missed, (missed, reply)


@settings(max_examples=25, deadline=None)
@given(WHAT)
def test_a_reply_that_drops_one_constraint_misses_that_one(what: tuple[str, int, str, int]) -> None:
    _, draft = drafted(*what)
    turn = draft.key["turns"][-1]
    dropped = {name: cheat for name, cheat in draft.cheats.items() if name.startswith("drop_")}
    kinds = {asked["kind"] for asked in turn["constraints"]} - {"language"}
    assert {name.removeprefix("drop_") for name in dropped} == kinds
    for name, cheat in dropped.items():
        found = reply_components(replies_of(draft, cheat)[-1], turn, draft.key)
        assert found[name.removeprefix("drop_")] is False, (name, draft.prompt, replies_of(draft, cheat)[-1])


@settings(max_examples=30, deadline=None)
@given(WHAT)
def test_a_task_is_a_function_of_its_problem_and_plain_json(what: tuple[str, int, str, int]) -> None:
    problem, draft = drafted(*what)
    again, same = drafted(*what)
    assert canonical_json(problem) == canonical_json(again) and draft == same
    canonical_json(dict(draft.key))
    assert len(draft.calls) == len(draft.follow_ups) <= 10
    assert set(draft.cheats) <= set(DOMAIN.cheats)
    assert draft.reply not in draft.prompt


@settings(max_examples=30, deadline=None)
@given(WHAT)
def test_the_prompt_names_every_literal_that_is_checked(what: tuple[str, int, str, int]) -> None:
    _, draft = drafted(*what)
    text = "\n".join([draft.prompt, *draft.follow_ups])
    for turn in draft.key["turns"]:
        for asked in turn["constraints"]:
            literals = [
                asked.get("text"),
                asked.get("word"),
                *asked.get("words", ()),
                *asked.get("titles", ()),
                *asked.get("columns", ()),
            ]
            numbers = [asked[name] for name in ("n", "least", "most", "nth") if asked.get(name) is not None]
            assert all(literal in text for literal in literals if literal), asked
            spelled = asked["kind"] == "acrostic"
            assert spelled or all(str(number) in text for number in numbers), asked


@settings(max_examples=30, deadline=None)
@given(WHAT)
def test_conflicting_kinds_are_never_drawn(what: tuple[str, int, str, int]) -> None:
    problem, _ = drafted(*what)
    form, *extras = [ask["kind"] for ask in [*problem["asks"], *problem["later"].get("asks", ())]]
    extras = [kind for kind in extras if not (form == "sorted" and kind in ("bullets", "numbered"))]
    assert len(set(extras)) == len(extras) and set(extras) <= set(ALLOWED[form])
    assert all(compatible(one, other) for one in extras for other in (form, *extras) if one != other)


def test_levels_ask_for_more_at_once() -> None:
    def mean(level: int) -> float:
        drafts = [drafted(family, level, "en", seed)[1] for family in DOMAIN.families for seed in range(3)]
        return sum(len(turn["constraints"]) + len(turn["facts"]) for draft in drafts for turn in draft.key["turns"][-1:]) / len(
            drafts
        )

    found = [mean(level) for level in range(1, DOMAIN.levels + 1)]
    assert all(after > before + 0.5 for before, after in pairwise(found)), found


@pytest.mark.parametrize("family", ["added_later", "changed_later", "revoked_later"])
@pytest.mark.parametrize("level", [1, 3, 5])
def test_a_follow_up_cannot_be_ignored(family: str, level: int) -> None:
    for seed in range(6):
        _, draft = drafted(family, level, "en" if seed % 2 else "zh", seed)
        before, after = draft.key["turns"]
        first = draft.calls[0].say
        assert first is not None and all(reply_components(first, before, draft.key).values())
        assert not all(reply_components(first, after, draft.key).values()), (draft.prompt, draft.follow_ups)


def test_every_kind_is_drawn_checked_broken_and_worded() -> None:
    drawn = {
        asked["kind"]
        for family in DOMAIN.families
        for level in range(1, 6)
        for seed in range(4)
        for turn in drafted(family, level, "en", seed)[1].key["turns"]
        for asked in turn["constraints"]
    }
    assert drawn == set(CHECKS) and set(BREAKERS) == set(CHECKS) - {"language"}


def test_both_lexicons_have_equally_many_of_each() -> None:
    english, chinese = lexicon("en"), lexicon("zh")
    shared = ("kinds", "parts", "first", "last", "towns", "fields", "purposes", "keywords", "excluded", "closers", "titles",
              "placeholders", "postscripts", "repeats", "title_marks", "letters", "columns", "tags")  # fmt: skip
    for name in shared:
        assert len(english[name]) == len(chinese[name]) == len(set(map(str, chinese[name]))), name
    for words, openings in ((english, str.upper), (chinese, str)):
        assert all(
            openings(letter) in {**words["fact_openings"], **words["openings"]}
            for group in words["acrostics"].values()
            for word in group
            for letter in word
        )


def test_a_sample_is_certified() -> None:
    report = certify_sample("instructions", 16, start=16)
    assert report.oracle_passes == report.candidates == 16, report.reasons
    assert max(report.cheat_scores.values()) == 0.0, report.reasons
