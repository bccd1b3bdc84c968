"""Text that anybody may have written, made safe to look at: nothing in it is unseen, moves or hides other text."""

import re
from typing import Final

__all__ = ["visible"]

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Control characters but tab and line feed, directions, zero widths, separators, fillers, lone surrogates."""


def visible(text: str) -> str:
    """`text` with every character spelled out that would not be seen, or would move or hide others: ``⟦U+202E⟧``."""
    return _UNSEEN.sub(lambda found: f"⟦U+{ord(found[0]):04X}⟧", text)
