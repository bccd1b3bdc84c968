"""Judges an answer about a folder of files: it must be right, and rest on places that hold the facts and were read.

The reply ends with two lines, in either order::

    Sources: contract_CT-204.pdf#page=2; staff.xlsx#People!F5; ledger.xlsx#Ledger!F4:F9; minutes.txt#line=7; receipt.png#text
    Answer: 1234.50

A place is a page (``#page=2``), a cell or a range of at most 20 cells (``#Sheet!B4:B9``), a line or at most 20 lines
(``#line=5-7``), or the text of an image (``#text``). The key has, for each fact that the answer needs, the places where it
stands, and the places that have to do with it. Where the files do not state what is asked, the sources are ``none``, and the
documents that should state it must have been read to their end.
"""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from rewards.verifiers.judging import judged
from trajectories.answers import answer_of
from trajectories.outcomes import CallRecord, Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["DocumentsVerifier", "Place", "place_of"]

MOST_CHARACTERS: Final = 100_000
"""Of a reply; a longer one is no answer."""
MOST_CITATIONS: Final = 80
MOST_CELLS: Final = 20
"""Of one citation, and as many lines."""

_MARK: Final = re.compile(r"(?:sources:|来源：|来源:)", re.IGNORECASE)
_NONE: Final = ("none", "无")
_MISSING: Final = ("not stated", "未说明")
_CELLS: Final = re.compile(r"'?([^'!]{1,60})'?!([A-Z]{1,2})([1-9][0-9]{0,4})(?::([A-Z]{1,2})([1-9][0-9]{0,4}))?")
_PAGE: Final = re.compile(r"page=([1-9][0-9]{0,4})")
_LINES: Final = re.compile(r"line=([1-9][0-9]{0,5})(?:[-–]([1-9][0-9]{0,5}))?")
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3}){1,6}|[0-9]{1,20})(?:\.[0-9]{1,10})?")
_UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "amount": ("eur", "euros", "euro", "€", "元", "人民币", "rmb", "cny", "¥"),
    "litres": ("litres", "liters", "litre", "liter", "l", "升"),
    "number": ("months", "days", "hours", "working hours", "eur", "个月", "天", "个工作小时", "小时", "元"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A box of cells, a span of lines, a page, or the text of an image."""

    file: str
    kind: str
    """``page``, ``line``, ``text`` or ``cell``."""
    sheet: str
    box: tuple[int, int, int, int]
    """First and last column, first and last row (or line, or page)."""

    def holds(self, other: "Place") -> bool:
        """Whether all of `other` lies in it."""
        mine, its = self.box, other.box
        return self._beside(other) and mine[0] <= its[0] and its[1] <= mine[1] and mine[2] <= its[2] and its[3] <= mine[3]

    def meets(self, other: "Place") -> bool:
        """Whether they have anything in common."""
        mine, its = self.box, other.box
        return self._beside(other) and mine[0] <= its[1] and its[0] <= mine[1] and mine[2] <= its[3] and its[2] <= mine[3]

    def _beside(self, other: "Place") -> bool:
        return (self.file, self.kind, self.sheet) == (other.file, other.kind, other.sheet)

    @property
    def size(self) -> int:
        return (self.box[1] - self.box[0] + 1) * (self.box[3] - self.box[2] + 1)


class DocumentsVerifier:
    """The verifier of domain ``documents``."""

    version = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        """Components: ``answer``; ``cited``, every needed fact by a place where it stands; ``relevant``, no place that has
        nothing to do with it; ``read``, every cited place by a call that succeeded."""
        key = task.key or {}
        return judged(outcome, lambda reply: _components(key, reply, outcome.calls), grader=f"documents/{self.version}")


def _components(key: Mapping[str, Any], reply: str, calls: Sequence[CallRecord]) -> dict[str, float]:
    sources, answer = _split(reply) if len(reply) <= MOST_CHARACTERS else (None, None)
    right = answer is not None and _is_right(key["answer"], answer)
    readings = _Readings(calls)
    if key["answer"]["kind"] == "missing":
        none = sources is not None and _bare(sources).casefold() in _NONE
        read = all(readings.pages_read(item["file"], item["pages"]) for item in key["read"])
        return {"answer": float(right), "cited": float(none), "relevant": float(none), "read": float(read)}
    cited = _citations(sources)
    needed = [[_known(text) for text in group] for group in key["needed"]]
    related = [place for group in needed for place in group] + [_known(text) for text in key["allowed"]]
    return {
        "answer": float(right),
        "cited": float(all(any(place.holds(one) for place in cited for one in group) for group in needed)),
        "relevant": float(bool(cited) and all(any(place.meets(one) for one in related) for place in cited)),
        "read": float(bool(cited) and all(readings.read(place) for place in cited)),
    }


def _split(reply: str) -> tuple[str | None, str | None]:
    """What stands after the mark of the one sources line, which must be one of the last two, and the answer."""
    lines = [line for line in reply.splitlines() if line.strip()]
    marked = [(at, found) for at, line in enumerate(lines) if (found := _MARK.match(line.lstrip(" *_>`-#")))]
    if len(marked) != 1 or marked[0][0] < len(lines) - 2:
        return None, None
    at, found = marked[0]
    return lines[at].lstrip(" *_>`-#")[found.end() :], answer_of("\n".join(lines[:at] + lines[at + 1 :]))


def _is_right(wanted: Mapping[str, Any], answer: str) -> bool:
    said = _bare(answer)
    match wanted["kind"]:
        case "missing":
            return said.casefold() in _MISSING
        case "letters":
            return re.sub(r"[\s,、，>→]|->", "", said) == wanted["value"].replace(", ", "")
        case "number":
            number = _without_unit(said, _UNITS[wanted["unit"]])
            return bool(_NUMBER.fullmatch(number)) and Decimal(number.replace(",", "")) == Decimal(wanted["value"])
    raise ValueError(f"no answer is of kind {wanted['kind']!r}")


def _without_unit(said: str, units: Sequence[str]) -> str:
    folded = said.casefold()
    for unit in sorted(units, key=len, reverse=True):
        if folded.endswith(unit):
            return said[: len(said) - len(unit)].rstrip()
        if folded.startswith(unit):
            return said[len(unit) :].lstrip()
    return said


def _bare(text: str) -> str:
    """Without emphasis, code marks, quotes and a full stop around it."""
    return text.strip(" \t*_`\"'“”").rstrip(".。").strip(" \t*_`\"'“”")


def _citations(sources: str | None) -> list[Place]:
    """Empty where one of them is no place, spans too much, or there are too many."""
    parts = [part.strip(" \t*_`<>[]") for part in re.split("[;；]", sources or "")]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    if len(parts) > MOST_CITATIONS:
        return []
    parts[-1] = parts[-1].rstrip(".。")
    places = [place_of(part) for part in parts]
    found = [place for place in places if place is not None and 1 <= place.size <= MOST_CELLS]
    return found if len(found) == len(parts) else []


def place_of(text: str) -> Place | None:
    """The place that is written so; None where none is."""
    name, mark, where = unicodedata.normalize("NFC", text).partition("#")
    name = name.strip()
    if not mark or not name or len(text) > 300:
        return None
    if where == "text":
        return Place(name, "text", "", (0, 0, 0, 0))
    if found := _PAGE.fullmatch(where):
        return Place(name, "page", "", (0, 0, int(found[1]), int(found[1])))
    if found := _LINES.fullmatch(where):
        return Place(name, "line", "", (0, 0, int(found[1]), int(found[2] or found[1])))
    if found := _CELLS.fullmatch(where):
        left, right = _column(found[2]), _column(found[4] or found[2])
        return Place(name, "cell", found[1], (left, right, int(found[3]), int(found[5] or found[3])))
    return None


def _known(text: str) -> Place:
    """Raises: ValueError: the key names no place."""
    if (place := place_of(text)) is None:
        raise ValueError(f"the key names no place by {text!r}")
    return place


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


class _Readings:
    """Which places were told to the agent, by the calls that succeeded."""

    def __init__(self, calls: Iterable[CallRecord]) -> None:
        self._whole: set[str] = set()
        self._places: dict[tuple[str, str], set[int]] = defaultdict(set)
        for call in calls:
            if not call.is_error and isinstance(call.arguments, Mapping):
                self._note(call, call.arguments)

    def read(self, place: Place) -> bool:
        """Whether any of it was; sheets and images count as wholes."""
        known = self._places[place.file, place.kind]
        return place.file in self._whole or any(number in known for number in range(place.box[2], place.box[3] + 1))

    def pages_read(self, name: str, pages: int) -> bool:
        """Whether every page of a file was."""
        return self._places[name, "page"] >= set(range(1, pages + 1))

    def _note(self, call: CallRecord, arguments: Mapping[str, Any]) -> None:
        name = unicodedata.normalize("NFC", str(arguments.get("file", "")))
        match call.name:
            case "read_pages":
                self._places[name, "page"] |= _span(arguments, "first", "last")
            case "read_text":
                self._places[name, "line"] |= _span(arguments, "first_line", "last_line")
            case "read_range" | "query_sheet" | "read_image_text":
                self._whole.add(name)
            case "search_files":
                self._note_hits(call.content)

    def _note_hits(self, content: str) -> None:
        try:
            hits = json.loads(content)["hits"]
            found = [place_of(f"{hit['file']}#{hit['place']}") for hit in hits]
        except (ValueError, TypeError, KeyError, RecursionError):
            return  # cut off on its way: nothing was told
        for place in filter(None, found):
            if place.kind in ("page", "line"):
                self._places[place.file, place.kind].add(place.box[2])
            else:
                self._whole.add(place.file)


def _span(arguments: Mapping[str, Any], first: str, last: str) -> set[int]:
    bounds = (arguments.get(first), arguments.get(last))
    if not all(isinstance(bound, int | float) and 0 < bound < 1_000_000 for bound in bounds):
        return set()
    start, end = (int(bound) for bound in bounds)  # type: ignore[arg-type]
    return set(range(start, min(end, start + 1000) + 1))
