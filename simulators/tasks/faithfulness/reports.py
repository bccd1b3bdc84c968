"""Writes reports in the language that prompts prescribe: the oracle's, and those of the cheats."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from simulators.tasks.faithfulness.documents import capital, told_value
from simulators.tasks.faithfulness.holding import Fact, Holding
from simulators.tasks.faithfulness.lexicon import TYPES, lexicon, spoken_name, statement

__all__ = ["Figure", "Report", "Statement", "abstention", "figure_of", "honest_report", "write"]


@dataclass(frozen=True)
class Statement:
    """A fact as it is told, with the documents that are cited for it."""

    entity: int
    attribute: str
    value: Any
    documents: tuple[int, ...]
    way: Literal["plain", "denied", "hedged"] = "plain"


@dataclass(frozen=True)
class Figure:
    """A figure over several entities."""

    operation: str
    attribute: str
    value: int
    entity: int | None
    """Whose it is, of the highest and the lowest."""
    documents: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    sentences: tuple[tuple[Statement, ...], ...] = ()
    """Each about one entity."""
    conflicts: tuple[tuple[Statement, ...], ...] = ()
    figures: tuple[Figure, ...] = ()
    abstained: tuple[Fact, ...] = ()
    cited: bool = True
    styles: int = 0
    """Seed of the wording."""

    def with_statement(self, at: int, new: Statement) -> "Report":
        """With the first statement of sentence `at` replaced."""
        changed = (new, *self.sentences[at][1:])
        return replace(self, sentences=(*self.sentences[:at], changed, *self.sentences[at + 1 :]))


def honest_report(problem: Mapping[str, Any], held: Holding) -> Report:
    """The oracle's."""
    told = [fact for fact in held.asked if len(held.stated.get(fact, ())) == 1]
    plain = [Statement(*fact, held.stated[fact][0].value, held.stated[fact][0].documents[:1]) for fact in told]
    conflicts = tuple(
        tuple(Statement(*fact, item.value, item.documents[:1]) for item in held.stated[fact]) for fact in held.conflicts
    )
    figure = figure_of(problem, held)
    return Report(
        sentences=_grouped(plain, problem["sentences"] - len(held.unknown)),
        conflicts=conflicts,
        figures=(figure,) if figure is not None else (),
        abstained=held.unknown,
        styles=problem["salt"],
    )


def figure_of(problem: Mapping[str, Any], held: Holding) -> Figure | None:
    """The figure over all that is asked; None where none is asked for."""
    operation = problem.get("operation")
    if operation is None:
        return None
    values = {fact[0]: held.stated[fact][0].value for fact in held.asked}
    documents = tuple(sorted({held.stated[fact][0].documents[0] for fact in held.asked}))
    name, entity = held.asked[0][1], None
    match operation:
        case "total":
            value = sum(values.values())
        case "average":
            value = sum(values.values()) // len(values)
        case _:
            entity = (max if operation == "highest" else min)(values, key=lambda item: values[item])
            value = values[entity]
    return Figure(operation, name, value, entity, documents)


def _grouped(statements: Sequence[Statement], count: int) -> tuple[tuple[Statement, ...], ...]:
    """In `count` sentences that each speak of one entity, or, where it is not above 0, one for each statement."""
    by_entity: dict[int, list[Statement]] = {}
    for item in statements:
        by_entity.setdefault(item.entity, []).append(item)
    if count < 1:
        return tuple((item,) for item in statements)
    if len(by_entity) > 1:
        return tuple(tuple(items) for items in by_entity.values())
    return tuple(tuple(statements[at::count]) for at in range(min(count, len(statements))))


