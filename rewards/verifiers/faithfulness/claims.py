"""From mentions to claims: which entity is said to have which value of which attribute, or not to have it.

A sentence is cut into clauses at commas, colons, brackets and joining words. Where several pairings are possible a clause
claims them all, so that nothing ambiguous passes unless it is true in every reading. What is left over in the end (a value that
is nobody's, an attribute without a value, an entity of whom nothing is said) is a problem, and the sentence unsupported.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from rewards.verifiers.faithfulness.attachment import clauses, unclear
from rewards.verifiers.faithfulness.facts import Fact, FactBase
from rewards.verifiers.faithfulness.reading import Mention
from rewards.verifiers.faithfulness.values import Value

__all__ = ["Claim", "Reading", "read_claims"]

_MOST_PAIRINGS: Final = 64
"""Claims of one sentence; one that makes more is a problem."""


@dataclass(frozen=True, slots=True)
class Claim:
    entity: int
    attribute: str
    value: str
    negated: bool = False


@dataclass(slots=True)
class Reading:
    """What one sentence says."""

    claims: list[Claim] = field(default_factory=list)
    abstained: list[Fact] = field(default_factory=list)
    """Facts of which it says that the documents do not state them."""
    conflict: tuple[Fact, tuple[tuple[str, frozenset[str]], ...]] | None = None
    """A reported contradiction: each value, with the documents that are cited for it."""
    aggregate: tuple[str, str, str, tuple[int, ...]] | None = None
    """Operation, attribute, value, and the entities that are named."""
    problems: list[str] = field(default_factory=list)
    """What comes from nowhere, or cannot be attached to anything."""
    entities: tuple[int, ...] = ()
    citations: tuple[str, ...] = ()
    ends_with_citation: bool = False

    @property
    def says_something(self) -> bool:
        return bool(self.claims or self.abstained or self.conflict or self.aggregate or self.problems)


def read_claims(mentions: Sequence[Mention], base: FactBase, before: tuple[int, ...]) -> Reading:
    """What a sentence says.

    Args:
        before: the entities of the sentence before it, which is meant where this one names none.
    """
    reading = Reading(entities=tuple(dict.fromkeys(item.payload for item in mentions if item.kind == "entity")))
    reading.problems += [f"{item.text!r} comes from nowhere" for item in mentions if item.kind == "nowhere"]
    reading.citations = tuple(id_ for item in mentions if item.kind in ("citation", "document") for id_ in item.payload)
    words = [item for item in mentions if item.kind != "filler" or item.text not in ".。!！\"'”’“‘*_"]
    reading.ends_with_citation = bool(words) and words[-1].kind == "citation"
    reading.problems += unclear(mentions, base)
    kinds: set[str] = {item.kind for item in mentions}
    if len(kinds & {"abstaining", "conflict", "operation"}) > 1:
        reading.problems.append("says several things at once")
    elif "abstaining" in kinds:
        _read_abstaining(mentions, kinds, reading)
    elif "conflict" in kinds:
        _read_conflict(mentions, kinds, reading)
    elif "operation" in kinds:
        _read_operation(mentions, kinds, reading)
    else:
        _Clauses(mentions, base, before, reading).read()
    return reading


def _attributes(mentions: Sequence[Mention]) -> list[str]:
    return list(dict.fromkeys(name for item in mentions if item.kind == "attributes" for name in item.payload))


def _read_abstaining(mentions: Sequence[Mention], kinds: set[str], reading: Reading) -> None:
    attributes = _attributes(mentions)
    once = sum(item.kind == "abstaining" for item in mentions) == 1
    if not once or kinds & {"value", "negation"} or len(reading.entities) != 1 or not attributes:
        reading.problems.append("an abstention names one entity, what is not stated, and nothing else")
        return
    reading.abstained = [(reading.entities[0], name) for name in attributes]


def _read_conflict(mentions: Sequence[Mention], kinds: set[str], reading: Reading) -> None:
    attributes = _attributes(mentions)
    once = sum(item.kind == "conflict" for item in mentions) == 1
    if not once or "negation" in kinds or len(reading.entities) != 1 or len(attributes) != 1:
        reading.problems.append("a contradiction is reported of one entity and one attribute")
        return
    values: list[tuple[str, frozenset[str]]] = []
    for item in mentions:
        if item.kind == "value":
            values.append((item.payload.text, frozenset()))
        elif item.kind in ("citation", "document") and values:
            values[-1] = (values[-1][0], values[-1][1] | set(item.payload))
    reading.conflict = ((reading.entities[0], attributes[0]), tuple(values))


def _read_operation(mentions: Sequence[Mention], kinds: set[str], reading: Reading) -> None:
    attributes = _attributes(mentions)
    operations = {item.payload for item in mentions if item.kind == "operation"}
    values = [item.payload for item in mentions if item.kind == "value"]
    if "negation" in kinds or len(operations) != 1 or len(attributes) != 1 or len(values) != 1:
        reading.problems.append("a figure over several is one operation, one attribute and one value")
        return
    reading.aggregate = (operations.pop(), attributes[0], values[0].text, reading.entities)


class _Clauses:
    """Goes through the clauses of one sentence."""

    def __init__(self, mentions: Sequence[Mention], base: FactBase, before: tuple[int, ...], reading: Reading) -> None:
        self._mentions, self._base, self._reading = mentions, base, reading
        meant = reading.entities or before
        self._sole = meant if len(meant) == 1 else ()
        self._entities: list[int] = []
        self._groups: list[tuple[str, ...]] = []
        self._values: list[Value] = []
        self._last: list[tuple[str, ...]] = []

    def read(self) -> None:
        for clause in clauses(self._mentions):
            self._read_clause(clause)
        problems = self._reading.problems
        problems += [f"{value.text!r} is a value of nothing" for value in self._values]
        problems += [f"{'/'.join(group)} has no value" for group in self._groups]
        if self._entities and len(self._reading.entities) > 1:
            problems.append("something is named of which nothing is said")

    def _read_clause(self, clause: Sequence[Mention]) -> None:
        negations = sum(item.kind == "negation" for item in clause)
        self._entities += [item.payload for item in clause if item.kind == "entity"]
        groups = [item.payload for item in clause if item.kind == "attributes"]
        values = [item.payload for item in clause if item.kind == "value"]
        self._groups += groups
        self._values += values
        said = bool(self._values and (self._groups or self._last))
        if negations > 1 or (negations and not (values and said)):
            self._reading.problems.append("what is denied is not clear")
        if not said:
            return
        entities = self._entities or self._sole
        if not entities:
            self._reading.problems.append(f"whose {self._values[0].text!r} it is, is not clear")
        paired = _alternating(clause, self._fits) if (groups, values) == (self._groups, self._values) else None
        used: list[tuple[str, ...]] = []
        left: list[Value] = []
        for index, value in enumerate(self._values):
            candidates = [paired[index]] if paired is not None else self._groups
            fitting = [group for group in candidates if self._fits(group, value)] or [
                group for group in self._last if not groups and self._fits(group, value)
            ]
            used += fitting
            names = dict.fromkeys(name for group in fitting for name in group if self._suits(name, value))
            if not names:
                left.append(value)
                self._reading.problems += ["what is denied is not clear"] * negations
            self._claim(entities, list(names), value, negations == 1)
        self._groups = [group for group in self._groups if group not in used]
        self._last = used or self._last
        self._values, self._entities = left, []

    def _claim(self, entities: Sequence[int], attributes: Sequence[str], value: Value, negated: bool) -> None:
        claims = [Claim(entity, name, value.text, negated) for entity in dict.fromkeys(entities) for name in attributes]
        if len(self._reading.claims) + len(claims) > _MOST_PAIRINGS:
            self._reading.problems.append("says more than a sentence can")
        else:
            self._reading.claims += [claim for claim in claims if claim not in self._reading.claims]

    def _fits(self, group: tuple[str, ...], value: Value) -> bool:
        return any(self._suits(name, value) for name in group)

    def _suits(self, name: str, value: Value) -> bool:
        type_ = self._base.attributes[name].type
        return type_ in self._base.names[value.text] if value.kind == "name" else value.fits(type_)


def _alternating(clause: Sequence[Mention], fits: Callable[[tuple[str, ...], Value], bool]) -> list[tuple[str, ...]] | None:
    """The attributes of each value, where attributes and values take turns; None where they do not."""
    items = [item for item in clause if item.kind in ("attributes", "value")]
    kinds = [item.kind for item in items]
    if len(items) < 4 or len(items) % 2 or any(kind == following for kind, following in pairwise(kinds)):
        return None
    pairs = [items[at : at + 2] for at in range(0, len(items), 2)]
    found = [next(item.payload for item in pair if item.kind == "attributes") for pair in pairs]
    values = [next(item.payload for item in pair if item.kind == "value") for pair in pairs]
    return found if all(fits(group, value) for group, value in zip(found, values, strict=True)) else None
