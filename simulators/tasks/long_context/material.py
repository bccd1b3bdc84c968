"""What a family makes of a drawn problem, and how facts get their places in prose: streamed, so that memory stays bounded."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from simulators.tasks.long_context.grammar import Names, names_of, prose

__all__ = ["Document", "Fact", "Material", "Part", "Setting", "at_depth", "scatter"]

_SENTENCES = (3, 8)
"""Of a paragraph."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer."""

    form: str
    """How the verifier compares it: ``integer``, ``name``, ``identifier``, ``letter``, ``uuid`` or ``token``."""
    value: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What a family is asked for."""

    language: str
    level: int
    characters: int
    """The document has at least these, and no more than a paragraph or a record beyond."""
    kind: str
    """Which question of the family."""
    depth: int
    """Tenth of the document, 0 to 8, in which the decisive fact stands, where there is one."""
    rng: random.Random

    @property
    def names(self) -> Names:
        return names_of(self.language)

    def say(self, en: str, zh: str) -> str:
        """The words in the task's language."""
        return zh if self.language == "zh" else en

    def by_level(self, *counts: int) -> int:
        return counts[self.level - 1]

    def join(self, names: Sequence[str]) -> str:
        return ("、" if self.language == "zh" else ", ").join(names)


@dataclass(frozen=True, slots=True)
class Material:
    """A document and a question about it."""

    document: str
    question: str
    parts: tuple[Part, ...]
    """The answer."""
    decisive: tuple[int, ...]
    """Where in the document the facts begin that decide it."""
    cheats: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By name: the parts that somebody who did not read, or read badly, would answer."""
    spray: Sequence[str] = ()
    """Candidates, more than the answer has parts."""
    ordered: bool = True
    """Whether the parts stand in an order."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something said once in a document."""

    depth: float
    """Where it is wanted, from 0 at the beginning to 1."""
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    text: str
    positions: tuple[int, ...]
    """Where each fact begins, in the order in which they were given."""

    def in_tail(self, index: int) -> bool:
        """Whether a fact stands in the last tenth."""
        return self.positions[index] >= 0.9 * len(self.text)


def at_depth(setting: Setting) -> float:
    """A place in the tenth of the document that was asked for."""
    return (setting.depth + 0.05 + 0.9 * setting.rng.random()) / 10


def scatter(setting: Setting, facts: Sequence[Fact], *, once: bool = True) -> Document:
    """Prose with the facts among its sentences, each at its depth of the prose; equal depths keep their order.

    Raises:
        ValueError: when a fact does not stand there exactly once, although it should.
    """
    order = sorted(range(len(facts)), key=lambda index: facts[index].depth)
    positions = [0] * len(facts)
    text = "".join(_paragraphs(setting, [facts[index] for index in order], positions, order))
    for fact in facts if once else ():
        if text.count(fact.text) != 1:
            raise ValueError(f"long_context: {fact.text!r} stands {text.count(fact.text)} times in its document")
    return Document(text, tuple(positions))


def _paragraphs(setting: Setting, facts: Sequence[Fact], positions: list[int], order: Sequence[int]) -> Iterator[str]:
    """Sentences and the white space between them; `positions` is filled on the way."""
    rng, between = setting.rng, setting.say(" ", "")
    room = max(1, setting.characters - sum(len(fact.text) + len(between) for fact in facts))
    written, filled, placed, left = 0, 0, 0, 0
    sentences = prose(setting.language, rng)
    while placed < len(facts) or written < setting.characters:
        gap = "" if not written else (between if left else "\n\n")
        left = left - 1 if left else rng.randint(*_SENTENCES) - 1
        due = placed < len(facts) and (filled >= facts[placed].depth * room or filled >= room)
        if due:
            sentence = facts[placed].text
            positions[order[placed]] = written + len(gap)
            placed += 1
        else:
            sentence = next(sentences)
            filled += len(sentence) + len(gap)
        written += len(gap) + len(sentence)
        yield gap + sentence
