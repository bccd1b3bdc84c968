"""Splits a reply into sentences: a decimal point, a date or a citation after the full stop ends none."""

import re
from typing import Final

__all__ = ["sentences"]

_CITED: Final = r"(?:[ ]?(?:\[[0-9 ,，、]{1,40}\]|【[0-9 ,，、]{1,40}】))"
_END: Final = re.compile(rf"(?:[.!](?!\w)|[。！])[\"”’)*_]{{0,4}}{_CITED}*(?:[.。](?!\w))?")
"""A full stop that no letter or digit follows, with the quotation marks, citations and second full stop that belong to it."""
_BULLET: Final = re.compile(r"\s*(?:>\s?)*(?:[-*•]\s+|\d{1,2}[.)、]\s*(?=\D)|#{1,6}\s+)?")


def sentences(text: str) -> list[str]:
    """The sentences of `text`, in order; a line ends one, and list marks are no part of any."""
    found = []
    for line in text.splitlines():
        line, start = line[_matched(line) :], 0
        for end in _END.finditer(line):
            found.append(line[start : end.end()])
            start = end.end()
        found.append(line[start:])
    return [sentence for item in found if (sentence := item.strip()).strip("*_ ")]


def _matched(line: str) -> int:
    mark = _BULLET.match(line)
    return mark.end() if mark is not None else 0
