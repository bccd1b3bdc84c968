"""The agent's tools over the bytes of a folder. What is told is bounded, and whoever asks for more is told so."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from openpyxl.utils import get_column_letter
from openpyxl.utils.cell import range_boundaries

from simulators.playable import FunctionWorld, ToolError
from simulators.tasks.documents.querying import AGGREGATES, OPERATORS, query
from simulators.tasks.documents.reading import Cells, Folder, folder_of
from simulators.tasks.documents.recipe import Recipe
from trajectories.messages import ToolSpec
from trajectories.tasks import RecordPatch

__all__ = ["documents_world"]

_MOST_PAGES: Final = 10
_MOST_LINES: Final = 200
_MOST_CELLS: Final = 400
_MOST_HITS: Final = 40
_SNIPPET: Final = 200
_RANGE: Final = re.compile(r"([A-Z]{1,2}[1-9][0-9]{0,4})(:[A-Z]{1,2}[1-9][0-9]{0,4})?")


@lru_cache(maxsize=1)
def documents_world() -> FunctionWorld:
    """Tools to list, read, query and search the files of a folder."""
    return FunctionWorld("documents", _INSTRUCTIONS, _begin, list(zip(_specs(), _FUNCTIONS, strict=True)))


_INSTRUCTIONS: Final = (
    "You answer questions about a folder of files. List and search the files, read what matters with the tool that fits the "
    "kind of file, and cite the places that your answer rests on."
)


def _begin(seed: int, patches: tuple[RecordPatch, ...]) -> Folder:
    return folder_of(Recipe.of(seed, patches))


def _list_files(folder: Folder, arguments: Mapping[str, Any]) -> Any:
    return {"files": [_described(name, folder) for name in folder.files]}


def _described(name: str, folder: Folder) -> dict[str, Any]:
    content = folder.content(name)
    about: dict[str, Any] = {"file": name, "bytes": len(folder.files[name])}
    if content.pages:
        about["pages"] = len(content.pages)
    if content.lines:
        about["lines"] = len(content.lines)
    elif content.sheets:
        about["sheets"] = {title: f"A1:{get_column_letter(len(rows[0]))}{len(rows)}" for title, rows in content.sheets.items()}
    return about


def _read_pages(folder: Folder, arguments: Mapping[str, Any]) -> Any:
    pages = folder.content(arguments["file"]).pages
    if not pages:
        raise ToolError("read_pages is for PDF, DOCX and PPTX files")
    first, last = _span(int(arguments["first"]), int(arguments["last"]), len(pages), _MOST_PAGES, "pages")
    return {"file": arguments["file"], "pages": [{"page": at, "text": pages[at - 1]} for at in range(first, last + 1)]}


def _read_text(folder: Folder, arguments: Mapping[str, Any]) -> Any:
    lines = folder.content(arguments["file"]).lines
    if not lines:
        raise ToolError("read_text is for TXT and CSV files")
    first, last = _span(int(arguments["first_line"]), int(arguments["last_line"]), len(lines), _MOST_LINES, "lines")
    return {"file": arguments["file"], "lines": [{"line": at, "text": lines[at - 1]} for at in range(first, last + 1)]}


def _span(first: int, last: int, count: int, most: int, what: str) -> tuple[int, int]:
    if not 1 <= first <= last <= count:
        raise ToolError(f"{first} to {last} are no {what} of this file: it has {what} 1 to {count}")
    if last - first >= most:
        raise ToolError(f"at most {most} {what} at a time")
    return first, last


def _read_range(folder: Folder, arguments: Mapping[str, Any]) -> Any:
    rows = _sheet(folder, arguments)
    asked = arguments["cells"]
    if not _RANGE.fullmatch(asked):
        raise ToolError(f"{asked[:40]!r} is no range of cells; write one as B4 or A1:F20")
    left, top, right, bottom = range_boundaries(asked)
    if not (left <= right <= len(rows[0]) and top <= bottom <= len(rows)):
        raise ToolError(f"{asked} reaches beyond the sheet, which is A1:{get_column_letter(len(rows[0]))}{len(rows)}")
    if (right - left + 1) * (bottom - top + 1) > _MOST_CELLS:
        raise ToolError(f"at most {_MOST_CELLS} cells at a time")
    cells = {
        f"{get_column_letter(column)}{row}": rows[row - 1][column - 1]
        for row in range(top, bottom + 1)
        for column in range(left, right + 1)
        if rows[row - 1][column - 1] is not None
    }
    return {"file": arguments["file"], "sheet": arguments["sheet"], "cells": cells}


def _query_sheet(folder: Folder, arguments: Mapping[str, Any]) -> Any:
    return {"file": arguments["file"], **query(_sheet(folder, arguments), arguments)}


def _sheet(folder: Folder, arguments: Mapping[str, Any]) -> Cells:
    sheets = folder.content(arguments["file"]).sheets
    if not sheets:
        raise ToolError("only XLSX and CSV files have sheets")
    if "" in sheets:
        return sheets[""]
    name = arguments.get("sheet", next(iter(sheets)))
    if name not in sheets:
        raise ToolError(f"there is no sheet {name[:100]!r}; there are: {', '.join(sheets)}")
    return sheets[name]


def _read_image_text(folder: Folder, arguments: Mapping[str, Any]) -> Any:
    layer = folder.content(arguments["file"]).layer
    if layer is None:
        raise ToolError("read_image_text is for PNG files")
    return {"file": arguments["file"], "text": layer}


def _search_files(folder: Folder, arguments: Mapping[str, Any]) -> Any:
    wanted = arguments["words"].casefold().split()
    if not wanted:
        raise ToolError("name at least one word")
    found = [
        {"file": name, "place": place, "text": _around(wanted[0], text)}
        for name in folder.files
        for place, text in _units(folder, name)
        if all(word in text.casefold() for word in wanted)
    ]
    return {"hits": found[:_MOST_HITS], "left_out": max(0, len(found) - _MOST_HITS)}


def _around(word: str, text: str) -> str:
    start = max(0, text.casefold().find(word) - _SNIPPET // 2)
    return text[start : start + _SNIPPET]


def _units(folder: Folder, name: str) -> Iterator[tuple[str, str]]:
    """Everything in which words are searched together: a page, a line, a row, an image's text."""
    content = folder.content(name)
    yield from ((f"page={number}", text) for number, text in enumerate(content.pages, 1))
    yield from ((f"line={number}", text) for number, text in enumerate(content.lines, 1))
    if not content.lines:
        for title, rows in content.sheets.items():
            last = get_column_letter(len(rows[0]))
            for number, row in enumerate(rows, 1):
                yield f"{title}!A{number}:{last}{number}", " | ".join(str(cell) for cell in row if cell is not None)
    if content.layer is not None:
        yield "text", content.layer


