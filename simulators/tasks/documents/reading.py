"""Files as they are read back: by libraries that know nothing of the plans they were made from.

A file is pages (PDF, DOCX, PPTX), sheets (XLSX, and CSV as one without a name), lines (TXT, CSV) or a text layer (PNG).
"""

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import docx
import openpyxl
import pptx
import pypdf
from docx.oxml.ns import qn
from docx.table import Table
from PIL.PngImagePlugin import PngImageFile

from simulators.playable import ToolError
from simulators.tasks.documents.folder import plan_of
from simulators.tasks.documents.recipe import Recipe
from simulators.tasks.documents.writing import file_bytes
from simulators.tasks.documents.writing.png import TEXT_LAYER

__all__ = ["Content", "Folder", "folder_of", "opened"]

Cells = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a reader finds in a file; what it cannot have is empty."""

    pages: tuple[str, ...] = ()
    sheets: Mapping[str, Cells] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    layer: str | None = None


class Folder:
    """Files by name, each read when it is first asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self._opened: dict[str, Content] = {}

    def content(self, name: str) -> Content:
        """Raises: ToolError: there is no file of this name; paths lead nowhere."""
        name = unicodedata.normalize("NFC", name)
        if name not in self.files:
            raise ToolError(f"there is no file {name[:100]!r}; list_files names those that there are")
        if name not in self._opened:
            self._opened[name] = opened(name, self.files[name])
        return self._opened[name]


@lru_cache(maxsize=16)
def folder_of(recipe: Recipe) -> Folder:
    """The files of a recipe; the last few are kept, with what was read of them."""
    plans, _ = plan_of(recipe)
    return Folder({plan.name: file_bytes(plan) for plan in plans})


def opened(name: str, data: bytes) -> Content:
    """What stands in a file."""
    return _READERS[name.rpartition(".")[2]](data)


def _pdf(data: bytes) -> Content:
    return Content(pages=tuple(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages))


def _docx(data: bytes) -> Content:
    """Pages end where a paragraph begins a new one; other breaks depend on who shows the file."""
    pages: list[list[str]] = [[]]
    for item in docx.Document(io.BytesIO(data)).iter_inner_content():
        if isinstance(item, Table):
            pages[-1] += ["\t".join(cell.text for cell in row.cells) for row in item.rows]
            continue
        if item.paragraph_format.page_break_before or item._p.findall(f".//{qn('w:br')}[@{qn('w:type')}='page']"):
            pages.append([])
        pages[-1].append(item.text)
    return Content(pages=tuple("\n".join(page) for page in pages))


def _pptx(data: bytes) -> Content:
    slides = pptx.Presentation(io.BytesIO(data)).slides
    return Content(pages=tuple("\n".join(text for shape in slide.shapes for text in _shown(shape)) for slide in slides))


def _shown(shape: Any) -> Iterator[str]:
    if shape.has_text_frame:
        yield shape.text_frame.text
    if shape.has_table:
        yield from ("\t".join(cell.text for cell in row.cells) for row in shape.table.rows)


def _xlsx(data: bytes) -> Content:
    book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    return Content(
        sheets={
            sheet.title: tuple(tuple(map(_value, row)) for row in sheet.iter_rows(values_only=True)) for sheet in book.worksheets
        }
    )


def _csv(data: bytes) -> Content:
    text = data.decode()
    rows = tuple(tuple(map(_number, row)) for row in csv.reader(io.StringIO(text)))
    return Content(sheets={"": rows}, lines=tuple(text.splitlines()))


def _txt(data: bytes) -> Content:
    return Content(lines=tuple(data.decode().splitlines()))


def _png(data: bytes) -> Content:
    return Content(layer=str(PngImageFile(io.BytesIO(data)).text.get(TEXT_LAYER, "")))


_READERS: Final[Mapping[str, Callable[[bytes], Content]]] = {
    "pdf": _pdf, "docx": _docx, "pptx": _pptx, "xlsx": _xlsx, "csv": _csv, "txt": _txt, "png": _png,
}  # fmt: skip


def _value(value: Any) -> Any:
    return value.date().isoformat() if isinstance(value, datetime) else value


def _number(text: str) -> Any:
    """A CSV cell as a number where it is written as one."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text
