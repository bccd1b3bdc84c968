"""PPTX by python-pptx: one page of the plan is one slide with a title, and text or one table."""

import io
from datetime import datetime

import pptx
from pptx.util import Mm

from simulators.tasks.documents.plans import Pages
from simulators.tasks.documents.writing.archive import without_clock

__all__ = ["pptx_bytes"]

_TITLE_AND_CONTENT = 1
"""Of the layouts of python-pptx's own template."""


def pptx_bytes(plan: Pages) -> bytes:
    deck = pptx.Presentation()
    for page in plan.pages:
        slide = deck.slides.add_slide(deck.slide_layouts[_TITLE_AND_CONTENT])
        slide.shapes.title.text = page.title
        body, rows = slide.placeholders[1], page.blocks[0].rows
        if not rows:
            body.text = "\n".join(block.text for block in page.blocks)
            continue
        box = (body.left, body.top, body.width, Mm(11) * len(rows))
        body.element.getparent().remove(body.element)
        table = slide.shapes.add_table(len(rows), len(rows[0]), *box).table
        for place, row in enumerate(rows):
            for cell, text in zip(table.rows[place].cells, row, strict=True):
                cell.text = text
    about = deck.core_properties
    about.title, about.author = plan.pages[0].title, ""
    about.created = about.modified = datetime(2000, 1, 1)
    out = io.BytesIO()
    deck.save(out)
    return without_clock(out.getvalue())
