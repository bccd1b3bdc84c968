"""Office files are ZIP archives that carry the hour of their making: this takes it out."""

import io
import re
import zipfile
from typing import Final

__all__ = ["without_clock"]

_HOUR: Final = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")
"""openpyxl writes the hour of saving, whatever it is told."""


def without_clock(data: bytes) -> bytes:
    """The same archive, each entry dated with the first day that ZIP knows, and changed at the start of 2000."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            content = source.read(name)
            if name == "docProps/core.xml":
                content = _HOUR.sub(rb"\g<1>2000-01-01T00:00:00Z", content)
            target.writestr(info, content)
    return out.getvalue()
