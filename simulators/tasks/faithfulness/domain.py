"""Reports over given documents, as tasks: see docs/gym/faithfulness.md."""

import random
from collections.abc import Mapping
from typing import Any

from simulators.playable import Playable
from simulators.tasks.domains.protocol import Draft, Problem
from simulators.tasks.faithfulness.asking import again, prompt
from simulators.tasks.faithfulness.cheats import CHEATS, cheats
from simulators.tasks.faithfulness.documents import body, dated, heading, register_entries
from simulators.tasks.faithfulness.drawing import FAMILIES, LEVELS, draw_problem
from simulators.tasks.faithfulness.holding import Holding, attributes, holding, rows
from simulators.tasks.faithfulness.lexicon import TYPES, entity_name, lexicon
from simulators.tasks.faithfulness.library import LIBRARY, LIST, LOOKUP, READ, document_patch, register_patch
from simulators.tasks.faithfulness.reports import figure_of, honest_report, write
from simulators.tasks.faithfulness.values import canonical
from simulators.tasks.oracle import Plan
from trajectories.tasks import GoldCall, RecordPatch

__all__ = ["FaithfulnessDomain"]


class FaithfulnessDomain:
    """See `simulators.tasks.domains.protocol.Domain`."""

    name = "faithfulness"
    about = "Reports over given documents and tool results, in which every claim is checked against its source."
    families = FAMILIES
    levels = LEVELS
    languages = ("en", "zh")
    cheats = CHEATS

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        return draw_problem(family, level, rng)

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        held = holding(problem, family, problem["documents"])
        report = honest_report(problem, held)
        reply = write(problem, report, language)
        calls, patches, reads = _tools(problem, family, language)
        turns = [_key(problem, held, language, reads)]
        follow_ups: tuple[str, ...] = ()
        if family == "corrected":
            first = holding(problem, family, problem["documents"][:-1])
            said = write(problem, honest_report(problem, first), language)
            turns.insert(0, _key(problem, first, language, {}))
            calls, follow_ups = (GoldCall(None, say=said), *calls), (again(problem, language),)
        return Draft(
            prompt=prompt(problem, family, language),
            reply=reply,
            key={"turns": turns},
            calls=calls,
            world=self.name if calls else "",
            patches=patches,
            follow_ups=follow_ups,
            tags=_tags(held),
            cheats={name: Plan.one_by_one(calls, text) for name, text in cheats(problem, held, report, language).items()},
        )

    def world(self) -> Playable:
        return LIBRARY


def _tags(held: Holding) -> tuple[str, ...]:
    found = {"abstain": held.unknown, "contradiction": held.conflicts, "stale": held.stale}
    return tuple(name for name, facts in found.items() if facts)


_Prepared = tuple[tuple[GoldCall, ...], tuple[RecordPatch, ...], dict[str, Any]]


def _tools(problem: Mapping[str, Any], family: str, language: str) -> _Prepared:
    """The oracle's calls, what the tools show, and the call by which each document is seen."""
    calls: list[GoldCall] = [GoldCall(LIST)] if family == "tools" else []
    patches: list[RecordPatch] = []
    for number, document in enumerate(problem["documents"], 1):
        if document["form"] == "register":
            name = entity_name(problem, 0, language)
            patches.append(
                register_patch(name, number, dated(document["date"], language), register_entries(problem, number, language))
            )
            calls.append(GoldCall(LOOKUP, {"name": name}))
        elif family == "tools":
            patches.append(document_patch(number, heading(problem, number, language), body(problem, number, language)))
            calls.append(GoldCall(READ, {"document": number}))
    reading = [call for call in calls if call.tool != LIST]
    numbers = range(len(problem["documents"]) - len(reading) + 1, len(problem["documents"]) + 1)
    reads = {str(number): [call.tool, dict(call.arguments)] for number, call in zip(numbers, reading, strict=True)}
    return tuple(calls), tuple(patches), reads


def _key(problem: Mapping[str, Any], held: Holding, language: str, reads: Mapping[str, Any]) -> dict[str, Any]:
    """What the verifier reads one report by; see `rewards.verifiers.faithfulness.facts`."""
    words, theme = lexicon(language), problem["theme"]
    noun = str(words["nouns"][theme][problem["noun"]])
    key: dict[str, Any] = {
        "language": language,
        "entities": [entity_name(problem, entity, language) for entity in range(len(problem["entities"]))],
        "nouns": [words["generic"][theme], *([] if theme == "company" else [noun.lower()])],
        "attributes": attributes(problem, language),
        "facts": rows(problem, held.stated, language),
        "stale": rows(problem, held.stale, language),
        "asked": [list(fact) for fact in held.asked],
        "unknown": [list(fact) for fact in held.unknown],
        "reads": dict(reads),
    }
    if problem["sentences"]:
        key["sentences"] = problem["sentences"]
    figure = figure_of(problem, held)
    if figure is not None:
        key["aggregates"] = [
            {
                "operation": figure.operation,
                "attribute": figure.attribute,
                "value": canonical(TYPES[figure.attribute], figure.value, problem["currency"], language),
                "documents": [str(number) for number in figure.documents],
                "entity": figure.entity,
            }
        ]
        key["operations"] = {name: item["words"] for name, item in words["operations"].items()}
    return key