def write(problem: Mapping[str, Any], report: Report, language: str) -> str:
    """The report in words: a pure function."""
    rng = random.Random(report.styles)
    english = language == "en"
    lines = [_sentence(problem, items, report.cited, rng, language) for items in report.sentences]
    lines += [_conflict(problem, items, report.cited, rng, language) for items in report.conflicts]
    lines += [_figure(problem, item, report.cited, rng, language) for item in report.figures]
    labels = lexicon(language)["attributes"]
    lines += [abstention(problem, entity, labels[name]["label"], language) for entity, name in report.abstained]
    return (" " if english else "").join(lines)


def abstention(problem: Mapping[str, Any], entity: int, label: str, language: str) -> str:
    """The prescribed sentence for what no document states."""
    name = spoken_name(problem, entity, language)
    return f"The documents do not state the {label} of {name}." if language == "en" else f"文件没有说明{name}的{label}。"


def _cites(documents: Sequence[int], cited: bool) -> str:
    return "".join(f"[{number}]" for number in sorted(set(documents))) if cited else ""


def _sentence(problem: Mapping[str, Any], items: Sequence[Statement], cited: bool, rng: random.Random, language: str) -> str:
    name, cites = spoken_name(problem, items[0].entity, language), _cites([n for item in items for n in item.documents], cited)
    if len(items) == 1 and (items[0].way != "plain" or rng.random() < 0.5):
        return _labelled(problem, items[0], name, cites, rng, language)
    said = []
    for item in items:
        if item.way != "plain":
            return " ".join(_sentence(problem, [part], cited, rng, language) for part in items)
        value = told_value(problem, item.attribute, item.value, rng.randrange(6), language)
        said.append(statement(item.attribute, value, rng.randrange(6), language))
    if language == "en":
        told = f"{', '.join(said[:-1])} and {said[-1]}" if len(said) > 1 else said[0]
        return capital(f"{name} {told}{' ' if cites else ''}{cites}.")
    return f"{name}{'，'.join([said[0], *(part.removeprefix('的') for part in said[1:])])}{cites}。"


def _labelled(problem: Mapping[str, Any], item: Statement, name: str, cites: str, rng: random.Random, language: str) -> str:
    label = lexicon(language)["attributes"][item.attribute]["label"]
    value = told_value(problem, item.attribute, item.value, rng.randrange(6), language)
    if language == "zh":
        verb = {"plain": "是", "denied": "不是", "hedged": "大约是"}[item.way]
        return f"{name}的{label}{verb}{value}{cites}。"
    article = "the " if TYPES[item.attribute] == "organisation" else ""
    verb = {"plain": "is", "denied": "is not", "hedged": "is about"}[item.way]
    return f"The {label} of {name} {verb} {article}{value}{' ' if cites else ''}{cites}."


def _conflict(problem: Mapping[str, Any], items: Sequence[Statement], cited: bool, rng: random.Random, language: str) -> str:
    label = lexicon(language)["attributes"][items[0].attribute]["label"]
    name, english = spoken_name(problem, items[0].entity, language), language == "en"
    values = []
    for item in items:
        value, cites = told_value(problem, item.attribute, item.value, rng.randrange(6), language), _cites(item.documents, cited)
        values.append(f"{value}{' ' if english and cites else ''}{cites}")
    if english:
        return f"The documents disagree on the {label} of {name}: {', '.join(values)}."
    return f"关于{name}的{label}，各文件说法不一：{'，'.join(values)}。"


def _figure(problem: Mapping[str, Any], item: Figure, cited: bool, rng: random.Random, language: str) -> str:
    words = lexicon(language)
    label, operation = words["attributes"][item.attribute]["label"], words["operations"][item.operation]["label"]
    value, cites = told_value(problem, item.attribute, item.value, rng.randrange(6), language), _cites(item.documents, cited)
    if language == "en":
        whose = f", that of {spoken_name(problem, item.entity, language)}" if item.entity is not None else ""
        return f"The {operation} {label} is {value}{whose}{' ' if cites else ''}{cites}."
    whose = f"，属于{spoken_name(problem, item.entity, language)}" if item.entity is not None else ""
    return f"{label}的{operation}为{value}{whose}{cites}。"
