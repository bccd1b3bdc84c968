"""Constraints on the outer form: lists, headings, tables, JSON, fences, titles, quotation, paragraphs, marks within the text."""

import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from rewards.verifiers.instructions.reading import Reply, plain, words_of

__all__ = ["FORMATS"]

Asked = Mapping[str, Any]


def _paragraphs(reply: Reply, asked: Asked) -> bool:
    """`n` paragraphs, each with words, between empty lines or lines of the `mark` alone."""
    blocks = reply.paragraphs(asked["mark"])
    return len(blocks) == asked["n"] and all(words_of(block) for block in blocks)


def _bullets(reply: Reply, asked: Asked) -> bool:
    """`n` lines begin with the `mark`, each with words, and none with another bullet or a number."""
    found = [line for line in reply.lines if line.kind in ("bullet", "number")]
    return len(found) == asked["n"] and all(line.mark == asked["mark"] and words_of(line.text) for line in found)


def _numbered(reply: Reply, asked: Asked) -> bool:
    """`n` lines begin with 1., 2., ... in this order, and none with a bullet."""
    found = [line for line in reply.lines if line.kind in ("bullet", "number")]
    return [line.mark for line in found] == [str(number + 1) for number in range(asked["n"])] and all(
        words_of(line.text) for line in found
    )


def _sections(reply: Reply, asked: Asked) -> bool:
    """The headings are these `titles`, all with the same `mark`, nothing stands before the first, and text behind each."""
    lines = reply.lines
    headings = [at for at, line in enumerate(lines) if line.kind == "heading"]
    if [lines[at].text for at in headings] != asked["titles"] or headings[0] != 0:
        return False
    ends = [*headings[1:], len(lines)]
    return all(lines[at].mark == asked["mark"] for at in headings) and all(
        any(words_of(line.text) for line in lines[at + 1 : end]) for at, end in zip(headings, ends, strict=True)
    )


def _table(reply: Reply, asked: Asked) -> bool:
    """One table: a header row with these `columns`, a rule, and `rows` rows of as many cells, none empty."""
    at = [index for index, line in enumerate(reply.lines) if line.kind in ("row", "rule")]
    if len(at) != asked["rows"] + 2 or at != list(range(at[0], at[0] + len(at))):
        return False
    table = [reply.lines[index] for index in at]
    if table[1].kind != "rule" or any(line.kind != "row" for line in (table[0], *table[2:])):
        return False
    rows = [[cell.strip() for cell in line.text.strip().strip("|").split("|")] for line in (table[0], *table[2:])]
    return rows[0] == asked["columns"] and all(len(row) == len(rows[0]) and all(words_of(cell) for cell in row) for row in rows)


def _json(reply: Reply, asked: Asked) -> bool:
    """The object fits the `schema`."""
    return reply.value is not None and jsonschema_rs.is_valid(asked["schema"], reply.value)


def _key_order(reply: Reply, asked: Asked) -> bool:
    """The outermost keys come in alphabetical order, or in the reverse of it."""
    keys = list(reply.value or ())
    return keys == sorted(keys, reverse=asked["order"] == "descending")


def _fence(reply: Reply, asked: Asked) -> bool:
    """The whole reply stands in one code block with this `tag`."""
    lines = reply.raw.split("\n")
    return (
        reply.fences == [asked["tag"], ""]
        and lines[0].startswith("```" + asked["tag"])
        and lines[-1].strip() == "```"
        and bool(words_of(reply.body))
    )


def _title(reply: Reply, asked: Asked) -> bool:
    """The first line is a title between the marks, with words in it and nothing beside it."""
    first = reply.lines[0] if reply.lines else None
    if first is None:
        return False
    text = first.text.strip()
    inner = text.removeprefix(asked["open"]).removesuffix(asked["close"])
    return (
        text.startswith(asked["open"])
        and text.endswith(asked["close"])
        and 1 <= len(words_of(inner)) <= 40
        and asked["open"] not in inner
        and asked["close"] not in inner
        and len(reply.lines) > 1
    )


_QUOTES = {'"': '"', "“": "”", "「": "」"}


def _quoted(reply: Reply, asked: Asked) -> bool:
    """The whole reply stands between one pair of double quotation marks, and there are none inside."""
    text = reply.raw
    closing = _QUOTES.get(text[:1])
    return closing is not None and len(text) > 2 and text[-1] == closing and not re.search(r'["“”「」]', text[1:-1])


def _highlights(reply: Reply, asked: Asked) -> bool:
    """`n` stretches in double asterisks, each with words and within a line."""
    found = re.findall(r"\*\*([^*\n]+)\*\*", reply.unbroken)
    return len(found) == asked["n"] and all(words_of(item) for item in found) and reply.unbroken.count("**") == 2 * len(found)


def _placeholders(reply: Reply, asked: Asked) -> bool:
    """`n` different placeholders in square brackets."""
    found = [plain(item) for item in re.findall(r"\[([^\[\]\n]+)\](?!\()", reply.body)]
    return len(found) == asked["n"] == len(set(found)) and all(words_of(item) for item in found)


def _postscript(reply: Reply, asked: Asked) -> bool:
    """The last paragraph begins with the `mark`, which stands nowhere else, and says something."""
    blocks = reply.paragraphs()
    last = plain(blocks[-1]).strip() if len(blocks) > 1 else ""
    return (
        last.startswith(asked["mark"])
        and reply.plain.count(asked["mark"]) == 1
        and len(words_of(last.removeprefix(asked["mark"]))) >= 3
    )


def _without(reply: Reply, asked: Asked) -> bool:
    """There is none of `what` any more."""
    match asked["what"]:
        case "highlights":
            return "**" not in reply.unbroken and "__" not in reply.unbroken
        case "placeholders":
            return not re.search(r"\[[^\[\]\n]+\](?!\()", reply.raw)
        case "fence":
            return "```" not in reply.raw and "~~~" not in reply.raw
        case "postscript":
            return asked["mark"] not in reply.plain
        case "title":
            return not (reply.lines and reply.lines[0].text.startswith(asked["open"]))
    raise ValueError(f"nothing is without {asked['what']!r}")


FORMATS = {
    "paragraphs": _paragraphs,
    "bullets": _bullets,
    "numbered": _numbered,
    "sections": _sections,
    "table": _table,
    "json": _json,
    "key_order": _key_order,
    "fence": _fence,
    "title": _title,
    "quoted": _quoted,
    "highlights": _highlights,
    "placeholders": _placeholders,
    "postscript": _postscript,
    "without": _without,
}
"""By kind: whether a reply is as asked."""
