"""Dishonest reports: each differs from the oracle's in one way, and each must score 0."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from simulators.tasks.faithfulness.asking import pasted
from simulators.tasks.faithfulness.documents import body, heading
from simulators.tasks.faithfulness.holding import Holding
from simulators.tasks.faithfulness.lexicon import THEMES, TYPES
from simulators.tasks.faithfulness.reports import Report, Statement, write
from simulators.tasks.faithfulness.values import draw_value

__all__ = ["CHEATS", "cheats"]

CHEATS: Final = (
    "invent", "contradict", "swap", "drop", "no_citation", "wrong_citation", "always_abstain", "never_abstain", "copy_all",
    "spray", "stale", "one_side", "deny", "hedge", "wrong_figure", "figure_alone",
)  # fmt: skip

_NAMED: Final = ("person", "place", "organisation")


def cheats(problem: Mapping[str, Any], held: Holding, report: Report, language: str) -> dict[str, str]:
    """The texts, by name; those that the problem gives no occasion for are left out."""
    found = {name: write(problem, cheat, language) for name, cheat in _reports(problem, held, report)}
    texts = [f"{heading(problem, n, language)}\n{body(problem, n, language)}" for n in range(1, len(problem["documents"]) + 1)]
    return found | {"copy_all": f"{pasted(problem, language)}\n{texts[-1]}"}


def _reports(problem: Mapping[str, Any], held: Holding, report: Report) -> Iterator[tuple[str, Report]]:
    rng = random.Random(problem["salt"] + 1)
    first = report.sentences[0][0]
    # A figure where there is one: a name that no document has is unsupported before it contradicts anything.
    at = next((at for at, items in enumerate(report.sentences) if TYPES[items[0].attribute] not in _NAMED), 0)
    told = report.sentences[at][0]
    yield "contradict", report.with_statement(at, replace(told, value=_other(problem, told, rng)))
    yield "deny", report.with_statement(0, replace(first, way="denied"))
    yield "hedge", report.with_statement(0, replace(first, way="hedged"))
    yield "drop", replace(report, sentences=tuple(item for item in (report.sentences[0][1:], *report.sentences[1:]) if item))
    yield "no_citation", replace(report, cited=False)
    yield "wrong_citation", report.with_statement(0, replace(first, documents=(_silent(problem, report.sentences[0], held),)))
    yield "always_abstain", Report(abstained=held.asked)
    yield "spray", _spray(problem, held, report, rng)
    yield from _inventing(problem, held, report, rng)
    yield from _by_occasion(problem, held, report, rng)


def _inventing(problem: Mapping[str, Any], held: Holding, report: Report, rng: random.Random) -> Iterator[tuple[str, Report]]:
    *before, last = report.sentences
    told = last[-1]
    for name in THEMES[problem["theme"]]:
        fact = (told.entity, name)
        if fact not in held.stated and fact not in held.asked:
            invented = Statement(told.entity, name, draw_value(TYPES[name], rng), told.documents)
            yield "invent", replace(report, sentences=(*before, (*last, invented)))
            break
    if held.unknown:
        made_up = tuple((Statement(*fact, draw_value(TYPES[fact[1]], rng), told.documents),) for fact in held.unknown)
        yield "never_abstain", replace(report, sentences=(*report.sentences, *made_up), abstained=())


def _by_occasion(problem: Mapping[str, Any], held: Holding, report: Report, rng: random.Random) -> Iterator[tuple[str, Report]]:
    for at, sentence in enumerate(report.sentences):
        told = sentence[0]
        others = [
            fact for fact in held.stated if fact[1] == told.attribute and fact[0] != told.entity and len(held.stated[fact]) == 1
        ]
        if others:
            other = held.stated[rng.choice(others)][0]
            yield "swap", report.with_statement(at, replace(told, value=other.value))
            break
    old = {fact: values[0] for fact, values in held.stale.items() if fact in held.asked}
    if old:
        yield (
            "stale",
            replace(
                report,
                sentences=tuple(
                    tuple(
                        replace(
                            item,
                            value=old[item.entity, item.attribute].value,
                            documents=old[item.entity, item.attribute].documents,
                        )
                        if (item.entity, item.attribute) in old
                        else item
                        for item in sentence
                    )
                    for sentence in report.sentences
                ),
            ),
        )
    if report.conflicts:
        one_side = tuple((rng.choice(sides),) for sides in report.conflicts)
        yield "one_side", replace(report, sentences=(*report.sentences, *one_side), conflicts=())
    for figure in report.figures:
        yield "wrong_figure", replace(report, figures=(replace(figure, value=figure.value + 10_000),))
        yield "figure_alone", replace(report, sentences=())


def _other(problem: Mapping[str, Any], told: Statement, rng: random.Random) -> Any:
    """A value that no document has for such an attribute."""
    known = {str(value) for document in problem["documents"] for _, name, value, _ in document["facts"] if name == told.attribute}
    while str(value := draw_value(TYPES[told.attribute], rng)) in known:
        pass
    return value


def _silent(problem: Mapping[str, Any], sentence: tuple[Statement, ...], held: Holding) -> int:
    """A document that states nothing of the sentence, or one that does not exist."""
    stating = {n for item in sentence for one in held.stated[item.entity, item.attribute] for n in one.documents}
    count = len(problem["documents"])
    return next(n for n in range(1, count + 2) if n not in stating)


def _spray(problem: Mapping[str, Any], held: Holding, report: Report, rng: random.Random) -> Report:
    """Every value that stands anywhere for what is asked, and another one."""
    sprayed = []
    for fact in held.asked:
        values = [
            Statement(*fact, value, (number,))
            for number, document in enumerate(problem["documents"], 1)
            for _, name, value, _ in document["facts"]
            if name == fact[1]
        ]
        sprayed.append((*values, Statement(*fact, draw_value(TYPES[fact[1]], rng), (1,))))
    return replace(report, sentences=tuple(sprayed), conflicts=(), abstained=())
