"""Who does what to whom: sentences in which a fact may hang on somebody else, or stand the wrong way round.

Names that are values (people, holders, towns) are never what a report is about. "The Trust is owned by the Museum" holds the same
mentions as "the Museum is owned by the Trust"; so for every name this module wants one of the patterns in which it is the value
of a fact, and none in which something is said of it. What fits no pattern is not clear, and what is not clear is not supported.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from rewards.verifiers.faithfulness.facts import FactBase
from rewards.verifiers.faithfulness.reading import Mention

__all__ = ["clauses", "unclear"]

_SPEAKING_OF_IT: Final = frozenset(("which", "who", "that", "where", "with", "'s", "’s", "it", "its", "they", "their"))
"""Directly behind a name, these begin something that may be said of it."""
_MEANING_SOMEBODY: Final = frozenset(("其", "它", "它的", "该", "此"))
_PARTICIPLE: Final = re.compile(r"(?:\w+ed|run|built|begun)\b", re.IGNORECASE)
_JOINING: Final = frozenset(("and", "but", "while", "whereas", ";"))
_OF: Final = frozenset(("of", "for", "at"))
_HAVING: Final = frozenset(("has", "had", "have"))
_BEING: Final = frozenset(("is", "was", "are", "were", "been", "as", "serves as", "works as", "是", "为", "担任", "现任", "出任"))
_WITH_VALUE: Final = _HAVING | {"with", "由", "有"}
_NAMED: Final = frozenset(("person", "organisation", "place"))


def clauses(mentions: Sequence[Mention]) -> Iterator[list[Mention]]:
    """A sentence, cut where a comma, a bracket or a joining word stands."""
    clause: list[Mention] = []
    for item in mentions:
        if item.kind == "break":
            yield clause
            clause = []
        else:
            clause.append(item)
    yield clause


def unclear(mentions: Sequence[Mention], base: FactBase) -> Iterator[str]:
    """Why it is not clear what is said of whom, if it is not."""
    yield from _said_of_a_name(mentions, base)
    told = False
    for clause in clauses(mentions):
        view = _Clause(clause, base)
        if not told and view.only_names:
            yield "what the one is to the other"  # the Trust has the Museum, the owner
        told = told or view.spoken
        for at, item in enumerate(view.content):
            if item.kind == "attributes" and not view.stands_well(at):
                yield f"{item.text} is turned round, or not clear"
            if item.kind == "value" and item.payload.kind == "name" and not view.is_value(at):
                yield f"{item.text} is turned round, or not clear"


def _said_of_a_name(mentions: Sequence[Mention], base: FactBase) -> Iterator[str]:
    latin, told, named = base.language == "en", False, False
    for at, item in enumerate(mentions):
        if item.kind == "value" and item.payload.kind == "name":
            after = _behind(mentions, at)
            if latin and after is not None and _may_speak_of(after, told):
                yield f"{after.text} may be said of {item.text}"
            if not latin and _is_possessive(mentions, at):
                yield f"the words around {item.text} may speak of it"
            named = named or bool(base.names[item.payload.text] & {"organisation", "place"})
        if named and item.text in _MEANING_SOMEBODY:
            yield f"whom {item.text} means"
        told = told or item.kind == "attributes"


def _behind(mentions: Sequence[Mention], at: int) -> Mention | None:
    """What follows, behind a comma or bracket, too; what a joining word begins speaks of the subject again."""
    for item in mentions[at + 1 :]:
        if item.kind == "break" and item.text.lower() in _JOINING:
            return None
        if item.kind not in ("break", "citation", "document") and item.text not in ('"', "”", "*", "_"):
            return item
    return None


def _may_speak_of(item: Mention, told: bool) -> bool:
    if item.kind == "filler":
        return item.text.lower() in _SPEAKING_OF_IT
    # "Anna Berg founded the Museum": where nothing was told before, the name is the subject.
    return told and item.kind == "attributes" and _PARTICIPLE.match(item.text) is not None


def _is_possessive(mentions: Sequence[Mention], at: int) -> bool:
    """In Chinese: a value modifies the name, or the name modifies what follows."""
    modified = at > 1 and mentions[at - 1].text == "的" and mentions[at - 2].kind == "value"
    return modified or (at + 1 < len(mentions) and mentions[at + 1].text == "的")


class _Clause:
    """The entities, attributes and values of a clause, with the harmless words between them."""

    def __init__(self, clause: Sequence[Mention], base: FactBase) -> None:
        self._base, self._latin = base, base.language == "en"
        self.content: list[Mention] = []
        self._words: list[frozenset[str]] = []
        words: set[str] = set()
        for item in clause:
            if item.kind in ("entity", "attributes", "value"):
                self.content.append(item)
                self._words.append(frozenset(words))
                words = set()
            elif item.kind == "filler":
                words.add(item.text.lower())
        self.spoken = any(item.kind == "attributes" for item in self.content)

    @property
    def only_names(self) -> bool:
        """Whether an entity and a name stand here without an attribute."""
        kinds = {self._kind(at) for at in range(len(self.content))}
        return not self.spoken and {"entity", "name"} <= kinds

    def _at(self, at: int) -> Mention | None:
        return self.content[at] if 0 <= at < len(self.content) else None

    def _kind(self, at: int) -> str:
        found = self._at(at)
        return "" if found is None else "name" if found.kind == "value" and found.payload.kind == "name" else found.kind

    def _is(self, at: int, role: str, name: Mention | None = None) -> bool:
        """Whether here stands an attribute's word in this role; of this name, where one is given."""
        found = self._at(at)
        if found is None or found.kind != "attributes":
            return False
        types = _NAMED if name is None else self._base.names[name.payload.text]
        return any(
            self._base.attributes[attribute].type in types and self._base.attributes[attribute].role(found.text) == role
            for attribute in found.payload
        )

    def stands_well(self, at: int) -> bool:
        """Whether the attribute here can be that of an entity; only those whose values are names can be turned round."""
        if self._is(at, "passive"):
            return self._kind(at + 1 + self._is(at + 1, "noun")) == "name"  # lies in (the town of) Kolding
        if self._is(at, "active") and self._kind(at - 1) != "name":
            named = (self._base.attributes[name].type in _NAMED for name in self.content[at].payload)
            return not all(named)  # the Museum leads ...; but: the Museum was founded ...
        if self._is(at, "noun"):
            if self._kind(at + 1) == "entity" and not (self._latin and self._words[at + 1] & (_OF | {"'s", "’s"})):
                return False  # the owner is the Museum
            subject = self._kind(at - 1) == "entity" and not self._is(at - 2, "noun")
            return not (subject and self._words[at] & _BEING and not self._words[at] & (_HAVING | {"'s", "’s", "的"}))
        return True

    def is_value(self, at: int) -> bool:
        """Whether the name here stands where a fact has its value."""
        name, before = self.content[at], self._words[at]
        if "由" in (self._words[at + 1] if self._kind(at + 1) == "entity" else ()):
            return False  # sponsored by the Museum
        if not self.spoken:
            return True  # its attribute stands in a clause beside it
        if self._is(at - 1, "passive", name):
            return True
        place = "place" in self._base.names[name.payload.text]
        if self._latin and not place and before & _OF:
            return False  # the owner of the Trust
        if self._is(at - 1, "noun", name):
            return True
        if self._latin and self._kind(at - 1) == "entity" and self._is(at - 2, "noun", name):
            return True
        if self._latin and "by" in before and self._is(at - 2, "active", name):
            return True  # founded in 1985 by Anna Berg
        if self._is(at + 1, "noun", name):
            if self._kind(at - 1) == "entity":
                return bool(before & _WITH_VALUE)  # has Anna Berg as its director; but: is the Trust owner
            return not self._words[at + 1] & (_HAVING | {"有", "由"})
        if self._is(at + 1, "active", name):
            return True
        return (
            not self._latin
            and self._kind(at + 1) == "entity"
            and "的" in self._word_after(at + 1)
            and self._is(at + 2, "noun", name)
        )

    def _word_after(self, at: int) -> frozenset[str]:
        return self._words[at + 1] if at + 1 < len(self._words) else frozenset()
