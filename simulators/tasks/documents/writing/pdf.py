"""PDF by reportlab: one page of the plan is one page of the file."""

import io
from functools import lru_cache
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from simulators.tasks.documents.plans import Block, Pages

__all__ = ["pdf_bytes"]

_CHINESE = "STSong-Light"
"""Every PDF reader's own: not embedded, so a reader without Asian fonts shows substitutes but still reads the text."""


def pdf_bytes(plan: Pages) -> bytes:
    """Raises: ValueError: a page of the plan does not fit on one page."""
    chinese = any(ord(letter) > 0x2E80 for page in plan.pages for letter in page.title)
    styles = _styles(chinese)
    story: list[Flowable] = []
    for number, page in enumerate(plan.pages):
        story += [PageBreak()] if number else []
        story += [Paragraph(escape(page.title), styles["title"]), Spacer(1, 6 * mm)]
        for block in page.blocks:
            story += [_flowable(block, styles), Spacer(1, 4 * mm)]
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=25 * mm, rightMargin=25 * mm, topMargin=25 * mm, bottomMargin=25 * mm,
        title=plan.pages[0].title, author="", invariant=1,
    )  # fmt: skip

    def footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont("Helvetica", 9)
        canvas.drawCentredString(A4[0] / 2, 12 * mm, f"{document.page} / {len(plan.pages)}")

    document.build(story, onFirstPage=footer, onLaterPages=footer)
    if document.page != len(plan.pages):
        raise ValueError(f"{plan.name}: {len(plan.pages)} pages took {document.page}")
    return out.getvalue()


def _flowable(block: Block, styles: dict[str, ParagraphStyle]) -> Flowable:
    if not block.rows:
        return Paragraph(escape(block.text), styles["body"])
    cells = [
        [Paragraph(escape(text), styles["right" if place else "body"]) for place, text in enumerate(row)] for row in block.rows
    ]
    table = Table(cells, colWidths=[62 * mm, *([98 * mm / (len(cells[0]) - 1)] * (len(cells[0]) - 1))])
    table.setStyle(TableStyle([
        ("GRID", (0, 0), (-1, -1), 0.5, colors.grey), ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    ]))  # fmt: skip
    return table


@lru_cache(maxsize=2)
def _styles(chinese: bool) -> dict[str, ParagraphStyle]:
    if chinese:
        pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))
    font, bold = (_CHINESE, _CHINESE) if chinese else ("Times-Roman", "Times-Bold")
    wrap = "CJK" if chinese else None
    body = ParagraphStyle("body", fontName=font, fontSize=11, leading=16, wordWrap=wrap)
    return {
        "title": ParagraphStyle("title", fontName=bold, fontSize=17, leading=22, wordWrap=wrap),
        "body": body,
        "right": ParagraphStyle("right", parent=body, alignment=TA_RIGHT),
    }
