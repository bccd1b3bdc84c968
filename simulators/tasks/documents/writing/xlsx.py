"""XLSX by openpyxl: the cells of the plan at their places, dates and money as what they are."""

import io
from datetime import date, datetime

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from simulators.tasks.documents.plans import Sheets, text_of
from simulators.tasks.documents.writing.archive import without_clock

__all__ = ["xlsx_bytes"]


def xlsx_bytes(plan: Sheets) -> bytes:
    book = Workbook()
    book.remove(book.active)
    book.properties.creator, book.properties.created = "", datetime(2000, 1, 1)
    bold, plain = Font(bold=True), Font()
    left, right = Alignment(horizontal="left"), Alignment(horizontal="right")
    for sheet in plan.sheets:
        page = book.create_sheet(sheet.name)
        widths: dict[int, int] = {}
        for row, cells in enumerate(sheet.rows, 1):
            for column, planned in enumerate(cells, 1):
                cell = page.cell(row, column, planned.value)
                cell.font = bold if row <= sheet.header else plain
                cell.alignment = right if planned.money else left
                if planned.money:
                    cell.number_format = "#,##0.00"
                elif isinstance(planned.value, date):
                    cell.number_format = "yyyy-mm-dd"
                if len(cells) > 1 and planned.value is not None:
                    text = text_of(planned.value)
                    shown = len(text) + sum(ord(letter) > 0x2E80 for letter in text)
                    widths[column] = max(widths.get(column, 8), shown + 3)
        for column, width in widths.items():
            page.column_dimensions[get_column_letter(column)].width = width
        page.page_setup.paperSize, page.page_setup.fitToHeight = page.PAPERSIZE_A4, 0
        page.sheet_properties.pageSetUpPr.fitToPage = True
        page.freeze_panes = page.cell(sheet.header + 1, 1)
    out = io.BytesIO()
    book.save(out)
    return without_clock(out.getvalue())
