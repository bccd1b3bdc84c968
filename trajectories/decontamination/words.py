"""Text as three streams of hashed words, so that equal text is equal numbers whatever its case, punctuation or width.

`exact`     NFKC, case folded, punctuation dropped, numbers kept; Chinese and Japanese by characters, other scripts by words.
`masked`    as `exact`, with a placeholder for what names one thing: words with a digit, e-mail addresses, months and days of
            the week, words in capitals (three letters or more), and what stands in quotation marks; those in a row are one.
`template`  as `masked`, with a placeholder also for capitalised words within a sentence and for the values of the calls that
            belong to the text, and without words of courtesy and address (`COURTESY`).

A stream never joins two texts: a break stands between them that is in no index.
"""

import array
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import xxhash

__all__ = ["BREAK", "COURTESY", "MASK", "STREAMS", "Stream", "WordReader", "plain"]

STREAMS: Final = ("exact", "masked", "template")

_COURTESY: Final = """
a an the i me my we us our you your yours he she they them their it its am is are was be been do does did have has had please
kindly thanks thank hi hello hey dear sir madam could would can will shall should might may just simply also want wants need needs
like wish love prefer to for so well ok okay now today help appreciate grateful much very really possible able if m d ll ve re s t
请 您 你 我 的 了 吧 吗 呢 谢 帮 下 好 麻 烦 想 要 能 可 以 啊 把 给 们 一
"""
COURTESY: Final = frozenset(_COURTESY.split())
"""Words that a template is read without: courtesy, address, and what may be said or not."""

_IDEOGRAPH: Final = "぀-ヿ㐀-䶿一-鿿豈-﫿"
_ASCII_QUOTES: Final = (("'", "'"), ('"', '"'))
_LETTER: Final = rf"[^\W{_IDEOGRAPH}]"


def _chunks(letter: str, quotes: Iterable[tuple[str, str]], others: str) -> re.Pattern[str]:
    word = rf"{letter}+(?:(?:[.@+\-/'’]|(?<=\d)[,:](?=\d)){letter}+)*"
    quoted = "|".join(rf"(?<!{letter}){begin}(?=\S)[^{end}\n]{{1,60}}{end}(?!{letter})" for begin, end in quotes)
    return re.compile(f"{word}|{quoted}|{others}")


_CHUNK: Final = _chunks(
    _LETTER, (*_ASCII_QUOTES, ("‘", "’"), ("“", "”"), ("「", "」"), ("《", "》")), rf"[{_IDEOGRAPH}.!?;:\n。！？；：]"
)
"""What one placeholder may stand for: a word with what joins its parts, a quotation, an ideograph; and ends of sentences."""
_ASCII_CHUNK: Final = _chunks("[A-Za-z0-9_]", _ASCII_QUOTES, r"[.!?;:\n]")
"""The same for text of ASCII alone, in half the time."""
_WORD: Final = re.compile(rf"[{_IDEOGRAPH}]|{_LETTER}+")
_DATES: Final = """
january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct
nov dec monday tuesday wednesday thursday friday saturday sunday
"""
_CALENDAR: Final = frozenset(_DATES.split())
_MOST_REMEMBERED: Final = 2**16
_LONGEST_REMEMBERED: Final = 64


def _hash(word: str) -> int:
    return xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))


MASK: Final = _hash("\0mask")
BREAK: Final = _hash("\0break")

Words = array.array  # of type "Q", uint64: appended as memory, and an array of numpy without a copy


def _words(hashes: Iterable[int]) -> "Words[int]":
    return array.array("Q", hashes)


_MASKED: Final = _words([MASK])
_NONE: Final = _words([])


@dataclass(frozen=True, slots=True)
class Stream:
    """Hashed words of a list of texts."""

    words: np.ndarray
    """Of shape [words], uint64; a break follows each text."""
    starts: np.ndarray
    """Where each text starts; of shape [texts], int64."""

    def texts(self) -> Iterator[np.ndarray]:
        """The words of each text, without the break."""
        ends = np.append(self.starts[1:], len(self.words))
        for start, end in zip(self.starts, ends, strict=False):
            yield self.words[start : end - 1]


class _Chunk(NamedTuple):
    """What a chunk adds to each stream."""

    exact: "Words[int]" = _NONE
    masked: "Words[int]" = _NONE
    template: "Words[int]" = _NONE
    within: "Words[int]" = _NONE
    """To the template where it does not begin a sentence: a capital letter then makes it a name."""
    ends: bool = False
    """Ends a sentence."""


