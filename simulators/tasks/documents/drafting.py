"""From a question to a draft: the prompt, the oracle's calls and reply, the key, and the cheats."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from openpyxl.utils import get_column_letter
from openpyxl.utils.cell import coordinate_from_string

from simulators.tasks.documents.families import Desk, Question, question_of
from simulators.tasks.documents.plans import Sheets, units_of
from simulators.tasks.documents.recipe import Recipe
from simulators.tasks.domains.protocol import Draft
from simulators.tasks.oracle import Plan
from trajectories.answers import ASK
from trajectories.tasks import GoldCall

__all__ = ["CHEATS", "draft_of"]

CHEATS: Final = (
    "no_reading", "no_citation", "wrong_file", "cite_all", "missing_place", "one_place_short", "spray", "spray_lines",
    "wrong_by_one", "always_missing", "never_missing", "first_version", "earlier_version", "unsigned_version", "one_file_only",
    "wrong_contract", "one_piece", "as_listed", "wrong_unit",
)  # fmt: skip

_HEADER: Final = "header"
"""The fact that names the columns of a table: only of files that the answer rests on."""
_LIST: Final = GoldCall("list_files")


def draft_of(recipe: Recipe) -> Draft:
    """The task of a recipe."""
    desk = Desk(recipe)
    question, said = question_of(desk), desk.lexicon["ask"]
    known = {
        "org": desk.facts.org, "year": desk.facts.year, "question": question.text, "ask": ASK[recipe.language],
        "form": said["forms"][question.form].format(currency=desk.lexicon["currency"]),
    }  # fmt: skip
    places = [desk.plan[1][group[0]][0] for group in question.needed]
    calls = (_LIST, *_calls(question, places, desk))
    return Draft(
        prompt=said["frame"].format(**known),
        reply=_reply(desk, _short(places), question.said or said["missing"]),
        key=_key(question, desk),
        calls=calls,
        world="documents",
        patches=(recipe.patch(),),
        tags=(recipe.theme, *(() if question.said else ("not_stated",)), *_kinds(places)),
        cheats=_cheats(question, desk, places, calls),
    )


def _reply(desk: Desk, places: Iterable[str], answer: str) -> str:
    said = desk.lexicon["ask"]
    gap = "" if desk.recipe.language == "zh" else " "
    return f"{said['sources']}{gap}{'; '.join(places) or said['none']}\n{said['answer']}{gap}{answer}"


def _key(question: Question, desk: Desk) -> Mapping[str, Any]:
    places = desk.plan[1]
    needed = [sorted({place for fact in group for place in places[fact]}) for group in question.needed]
    relied = {place for group in needed for place in group}
    files = {place.partition("#")[0] for place in relied}
    known = {place for fact in question.allowed for place in places.get(fact, ())}
    known |= {place for place in places.get(_HEADER, ()) if place.partition("#")[0] in files}
    answer: dict[str, Any] = {"kind": "missing"}
    if question.said and question.form == "letters":
        answer = {"kind": "letters", "value": question.said}
    elif question.said:
        answer = {"kind": "number", "value": question.said, "unit": question.form}
    return {
        "answer": answer,
        "needed": needed,
        "allowed": sorted({_row(place, desk) for place in known | relied}),
        "read": [{"file": name, "pages": pages} for name, pages in question.read],
    }


def _row(place: str, desk: Desk) -> str:
    """The row that a cell belongs to, whose other cells name the value; any other place is itself."""
    name, _, where = place.partition("#")
    for plan in desk.plan[0]:
        if isinstance(plan, Sheets) and plan.name == name:
            title, _, cell = where.partition("!")
            sheet = next(item for item in plan.sheets if item.name == title)
            row = coordinate_from_string(cell)[1]
            return f"{name}#{title}!A{row}:{get_column_letter(len(sheet.rows[row - 1]))}{row}"
    return place


def _kinds(places: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({f"file:{place.partition('#')[0].rpartition('.')[2]}" for place in places}))


def _short(places: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(places))


def _calls(question: Question, places: list[str], desk: Desk) -> list[GoldCall]:
    """Reads every place: with the question's own calls where they read its file, else from the first of a file to its last."""
    calls = list(question.queries)
    queried = {call.arguments["file"] for call in calls}
    wanted: dict[tuple[str, str], list[str]] = {}
    for name, pages in question.read:
        calls.append(GoldCall("read_pages", {"file": name, "first": 1, "last": pages}))
    for place in places:
        name, _, where = place.partition("#")
        if name not in queried:
            wanted.setdefault((name, where.partition("!")[0] if "!" in where else ""), []).append(where)
    return calls + [_reading(name, sheet, found) for (name, sheet), found in wanted.items()]


