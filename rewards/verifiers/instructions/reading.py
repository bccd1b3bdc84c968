"""What counts as a line, a paragraph, a sentence and a word of a reply, in English and in Chinese.

docs/gym/instructions.md says it in words.

Marks of markdown (list markers, heading signs, table bars and rules, emphasis, the lines of a code fence) are never text: they
neither count as words nor part them. Every count of this domain rests on these definitions and on no others.
"""

import json
import math
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

__all__ = ["HAN", "Line", "Reply", "fold", "joined", "leaves", "parse_json", "plain", "read", "sentences_of", "words_of"]

HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\u3007"

_FENCE: Final = re.compile(r"^[ \t]*(?:```+|~~~+)([\w+-]{0,20})[ \t]*$")
_HEADING: Final = re.compile(r"^[ \t]{0,3}(#{1,6})[ \t]+(.*)$")
_BULLET: Final = re.compile(r"^[ \t]*([-*+•])[ \t]+(.*)$")
_NUMBER: Final = re.compile(r"^[ \t]*(\d{1,3})(?:[.)．][ \t]+|、[ \t]*)(.*)$")
_RULE: Final = re.compile(r"^[ \t]*\|?(?:[ \t]*:?-{1,}:?[ \t]*\|)+(?:[ \t]*:?-{1,}:?[ \t]*)?$")
_BREAK: Final = re.compile(r"^[ \t]*(?:\*[ \t]*){3,}$|^[ \t]*(?:-[ \t]*){3,}$|^[ \t]*(?:_[ \t]*){3,}$|^[ \t]*(?:=[ \t]*){3,}$")
_ROW: Final = re.compile(r"^[ \t]*\|.*\|[ \t]*$")
_EMPHASIS: Final = re.compile(r"[*`~]+|</?(?:b|i|u|em|strong|sub|sup)\s?>", re.IGNORECASE)
_UNDERSCORES: Final = re.compile(r"_+")
_NEW_LINE: Final = re.compile(r"<(?:br|/?p)\s?/?>", re.IGNORECASE)
_WORD: Final = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:(?:[-'’‑]|(?<=\d)[.,](?=\d))[^\W_{HAN}]+)*")
_END: Final = re.compile(r"[.!?…。！？]+[\"'”’」』)）\]》»*_]*")
_ABBREVIATED: Final = re.compile(r"(?:\b(?:[Pp]\.)+[Ss]|\b(?:Mr|Mrs|Ms|Dr|St|Prof|vs|e\.g|i\.e)|(?<![\w.])[A-HJ-Z])\.$")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not empty, with its mark taken off."""

    kind: Literal["text", "bullet", "number", "heading", "row", "rule", "break"]
    mark: str
    """``-``, ``3``, ``##``; empty for text."""
    text: str
    """Without the mark and without emphasis; a row keeps its bars."""


@dataclass(frozen=True)
class Reply:
    """A reply, read once."""

    raw: str
    """As it came, composed (NFC), without outer white space."""
    language: str
    value: Any = None
    """The object, where the reply was read as JSON; `body` is then its texts, one a line."""

    @cached_property
    def body(self) -> str:
        """Without the lines of code fences."""
        if self.value is not None:
            return "\n".join(leaves(self.value))
        return "\n".join(line for line in self.raw.split("\n") if not _FENCE.match(line)).strip()

    @cached_property
    def unbroken(self) -> str:
        """The body without lines that only part it, and without the rule of a table."""
        return "\n".join(line for line in self.body.split("\n") if _line(line).kind not in ("break", "rule"))

    @cached_property
    def fences(self) -> list[str]:
        """What stands behind the backticks of every fence line."""
        return [found[1] for line in self.raw.split("\n") if (found := _FENCE.match(line))]

    @cached_property
    def lines(self) -> list[Line]:
        return [_line(line) for line in self.body.split("\n") if line.strip()]

    @cached_property
    def plain(self) -> str:
        """The text alone, a line for each line."""
        return "\n".join(line.text for line in self.lines if line.kind not in ("rule", "break"))

    @cached_property
    def words(self) -> list[str]:
        """Words; in a Chinese reply every Chinese character is one."""
        return words_of(self.plain)

    @cached_property
    def han(self) -> list[str]:
        return re.findall(f"[{HAN}]", self.plain)

    @property
    def length(self) -> int:
        """Words of an English reply, Chinese characters of a Chinese one."""
        return len(self.han if self.language == "zh" else self.words)

    @cached_property
    def sentences(self) -> list[str]:
        """No sentence goes over the end of a line; a row of a table is one."""
        found: list[str] = []
        for line in self.lines:
            if line.kind == "row":
                found.append(line.text)
            elif line.kind not in ("rule", "break"):
                found.extend(sentences_of(line.text))
        return [item for item in found if words_of(item)]

    def paragraphs(self, mark: str = "") -> list[str]:
        """Blocks between empty lines, or between lines that hold `mark` alone."""
        if not mark:
            return [block for block in re.split(r"\n[ \t]*\n", self.body) if words_of(block)]
        blocks: list[list[str]] = [[]]
        for line in self.body.split("\n"):
            if line.strip() == mark:
                blocks.append([])
            else:
                blocks[-1].append(line)
        return ["\n".join(block).strip() for block in blocks]

    def counted(self, text: str) -> int:
        """Length of a part of the reply, in the unit of `length`."""
        return len(re.findall(f"[{HAN}]", text)) if self.language == "zh" else len(words_of(text))


def read(raw: str, language: str, *, as_json: bool = False) -> Reply:
    """Raises: ValueError: where it should be JSON and is not an object."""
    text = unicodedata.normalize("NFC", raw.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return Reply(text, language, parse_json(text) if as_json else None)


def parse_json(text: str) -> dict[str, Any]:
    """The object that is the whole text, in a code fence or not. Raises: ValueError."""
    lines = text.split("\n")
    if len(lines) > 2 and (opened := _FENCE.match(lines[0])) and opened[1] in ("", "json") and _FENCE.match(lines[-1]):
        text = "\n".join(lines[1:-1])
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict) or not _sane(value, _DEEPEST):
        raise ValueError("not an object, or one that is nested too deeply or holds what no text can")
    return value


_DEEPEST: Final = 16


def _sane(value: Any, left: int) -> bool:
    """Not too deep, integers that other programs can hold, no halves of characters."""
    if isinstance(value, dict | list):
        items = [*value, *value.values()] if isinstance(value, dict) else value
        return left > 0 and all(_sane(item, left - 1) for item in items)
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return not isinstance(value, int) or abs(value) < 2**63


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def leaves(value: Any) -> list[str]:
    """Texts and numbers in a JSON value, in their order; true, false and null say nothing by themselves."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in leaves(item)]
    if isinstance(value, list):
        return [text for item in value for text in leaves(item)]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def plain(text: str) -> str:
    """Without emphasis, in markdown or in the plainest HTML."""
    bare = _NEW_LINE.sub(" ", _EMPHASIS.sub("", text)) if "<" in text else _EMPHASIS.sub("", text)
    return _UNDERSCORES.sub(lambda run: run[0] if _within_a_word(run) else "", bare)


def _within_a_word(run: re.Match[str]) -> bool:
    around = run.string[max(run.start() - 1, 0) : run.start()], run.string[run.end() : run.end() + 1]
    return all(character.isalnum() for character in around)


def words_of(text: str) -> list[str]:
    return _WORD.findall(text)


def sentences_of(line: str) -> list[str]:
    """A line cut after every end mark that white space, a Chinese mark's next character or the line's end follows."""
    found, start = [], 0
    for end in _END.finditer(line):
        wide = any(mark in "。！？" for mark in end[0])
        if not wide and end.end() < len(line) and not line[end.end()].isspace():
            continue
        if end[0] == "." and end.end() < len(line) and _ABBREVIATED.search(line[max(start, end.end() - 12) : end.end()]):
            continue
        found.append(line[start : end.end()].strip())
        start = end.end()
    return [item for item in (*found, line[start:].strip()) if item]


def fold(text: str) -> str:
    """For comparing: one kind of apostrophe, one space for all white space, no case."""
    return re.sub(r"\s+", " ", text.replace("’", "'")).casefold().strip()


def joined(text: str) -> str:
    """`fold` without emphasis."""
    return fold(plain(text))


def _line(line: str) -> Line:
    line = line.strip()
    if _BREAK.match(line):
        return Line("break", "", "")
    if _RULE.match(line) and "|" in line:
        return Line("rule", "", "")
    if _ROW.match(line):
        return Line("row", "", plain(line.strip()))
    if found := _HEADING.match(line):
        return Line("heading", found[1], plain(_unclosed(found[2])).strip())
    if found := _BULLET.match(line):
        return Line("bullet", found[1], plain(found[2]).strip())
    if found := _NUMBER.match(line):
        return Line("number", found[1], plain(found[2]).strip())
    return Line("text", "", plain(re.sub(r"^[ \t]*(?:>[ \t]?)+", "", line)).strip())


def _unclosed(heading: str) -> str:
    """Without the signs that may close a heading."""
    text = heading.rstrip()
    bare = text.rstrip("#")
    return bare if not bare or bare[-1].isspace() else text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
