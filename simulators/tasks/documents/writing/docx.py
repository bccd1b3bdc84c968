"""DOCX by python-docx: each page of the plan begins with a heading that starts a new page."""

import io
from datetime import datetime

import docx
from docx.oxml.ns import qn
from docx.shared import Mm, Pt

from simulators.tasks.documents.plans import Pages
from simulators.tasks.documents.writing.archive import without_clock

__all__ = ["docx_bytes"]


def docx_bytes(plan: Pages) -> bytes:
    document = docx.Document()
    for name in ("Normal", "Heading 1"):
        style = document.styles[name]
        style.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), "SimSun")
    document.styles["Normal"].font.size = Pt(11)
    document.styles["Heading 1"].paragraph_format.space_after = Pt(12)
    document.sections[0].page_width, document.sections[0].page_height = Mm(210), Mm(297)
    for number, page in enumerate(plan.pages):
        heading = document.add_heading(page.title, level=1)
        heading.paragraph_format.page_break_before = number > 0
        for block in page.blocks:
            if block.rows:
                table = document.add_table(0, len(block.rows[0]), "Table Grid")
                for row in block.rows:
                    for cell, text in zip(table.add_row().cells, row, strict=True):
                        cell.text = text
            else:
                document.add_paragraph(block.text)
    about = document.core_properties
    about.title, about.author, about.comments = plan.pages[0].title, "", ""
    about.created = about.modified = datetime(2000, 1, 1)
    out = io.BytesIO()
    document.save(out)
    return without_clock(out.getvalue())
