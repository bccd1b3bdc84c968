"""Answers of several parts on one line: lists, sets, grids and assignments, read without guessing."""

import json
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from rewards.verifiers.maths.numbers import fraction, unwrapped

__all__ = ["assignment", "grid", "integers", "is_item", "sequence", "spelled", "without_name"]

_BRACKETS: Final = {"[": "]", "(": ")", "{": "}", "\\{": "\\}", "\\left[": "\\right]", "\\left\\{": "\\right\\}", "【": "】"}
_QUOTES: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}
_PAIR: Final = re.compile(r"\s*[\"']?([^\s\"'=:：,，]{1,60})[\"']?\s*(?:=|:|：|->|→)\s*[\"']?([^\s\"'=:：,，]{1,60})[\"']?\s*")


def spelled(text: str) -> str:
    """A word or phrase without quotes, outer spaces and case; inner white space is one space."""
    text = " ".join(text.split())
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text.casefold()


def is_item(found: str, wanted: str, item: str, tolerance: str = "0") -> bool:
    """Whether one part is right: by value for ``number``, by letters for ``text`` (any case) and ``exact``."""
    if item == "number":
        value = fraction(unwrapped(spelled(found)))
        return value is not None and abs(value - Fraction(wanted)) <= Fraction(tolerance)
    if item == "exact":
        found = found.strip()
        quoted = len(found) > 1 and _QUOTES.get(found[0]) == found[-1]
        return (found[1:-1] if quoted else found) == wanted
    return spelled(found) == spelled(wanted)


def without_name(text: str, names: Sequence[str]) -> str:
    """``x = 5``, ``$x_1 = 5$`` as ``5`` where x is one of `names`; anything else as it is."""
    left, equals, right = text.strip(" $").partition("=")
    name = left.strip()
    bare = re.sub(r"_(?:[0-9]|\{[0-9]\})$", "", name[:10])
    return right.strip() if equals and bare in names else text


def sequence(text: str) -> list[str]:
    """The parts of a list: between commas where there is one, else between spaces; outer brackets do not matter."""
    text = _without_brackets(text)
    for separators in (r"[,，、;；]", r"→|->"):
        if re.search(separators, text):
            return [part.strip() for part in re.split(separators, text)]
    return text.split()


def _without_brackets(text: str) -> str:
    text = text.strip()
    for start, end in _BRACKETS.items():
        if text.startswith(start) and text.endswith(end) and len(text) >= len(start) + len(end):
            return text[len(start) : -len(end)].strip()
    return text


def grid(text: str) -> list[list[str]] | None:
    """Rows of cells: a JSON list of lists, or rows between semicolons with cells between spaces or commas."""
    text = text.strip()
    if text.startswith("[["):
        try:
            rows = json.loads(text.replace("'", '"'), parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            return None
        cells = [row for row in rows if isinstance(row, list) and all(isinstance(cell, str) for cell in row)]
        return cells if len(cells) == len(rows) else None
    rows = [row.strip() for row in re.split("[;；]", text)]
    return [sequence(row) for row in rows if row]


def integers(text: str) -> list[list[int]] | None:
    """A grid of small whole numbers; a row may be written without spaces."""
    rows = grid(text)
    if rows is None:
        return None
    rows = [list(row[0]) if len(row) == 1 and len(rows) > 1 and len(row[0]) == len(rows) else row for row in rows]
    if not all(re.fullmatch("-?[0-9]{1,6}", cell) for row in rows for cell in row):
        return None
    return [[int(cell) for cell in row] for row in rows]


def assignment(text: str) -> Mapping[str, str] | None:
    """``A=1, B=2`` or a JSON object of texts and numbers; None where a name comes twice or anything is left over."""
    found: dict[str, Any] = {}
    for part in re.split(r"[,，;；]", _without_brackets(text)):
        pair = _PAIR.fullmatch(part[:150])
        if pair is None or pair[1] in found:
            return None
        found[pair[1]] = pair[2]
    return found
