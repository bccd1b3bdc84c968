"""What a domain is about: its entities, their life, and the rules that an agent there must respect.

It says what exists in a domain, not what tools there are: these are grown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Archetype", "Category", "Domain", "Entity", "Field", "Move", "Rule"]

Archetype = Literal["party", "item", "stock", "account", "case"]
"""party: people and organisations. item: things that are only described. stock: things of which some are left. account:
holds money. case: what the agent works on; it refers to others, has a life, and rules are about it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field as the world language has it."""

    name: str
    document: Mapping[str, Any]
    """A field of a world document."""
    label: bool = False
    """Whether people call the record by it; unique."""

    @property
    def type(self) -> str:
        return str(self.document["type"])


@dataclass(frozen=True, slots=True)
class Move:
    """An edge in the life of a case."""

    name: str
    start: tuple[str, ...]
    end: str
    says: str
    """What the tool does, as its documentation has it."""


@dataclass(frozen=True, slots=True)
class Entity:
    name: str
    plural: str
    archetype: Archetype
    about: str
    fields: Mapping[str, Field]
    of: tuple[str, ...] = ()
    """Of a case: the entities that it refers to, under their own names."""
    states: tuple[str, ...] = ()
    """Of a case: the values of its `status`, the first one of a new case first."""
    moves: tuple[Move, ...] = ()
    create: str = "create"
    """The verb for making one: ``book``, ``open``."""
    level: str = ""
    """Of a stock: what is left of it; of an account: its balance."""

    @property
    def label(self) -> Field | None:
        return next((field for field in self.fields.values() if field.label), None)


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy: these moves, or ``change`` or ``delete``, are forbidden for a case of which `when` holds."""

    id: str
    forbids: tuple[str, ...]
    when: Mapping[str, Any]
    """A condition of the world language."""
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Domain:
    name: str
    category: str
    title: str
    role: str
    """Follows "You "."""
    entities: Mapping[str, Entity]
    rules: tuple[Rule, ...]

    @property
    def case(self) -> Entity:
        """What rules are about."""
        return next(entity for entity in self.entities.values() if entity.archetype == "case")


@dataclass(frozen=True, slots=True)
class Category:
    name: str
    title: str
    domains: Mapping[str, Domain]