def _reading(name: str, sheet: str, found: list[str]) -> GoldCall:
    if sheet:
        rows = [coordinate_from_string(where.partition("!")[2]) for where in found]
        cells = f"A{min(row for _, row in rows)}:{max(letter for letter, _ in rows)}{max(row for _, row in rows)}"
        return GoldCall("read_range", {"file": name, "sheet": sheet, "cells": cells})
    if found[0] == "text":
        return GoldCall("read_image_text", {"file": name})
    numbers = [int(number) for where in found for number in re.findall(r"[0-9]+", where)]
    if found[0].startswith("page"):
        return GoldCall("read_pages", {"file": name, "first": min(numbers), "last": max(numbers)})
    return GoldCall("read_text", {"file": name, "first_line": min(numbers), "last_line": max(numbers)})


def _cheats(question: Question, desk: Desk, places: list[str], calls: tuple[GoldCall, ...]) -> dict[str, str | Plan]:
    """Everybody reads as the oracle does, where the cheat does not lie in not reading."""
    said = desk.lexicon["ask"]
    right = question.said or said["missing"]
    everything = [unit for plan in desk.plan[0] for unit in units_of(plan)]
    elsewhere = _elsewhere(question, desk, everything)
    wrong = next((text for text in question.wrong.values() if text != right), "7")
    ways = {
        "no_citation": f"{said['answer']} {right}",
        "wrong_file": _reply(desk, [elsewhere], right),
        "cite_all": _reply(desk, everything, right),
        "missing_place": _reply(desk, [*_short(places), "archive.pdf#page=1"], right),
        "spray": _reply(desk, _short(places), f"{right}, {wrong}, {_off(right)}"),
        "spray_lines": f"{said['answer']} {wrong}\n{_reply(desk, _short(places), right)}",
        "wrong_by_one": _reply(desk, _short(places), _off(right)),
        **{name: _reply(desk, _short(places) or [elsewhere], text) for name, text in question.wrong.items() if text != right},
    }
    if (spare := _alone(question, desk, places)) is not None and len(set(places)) > 1:
        ways["one_place_short"] = _reply(desk, [place for place in _short(places) if place != spare], right)
    missing = _reply(desk, (), said["missing"])
    reading = tuple((call,) for call in calls)
    plans: dict[str, str | Plan] = {name: Plan((*reading, *_all_read(everything, name)), text) for name, text in ways.items()}
    plans["no_reading"] = Plan(((_LIST,),), _reply(desk, _short(places), right))
    plans["always_missing"] = Plan.one_by_one(calls if question.said else [_LIST], missing)
    return plans


def _alone(question: Question, desk: Desk, places: list[str]) -> str | None:
    """A cited place without which some needed fact has none."""
    groups = [{place for fact in group for place in desk.plan[1][fact]} for group in question.needed]
    return next((place for place in places if any(group & set(places) == {place} for group in groups)), None)


def _all_read(everything: list[str], cheat: str) -> tuple[tuple[GoldCall, ...], ...]:
    """One turn that reads the whole folder, for the cheats that cite beyond what the oracle reads."""
    if cheat not in ("cite_all", "wrong_file"):
        return ()
    found: dict[tuple[str, str], list[str]] = {}
    for place in everything:
        name, _, where = place.partition("#")
        sheet, mark, _ = where.partition("!")
        found.setdefault((name, sheet if mark else ""), []).append(where)
    calls = []
    for (name, sheet), places in found.items():
        calls.append(GoldCall("query_sheet", {"file": name, "sheet": sheet}) if sheet else _reading(name, "", places))
    return (tuple(calls),)


def _elsewhere(question: Question, desk: Desk, everything: list[str]) -> str:
    """A place in a file that has nothing to do with the question, where there is one."""
    related = {
        place.partition("#")[0]
        for fact in (*question.allowed, *(fact for group in question.needed for fact in group))
        for place in desk.plan[1].get(fact, ())
    } | {name for name, _ in question.read}
    return next((place for place in everything if place.partition("#")[0] not in related), "archive.pdf#page=1")


def _off(answer: str) -> str:
    """The answer, wrong by one in its last place; letters the other way round."""
    digits = re.sub(r"[^0-9]", "", answer)
    if not digits:
        return ", ".join(reversed(answer.split(", "))) if ", " in answer else "1"
    moved = str(int(digits) + 1).rjust(len(digits), "0")
    return f"{moved[:-2]}.{moved[-2:]}" if "." in answer else moved
