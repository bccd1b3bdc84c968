"""Complex instructions: composed constraints on a reply about given facts, all checked by program.

A problem is a card of facts, a list of wishes and perhaps a follow-up. The oracle's reply is written first and the constraints
are read off it, so that every combination can be met; the words of the prompt say exactly what is checked.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from simulators.playable import PLAIN, Playable
from simulators.tasks.domains.protocol import Draft, Problem
from simulators.tasks.instructions.cards import Card, Fact, card_of
from simulators.tasks.instructions.cheating import CHEATS, cheating_replies
from simulators.tasks.instructions.compose import Written, compose
from simulators.tasks.instructions.problems import FAMILIES, draw_problem
from simulators.tasks.instructions.turns import merged, revised
from simulators.tasks.instructions.wording import Voice
from simulators.tasks.oracle import Plan
from trajectories.tasks import GoldCall

__all__ = ["DOMAIN", "InstructionsDomain"]


class InstructionsDomain:
    """See `simulators.tasks.domains.protocol.Domain`."""

    name = "instructions"
    about = "complex instructions: composed constraints on format, length, words, order, script and content, checked exactly"
    families: Mapping[str, str] = FAMILIES
    levels = 5
    languages = ("en", "zh")
    cheats = CHEATS

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        return draw_problem(family, level, rng)

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        other = "zh" if language == "en" else "en"
        reply_language = other if problem["cross"] else language
        voice, say = problem["voice"], problem["say"]
        card = card_of(problem["card"], reply_language, language)
        told, asks = problem["told"], problem["asks"]
        speech = Voice(language, reply_language, say)
        last_told, last_asks = revised(told, asks, problem["later"])
        last = compose(card, last_told, last_asks, reply_language, voice)
        first = compose(card, told, asks, reply_language, voice + 1) if problem["later"] else last
        constraints, first_constraints = merged(last.constraints, first.constraints)

        says = {ask["kind"]: ask["say"] for ask in (*asks, *last_asks)}
        asked: list[tuple[Mapping[str, Any], int]] = [({"kind": "language", "language": reply_language}, say)]
        asked += [(item, says[item["kind"]]) for item in first_constraints]
        prompt, request = speech.opening(card, _facts(card, told), asked)
        turns = [_turn(card, told, (asked[0][0], *first_constraints), first)]
        follow_ups: tuple[str, ...] = ()
        calls: tuple[GoldCall, ...] = ()
        if problem["later"]:
            follow_ups = (_follow_up(speech, card, problem["later"], first_constraints, constraints, says),)
            turns.append(_turn(card, last_told, (asked[0][0], *constraints), last))
            request += "\n\n" + follow_ups[0]
            calls = (GoldCall(None, say=first.text),)
        wrong = _in_other_language(problem, reply_language, voice)
        cheats: dict[str, str | Plan] = {
            name: Plan.one_by_one(calls, text)
            for name, text in cheating_replies(
                replace(last, constraints=constraints), card, _facts(card, last_told), prompt, wrong, reply_language, voice
            ).items()
        }
        if calls:
            cheats["ignore_follow_up"] = Plan.one_by_one(calls, first.text)
            cheats["skip_first_turn"] = Plan.one_by_one((GoldCall(None, say="OK."),), last.text)
        return Draft(
            prompt=prompt,
            reply=last.text,
            key={"language": reply_language, "request": request, "turns": turns},
            calls=calls,
            follow_ups=follow_ups,
            tags=tuple(sorted({item["kind"] for item in constraints})),
            cheats=cheats,
        )

    def world(self) -> Playable:
        return PLAIN


def _facts(card: Card, told: Sequence[int]) -> list[Fact]:
    return [card.facts[at] for at in told]


def _turn(card: Card, told: Sequence[int], constraints: Sequence[Mapping[str, Any]], written: Written) -> dict[str, Any]:
    """What the verifier needs for one reply."""
    nested = any("facts" in item["schema"]["properties"] for item in constraints if item["kind"] == "json")
    return {
        "name": card.name,
        "facts": [
            {
                "label": fact.label,
                "value": fact.value,
                "path": ["facts", fact.field] if nested else [fact.field],
                "json": fact.json,
            }
            for fact in _facts(card, told)
        ],
        "left_out": [fact.value for at, fact in enumerate(card.facts) if at not in told],
        "constraints": [dict(item) for item in constraints],
        "words": list(written.words),
        "quotes": list(written.quotes),
    }


def _follow_up(
    speech: Voice,
    card: Card,
    later: Mapping[str, Any],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    says: Mapping[str, int],
) -> str:
    """The user's second message: what changed between the turns."""
    texts = [speech.swap(_facts(card, later["drop"]), _facts(card, later["take"]), later["say"])] if "drop" in later else []
    kinds = frozenset(item["kind"] for item in after)
    texts += [speech.constraint(item, says[item["kind"]], kinds) for item in after if item not in before]
    return speech.follow_up(later["how"], texts, later["say"])


def _in_other_language(problem: Problem, language: str, voice: int) -> str:
    other = "zh" if language == "en" else "en"
    card = card_of(problem["card"], other)
    return compose(card, *revised(problem["told"], problem["asks"], problem["later"]), other, voice).text


DOMAIN = InstructionsDomain()