@dataclass(slots=True)
class WordReader:
    """Turns texts into streams; remembers the words it has seen (some 50 MB where `trim` is called), which changes no result."""

    _chunks: dict[str, _Chunk] = field(default_factory=dict)
    _spelling: dict[int, str] = field(default_factory=lambda: {MASK: "<value>", BREAK: "|"})

    def read(self, texts: Sequence[str], values: Iterable[str] = ()) -> dict[str, Stream]:
        """The streams of `texts`, in order.

        Args:
            values: what the calls of the dialogue carry; masked in the template.
        """
        phrases = self._phrases(values)
        streams = (_words([]), _words([]), _words([]))
        starts: tuple[list[int], list[int], list[int]] = ([], [], [])
        for text in texts:
            for stream, words, start in zip(streams, self._read(text, phrases), starts, strict=True):
                start.append(len(stream))
                stream += words
                stream.append(BREAK)
        return {
            name: Stream(np.frombuffer(stream, dtype=np.uint64), np.array(start, dtype=np.int64))
            for name, stream, start in zip(STREAMS, streams, starts, strict=True)
        }

    def trim(self) -> None:
        """Forgets all words where they are too many; for whoever reads many texts, between two whose words it may still spell."""
        if len(self._spelling) > _MOST_REMEMBERED:
            self._chunks.clear()
            self._spelling = {MASK: "<value>", BREAK: "|"}

    def spell(self, hashes: Iterable[int]) -> str:
        """The words of hashes that were read lately."""
        return " ".join(self._spelling.get(int(value), "…") for value in hashes)

    def _read(self, text: str, phrases: Mapping[int, list["Words[int]"]]) -> tuple["Words[int]", "Words[int]", "Words[int]"]:
        """Exact, masked and template words."""
        exact, masked, template = _words([]), _words([]), _words([])
        remembered, begins = self._chunks, True
        pattern = _ASCII_CHUNK if text.isascii() else _CHUNK
        for found in pattern.findall(plain(text)):
            words, hidden, first, within, ends = remembered.get(found) or self._learn(found)
            if ends:
                begins = True
                continue
            exact += words
            if hidden is not _MASKED or masked[-1:] != _MASKED:
                masked += hidden
            shown = first if begins else within
            if shown is not _MASKED or template[-1:] != _MASKED:
                template += shown
            begins = False
        return exact, masked, _masked(template, phrases)

    def _phrases(self, values: Iterable[str]) -> dict[int, list["Words[int]"]]:
        """Values as words of a template, by the first word, longest first; those that are masked anyway are left out."""
        phrases: dict[int, list[Words[int]]] = {}
        for value in values:
            if value.isdigit():
                continue
            phrase = self._read(value.lower(), {})[2]
            if phrase and phrase != _MASKED:
                phrases.setdefault(phrase[0], []).append(phrase)
        for found in phrases.values():
            found.sort(key=len, reverse=True)
        return phrases

    def _learn(self, found: str) -> _Chunk:
        words = [word.casefold() for word in _WORD.findall(found)]
        hashes = _words(map(_hash, words))
        self._spelling.update(zip(hashes, (word[:_LONGEST_REMEMBERED] for word in words), strict=True))
        kept = _words(value for value, word in zip(hashes, words, strict=True) if word not in COURTESY)
        if not words:
            chunk = _Chunk(ends=True)
        elif _names_one_thing(found):
            chunk = _Chunk(hashes, _MASKED, _MASKED, _MASKED)
        elif found[0].isupper() and words[0] in _CALENDAR:
            chunk = _Chunk(hashes, _MASKED, kept, _MASKED)
        else:
            chunk = _Chunk(hashes, hashes, kept, _MASKED if kept and found[0].isupper() else kept)
        if len(found) <= _LONGEST_REMEMBERED:
            self._chunks[found] = chunk
        return chunk


def _masked(template: "Words[int]", phrases: Mapping[int, list["Words[int]"]]) -> "Words[int]":
    """The template with a placeholder where a phrase stands."""
    if phrases.keys().isdisjoint(template):
        return template
    shown = _words([])
    place = 0
    while place < len(template):
        here = template[place]
        phrase = next((p for p in phrases.get(here, ()) if template[place : place + len(p)] == p), None)
        word = here if phrase is None else MASK
        if word != MASK or shown[-1:] != _MASKED:
            shown.append(word)
        place += 1 if phrase is None else len(phrase)
    return shown


def plain(text: str) -> str:
    """The text in compatibility form: full-width and half-width, ligatures and the like are one."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _names_one_thing(found: str) -> bool:
    if not (found[0].isalnum() or found[0] == "_"):
        return True  # a quotation
    if "@" in found or any(character.isdigit() for character in found):
        return True
    return len(found) > 2 and found.isupper()
