"""The documents of a problem as they are read: prose, tables, corrections, and entries of a register."""

from collections.abc import Mapping
from typing import Any

from simulators.tasks.faithfulness.lexicon import TYPES, entity_name, lexicon, spoken_name, statement
from simulators.tasks.faithfulness.values import written

__all__ = ["body", "capital", "dated", "heading", "register_entries", "told_value"]


def heading(problem: Mapping[str, Any], number: int, language: str) -> str:
    """Title and date of document `number`, from 1."""
    document = problem["documents"][number - 1]
    comma = ", " if language == "en" else "，"
    return f"{lexicon(language)['titles'][document['title']]}{comma}{dated(document['date'], language)}"


def dated(date: list[int], language: str) -> str:
    return written("date", date, "", 0, language)


def body(problem: Mapping[str, Any], number: int, language: str) -> str:
    """Its text."""
    document = problem["documents"][number - 1]
    return _table(problem, document, language) if document["form"] == "table" else _prose(problem, document, language)


def told_value(problem: Mapping[str, Any], attribute: str, value: Any, style: int, language: str) -> str:
    return written(TYPES[attribute], value, problem["currency"], style, language)


def register_entries(problem: Mapping[str, Any], number: int, language: str) -> dict[str, str]:
    """What a register's page says, by label."""
    labels = lexicon(language)["attributes"]
    return {
        labels[attribute]["label"]: told_value(problem, attribute, value, style, language)
        for _, attribute, value, style in problem["documents"][number - 1]["facts"]
    }


def _prose(problem: Mapping[str, Any], document: Mapping[str, Any], language: str) -> str:
    """One fact a sentence, with remarks that state nothing in between."""
    words = lexicon(language)
    end, space = (".", " ") if language == "en" else ("。", "")
    lines = []
    for entity, attribute, value, style in document["facts"]:
        said = statement(attribute, told_value(problem, attribute, value, style, language), style // 3, language)
        lines.append(capital(f"{spoken_name(problem, entity, language)}{space}{said}{end}"))
    for entity, attribute in document["silent"]:
        label = words["attributes"][attribute]["label"]
        label = f"The {label}" if language == "en" else label
        lines.append(words["silent"].format(label=label, e=spoken_name(problem, entity, language)))
    for index, (remark, entity) in enumerate(document["noise"]):
        line = capital(words["noise"][remark].format(e=spoken_name(problem, entity, language)))
        lines.insert((2 * index + 1) % (len(lines) + 1), line)
    if "corrects" in document:
        lines.insert(0, words["correction"].format(k=document["corrects"] + 1))
    return space.join(lines)


def _table(problem: Mapping[str, Any], document: Mapping[str, Any], language: str) -> str:
    """A Markdown table of entities by attributes; a cell that nobody filled holds a dash."""
    labels, corner = lexicon(language)["attributes"], lexicon(language)["generic"][problem["theme"]]
    columns = list(dict.fromkeys(attribute for _, attribute, _, _ in document["facts"]))
    cells = {
        (entity, attribute): told_value(problem, attribute, value, style, language)
        for entity, attribute, value, style in document["facts"]
    }
    lines = [[corner, *(labels[name]["label"] for name in columns)], ["---"] * (len(columns) + 1)]
    for entity in range(len(problem["entities"])):
        lines.append([entity_name(problem, entity, language), *(cells.get((entity, name), "-") for name in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
