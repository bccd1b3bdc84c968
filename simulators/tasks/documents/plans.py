"""What stands where in a file, before it is bytes: the source of every place that an answer may have to cite.

A place is written as the agent writes it: ``contract.pdf#page=2``, ``staff.xlsx#People!F5``, ``minutes.txt#line=7``,
``receipt.png#text``. Facts have names of their own (``price.CT-204``); wherever one is written, its name is put down with it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from openpyxl.utils import get_column_letter

__all__ = ["Block", "Cell", "FilePlan", "Image", "Line", "Lines", "Page", "Pages", "Sheet", "Sheets", "places_of", "units_of"]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or a table where there are rows."""

    text: str = ""
    facts: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page or slide: short enough to fit on it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Pages:
    """A PDF, DOCX or PPTX file."""

    name: str
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    value: str | int | float | date | None
    facts: tuple[str, ...] = ()
    money: bool = False
    """Shown with two decimals."""


@dataclass(frozen=True, slots=True)
class Sheet:
    name: str
    rows: tuple[tuple[Cell, ...], ...]
    header: int
    """The row, from 1, with the names of the columns."""


@dataclass(frozen=True, slots=True)
class Sheets:
    """An XLSX file."""

    name: str
    sheets: tuple[Sheet, ...]


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lines:
    """A TXT or CSV file."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """A PNG file; its lines are drawn as far as the built-in font goes, and stand whole in its metadata."""

    name: str
    lines: tuple[str, ...]
    facts: tuple[str, ...] = ()


FilePlan = Pages | Sheets | Lines | Image


def places_of(plans: Iterable[FilePlan]) -> Mapping[str, tuple[str, ...]]:
    """By fact: every place where it stands."""
    found: dict[str, list[str]] = defaultdict(list)
    for plan in plans:
        for place, facts in _marked(plan):
            for fact in facts:
                found[fact].append(place)
    return {fact: tuple(dict.fromkeys(places)) for fact, places in found.items()}


def units_of(plan: FilePlan) -> tuple[str, ...]:
    """Places that together are the whole file: its pages, its filled cells in ranges of at most 20, its lines by 20, its text."""
    match plan:
        case Pages():
            return tuple(f"{plan.name}#page={number}" for number in range(1, len(plan.pages) + 1))
        case Lines():
            count = len(plan.lines)
            return tuple(f"{plan.name}#line={first}-{min(first + 19, count)}" for first in range(1, count + 1, 20))
        case Image():
            return (f"{plan.name}#text",)
        case Sheets():
            return tuple(
                f"{plan.name}#{sheet.name}!{letter}{first}:{letter}{min(first + 19, len(sheet.rows))}"
                for sheet in plan.sheets
                for letter in map(get_column_letter, range(1, max(map(len, sheet.rows)) + 1))
                for first in range(1, len(sheet.rows) + 1, 20)
            )


def _marked(plan: FilePlan) -> Iterable[tuple[str, tuple[str, ...]]]:
    match plan:
        case Pages():
            for number, page in enumerate(plan.pages, 1):
                for block in page.blocks:
                    yield f"{plan.name}#page={number}", block.facts
        case Sheets():
            for sheet in plan.sheets:
                for row, cells in enumerate(sheet.rows, 1):
                    for column, cell in enumerate(cells, 1):
                        yield f"{plan.name}#{sheet.name}!{get_column_letter(column)}{row}", cell.facts
        case Lines():
            for number, line in enumerate(plan.lines, 1):
                yield f"{plan.name}#line={number}", line.facts
        case Image():
            yield f"{plan.name}#text", plan.facts


def text_of(value: Any) -> str:
    """A cell's value as it is read: dates in ISO form."""
    return value.isoformat() if isinstance(value, date) else str(value)
