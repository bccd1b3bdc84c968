"""The facts that a task's key holds: who states what, and what is asked.

Of a key: ``language``; ``entities`` and ``nouns``; ``attributes`` (to a name: ``type``, and the words of `Attribute`);
``facts`` and ``stale`` (lists of ``[entity, attribute, canonical value, [ids of documents]]``); ``asked`` and ``unknown`` (lists
of ``[entity, attribute]``); and, where they are asked for, ``sentences``, ``aggregates`` with the words of their ``operations``,
and ``reads``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from trajectories.tasks import ToolPattern

__all__ = ["Aggregate", "Attribute", "Fact", "FactBase"]

Fact = tuple[int, str]
"""An entity's index, and an attribute."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """What may be said of an entity, and the words that mention it."""

    type: str
    words: frozenset[str] = frozenset()
    """Nouns and the like."""
    passive: frozenset[str] = frozenset()
    """Have the value behind them: led by Anna Berg."""
    active: frozenset[str] = frozenset()
    """Have the value before them: Anna Berg leads."""

    def role(self, word: str) -> Literal["noun", "passive", "active", ""]:
        """What the word is to this attribute; nothing, where it is none of its own."""
        word = word.casefold()
        return "passive" if word in self.passive else "active" if word in self.active else "noun" if word in self.words else ""

    @property
    def mentions(self) -> frozenset[str]:
        return self.words | self.passive | self.active


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A figure over several entities; `entity` is who has it, where that is one."""

    operation: str
    attribute: str
    value: str
    documents: frozenset[str]
    entity: int | None


@dataclass(frozen=True, slots=True)
class FactBase:
    language: str
    entities: tuple[str, ...]
    nouns: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    stated: Mapping[Fact, Mapping[str, frozenset[str]]]
    """To each value that holds, with the documents that state it; several values are a conflict."""
    names: Mapping[str, frozenset[str]]
    """Names that are values, casefolded, to the types of their attributes."""
    asked: frozenset[Fact]
    unknown: frozenset[Fact]
    sentences: int | None = None
    aggregates: tuple[Aggregate, ...] = ()
    operations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reads: Mapping[str, ToolPattern] = field(default_factory=dict)
    """By document: the call that shows it; documents without one stand in the prompt."""

    @staticmethod
    def of(key: Mapping[str, Any]) -> "FactBase":
        """Raises: KeyError, TypeError or ValueError: where the key is none of this kind."""
        attributes = {
            name: Attribute(item["type"], *(_folded(item.get(role, ())) for role in ("words", "passive", "active")))
            for name, item in key["attributes"].items()
        }
        stated: dict[Fact, dict[str, frozenset[str]]] = {}
        names: dict[str, set[str]] = {}
        for entity, attribute, value, documents in key["facts"]:
            stated.setdefault((entity, attribute), {})[value] = frozenset(documents)
        for _, attribute, value, _ in (*key["facts"], *key["stale"]):
            if attributes[attribute].type in ("person", "place", "organisation"):
                names.setdefault(value, set()).add(attributes[attribute].type)
        return FactBase(
            language=key["language"],
            entities=tuple(key["entities"]),
            nouns=tuple(key["nouns"]),
            attributes=attributes,
            stated=stated,
            names={name: frozenset(types) for name, types in names.items()},
            asked=frozenset((entity, attribute) for entity, attribute in key["asked"]),
            unknown=frozenset((entity, attribute) for entity, attribute in key["unknown"]),
            sentences=key.get("sentences"),
            aggregates=tuple(
                Aggregate(item["operation"], item["attribute"], item["value"], frozenset(item["documents"]), item["entity"])
                for item in key.get("aggregates", ())
            ),
            operations=key.get("operations", {}),
            reads={name: ToolPattern(call[0], call[1]) for name, call in key.get("reads", {}).items()},
        )

    @property
    def conflicts(self) -> frozenset[Fact]:
        """What the documents contradict each other about."""
        return frozenset(fact for fact, values in self.stated.items() if len(values) > 1)


def _folded(words: Sequence[str]) -> frozenset[str]:
    return frozenset(word.casefold() for word in words)
