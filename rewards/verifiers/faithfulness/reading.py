"""Finds every mention in a sentence: whatever is not one, and is not on the closed lists of harmless words, comes from nowhere.

Letters, digits and punctuation outside of these lists (full-width digits, characters of no width, look-alikes) are never
normalised away, so they come from nowhere too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from rewards.verifiers.faithfulness.facts import FactBase
from rewards.verifiers.faithfulness.values import Value, value_at
from rewards.verifiers.faithfulness.words import BEFORE_NO_FIGURE, DOCUMENT, WordList, spoken

__all__ = ["Mention", "Reader"]

MentionKind = Literal[
    "entity", "attributes", "value", "negation", "abstaining", "conflict", "operation", "break", "filler", "citation", "document",
    "nowhere",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mention:
    """A stretch of a sentence."""

    kind: MentionKind
    text: str
    payload: Any = None
    """By kind. `entity`: its index. `attributes`: names, of which the word may mean any. `value`: a `Value`. `operation`: its
    name. `citation` and `document`: ids of documents."""


_CITATION: Final = re.compile(r"\[([0-9 ,，、]{1,40})\]|【([0-9 ,，、]{1,40})】")
_IDS: Final = re.compile(r"[0-9]{1,40}")
_NUMBER: Final = re.compile(r"[0-9]{1,4}(?![0-9])")
_NOWHERE: Final = {
    "en": re.compile(r"[0-9][0-9.,]*|[^\W\d_]+(?:['’][^\W\d_]+)*|.", re.DOTALL),
    "zh": re.compile(r"[0-9][0-9.,]*|.", re.DOTALL),
}
"""What is taken at once where nothing is known: a figure, a word, a character."""
_PUNCTUATION: Final = frozenset(".\"'“”‘’*_-。《》「」")
_DOCUMENT: Final = {code: re.compile(pattern, re.IGNORECASE) for code, pattern in DOCUMENT.items()}


class Reader:
    """Reads sentences about one fact base."""

    def __init__(self, base: FactBase) -> None:
        self._base = base
        self._latin = base.language == "en"
        self._phrases: dict[str, tuple[MentionKind, Any]] = dict(_grammar(base.language))
        if base.aggregates:
            for operation, said in base.operations.items():
                self._add("operation", dict.fromkeys(said, operation))
        self._add("filler", dict.fromkeys(base.nouns))
        meanings: dict[str, list[str]] = {}
        for name, attribute in base.attributes.items():
            for word in attribute.mentions:
                meanings.setdefault(word, []).append(name)
        self._add("attributes", {word: tuple(names) for word, names in meanings.items()})
        self._add("value", {name: Value("name", name) for name in base.names})
        self._add("entity", {name: index for index, name in enumerate(base.entities)})
        lengths: dict[str, set[int]] = {}
        for phrase in self._phrases:
            lengths.setdefault(phrase[0], set()).add(len(phrase))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def _add(self, kind: MentionKind, phrases: Mapping[str, Any]) -> None:
        self._phrases.update({phrase.casefold(): (kind, payload) for phrase, payload in phrases.items()})

    def mentions(self, sentence: str) -> list[Mention]:
        """All of the sentence, from left to right; spaces are left out."""
        found: list[Mention] = []
        at = 0
        while at < len(sentence):
            if sentence[at] in " \t":
                at += 1
                continue
            mention = self._mention(sentence, at)
            at += len(mention.text)
            figure = mention.kind == "value" and mention.payload.kind != "name"
            if figure and found and found[-1].text.lower() in BEFORE_NO_FIGURE:
                mention = Mention("nowhere", f"{found[-1].text} {mention.text}")
            found.append(mention)
        return found

    def _mention(self, sentence: str, at: int) -> Mention:
        if (cited := _CITATION.match(sentence, at)) is not None:
            return Mention("citation", cited[0], tuple(_IDS.findall(cited[0])))
        if (named := _DOCUMENT[self._base.language].match(sentence, at)) is not None:
            number = _NUMBER.match(sentence, named.end())
            if number is not None:  # in brackets it is a citation, which comes next
                return Mention("document", sentence[at : number.end()], (number[0],))
        if (value := value_at(sentence, at)) is not None:
            return Mention("value", sentence[at : value[1]], value[0])
        if (phrase := self._phrase(sentence, at)) is not None:
            return phrase
        if sentence[at] in _PUNCTUATION:
            return Mention("filler", sentence[at])
        found = _NOWHERE[self._base.language].match(sentence, at)
        return Mention("nowhere", found[0] if found is not None else sentence[at])

    def _phrase(self, sentence: str, at: int) -> Mention | None:
        """The longest phrase that begins here; of Latin ones, as whole words."""
        for length in self._lengths.get(sentence[at].casefold(), ()):
            text = sentence[at : at + length]
            known = self._phrases.get(text.casefold())
            if known is None or len(text) != length:
                continue
            if self._latin and text[0].isalpha() and not _bounded(sentence, at):
                continue
            if self._latin and text[-1].isalpha() and at + length < len(sentence) and _joins(sentence, at + length):
                continue
            return Mention(known[0], text, known[1])
        return None


def _bounded(sentence: str, at: int) -> bool:
    """Whether a word may begin here."""
    return at == 0 or not (sentence[at - 1].isalnum() or sentence[at - 1] == "-")


def _joins(sentence: str, at: int) -> bool:
    """Whether the character here continues a word, with or without a hyphen."""
    return sentence[at].isalnum() or (sentence[at] == "-" and at + 1 < len(sentence) and sentence[at + 1].isalnum())


@lru_cache(maxsize=4)
def _grammar(language: str) -> Mapping[str, tuple[MentionKind, Any]]:
    kinds: Mapping[WordList, MentionKind] = {
        "filling": "filler", "breaks": "break", "negating": "negation", "abstaining": "abstaining", "conflicting": "conflict",
    }  # fmt: skip
    return {phrase: (kind, None) for name, kind in kinds.items() for phrase in spoken(language, name)}