def _specs() -> Sequence[ToolSpec]:
    file = {"type": "string", "description": "a name that list_files gave"}
    number = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
    sheet = {"type": "string", "description": "the sheet's name; a CSV file has none"}
    scalar = {"type": ["string", "number"]}
    value = {"anyOf": [scalar, {"type": "array", "items": scalar, "maxItems": 100}]}
    condition = _object({"column": {"type": "string"}, "op": {"enum": list(OPERATORS)}, "value": value}, "column", "op", "value")
    aggregate = _object({"function": {"enum": list(AGGREGATES)}, "column": {"type": "string"}}, "function", "column")
    asked = {
        "file": file, "sheet": sheet,
        "header_row": {**number, "description": "the row with the column names, 1 unless told otherwise"},
        "where": {"type": "array", "items": condition, "maxItems": 10, "description": "conditions that must all hold"},
        "select": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 20, "description": "columns to show"},
        "aggregate": {**aggregate, "description": "also aggregate a column over the matching rows"},
    }  # fmt: skip
    return (
        ToolSpec("list_files", "List the files with their sizes, pages, lines or sheets.", _object({})),
        ToolSpec(
            "read_pages",
            f"Read pages of a PDF or DOCX file or slides of a PPTX file, at most {_MOST_PAGES} at a time.",
            _object({"file": file, "first": number, "last": number}, "file", "first", "last"),
        ),
        ToolSpec(
            "read_range",
            f"Read a range of cells of an XLSX file, such as B4 or A1:F20, at most {_MOST_CELLS} cells; empty ones are left out.",
            _object({"file": file, "sheet": sheet, "cells": {"type": "string"}}, "file", "sheet", "cells"),
        ),
        ToolSpec(
            "query_sheet",
            "Filter the rows of a sheet of an XLSX file, or of a CSV file, and aggregate a column over them. Dates are text such "
            "as 2024-05-31 and compare as such.",
            _object(asked, "file"),
        ),
        ToolSpec(
            "search_files",
            f"Find the pages, rows and lines of all files that hold every word; at most {_MOST_HITS} are told, of each the "
            f"{_SNIPPET} characters around the first word.",
            _object({"words": {"type": "string", "minLength": 1, "maxLength": 200}}, "words"),
        ),
        ToolSpec(
            "read_text",
            f"Read lines of a TXT or CSV file, at most {_MOST_LINES} at a time.",
            _object({"file": file, "first_line": number, "last_line": number}, "file", "first_line", "last_line"),
        ),
        ToolSpec(
            "read_image_text",
            "Read the text layer that a PNG file carries as metadata; the picture itself is not looked at.",
            _object({"file": file}, "file"),
        ),
    )


_FUNCTIONS: Final = (_list_files, _read_pages, _read_range, _query_sheet, _search_files, _read_text, _read_image_text)


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": False}
