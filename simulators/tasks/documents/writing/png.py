"""PNG by Pillow: a receipt as a picture, with its text in the file's metadata.

Pillow's built-in font has no Chinese letters: what it lacks is drawn as a grey bar. The text layer has every line whole; it
stands in for reading the picture, and the tool that gives it says so.
"""

import io
from functools import lru_cache

from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont, PngImagePlugin

from simulators.tasks.documents.plans import Image

__all__ = ["TEXT_LAYER", "png_bytes"]

TEXT_LAYER = "Text"
"""Keyword of the metadata that holds the text."""

_WIDTH, _STEP, _SIZE = 460, 44, 24


def png_bytes(plan: Image) -> bytes:
    picture = Pictures.new("L", (_WIDTH, 60 + _STEP * len(plan.lines)), 250)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((8, 8, picture.width - 9, picture.height - 9), outline=160, width=2)
    for row, line in enumerate(plan.lines):
        _write(draw, line, 32 + row * _STEP)
    picture = picture.rotate(0.8, Pictures.Resampling.BICUBIC, expand=True, fillcolor=235)  # as laid on a scanner by hand
    about = PngImagePlugin.PngInfo()
    about.add_itxt(TEXT_LAYER, "\n".join(plan.lines), lang="", tkey="")
    out = io.BytesIO()
    picture.save(out, "PNG", pnginfo=about)
    return out.getvalue()


def _write(draw: ImageDraw.ImageDraw, line: str, top: int) -> None:
    left = 32.0
    for letter in line:
        if ord(letter) < 0x250:
            draw.text((left, top), letter, fill=30, font=_font())
            left += _font().getlength(letter)
        else:
            draw.rectangle((left + 2, top + 4, left + _SIZE - 4, top + _SIZE), fill=190)
            left += _SIZE


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_SIZE)
