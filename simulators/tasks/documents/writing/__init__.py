"""From plans to bytes: real files, the same bytes whenever and wherever they are made by the same libraries."""

from simulators.tasks.documents.plans import FilePlan, Image, Lines, Pages, Sheets
from simulators.tasks.documents.writing.docx import docx_bytes
from simulators.tasks.documents.writing.pdf import pdf_bytes
from simulators.tasks.documents.writing.png import png_bytes
from simulators.tasks.documents.writing.pptx import pptx_bytes
from simulators.tasks.documents.writing.xlsx import xlsx_bytes

__all__ = ["file_bytes"]

_PAGED = {"pdf": pdf_bytes, "docx": docx_bytes, "pptx": pptx_bytes}


def file_bytes(plan: FilePlan) -> bytes:
    """The file itself; text files are UTF-8 with a newline after each line."""
    match plan:
        case Pages():
            return _PAGED[plan.name.rpartition(".")[2]](plan)
        case Sheets():
            return xlsx_bytes(plan)
        case Image():
            return png_bytes(plan)
        case Lines():
            return "".join(f"{line.text}\n" for line in plan.lines).encode()
