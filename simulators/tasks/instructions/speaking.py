"""Sentences about the place of a card: facts, sentences around given words, and scenes, from a small grammar.

No comma, digit (but in values), quotation mark or exclamation ever stands in one, so that constraints on punctuation can always
be met; no two sentences of a speaker begin alike.
"""

import random
from collections.abc import Iterator
from typing import Any

from simulators.tasks.instructions.cards import Card, Fact, lexicon

__all__ = ["Speaker"]


class Speaker:
    """Says one thing after the other and repeats nothing."""

    def __init__(self, card: Card, language: str, rng: random.Random) -> None:
        self.card, self.language, self.words = card, language, lexicon(language)
        self._rng = rng
        self._openings = {"fact": dict(self.words["fact_openings"]), "scene": dict(self.words["openings"])}
        self._facts = self._shuffled("fact")
        self._keywords = self._shuffled("keyword")
        self._placeholders = self._shuffled("placeholder")
        self._subjects, self._acts, self._places = self._shuffled("subjects"), self._shuffled("acts"), self._shuffled("places")
        self._named = False

    def fact(self, fact: Fact) -> str:
        """A clause with label and value; the first one names the place."""
        pattern = self.words["fact_first"][0] if not self._named else next(self._facts)
        self._named = True
        return str(pattern).format(name=self.card.name, label=fact.label, value=fact.value)

    def around(self, word: str) -> str:
        return next(self._keywords).format(word=word)

    def blank(self, placeholder: str) -> str:
        return next(self._placeholders).format(it=placeholder)

    def helper(self) -> str:
        """Somebody; the same one does not come again in a scene."""
        return next(self._subjects)

    def scene(self) -> str:
        return str(self.words["colour"]).format(subject=next(self._subjects), act=next(self._acts), place=next(self._places))

    def sentence(self, clause: str, kind: str, letter: str | None = None) -> str:
        """The clause behind an opening that was not used before; `letter` is what the opening must begin with."""
        return self.finished(f"{self._opening(kind, letter)}{self._gap}{clause}")

    def finished(self, clause: str) -> str:
        return clause[0].upper() + clause[1:] + str(self.words["marks"]["stop"])

    def can_open(self, letter: str) -> bool:
        return any(letter.upper() in openings for openings in self._openings.values())

    @property
    def _gap(self) -> str:
        return "" if self.language == "zh" else " "

    def _opening(self, kind: str, letter: str | None) -> str:
        other = "scene" if kind == "fact" else "fact"
        for name in (kind, other):
            left = self._openings[name]
            key = letter.upper() if letter else (self._rng.choice(sorted(left)) if left else "")
            if key in left:
                return left.pop(key)
        raise ValueError(f"no opening is left for {letter!r}")

    def _shuffled(self, name: str) -> Iterator[str]:
        """All entries in some order, and then again."""
        entries: list[Any] = list(self.words[name])
        while True:
            self._rng.shuffle(entries)
            yield from [str(entry) for entry in entries]
