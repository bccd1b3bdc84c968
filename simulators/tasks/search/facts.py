"""The facts of one corpus: things and what is true of them, alike in every language.

Beside the truth there is what pages say that is not, or no longer, true: values of older editions (`old`), rumours, and the facts
that no page states (`missing`). Every statement can be looked up, which is how answers are proven to be the only ones.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from simulators.tasks.search.names import Name
from simulators.tasks.search.schema import Words, relations_of

__all__ = ["Fact", "FactBase", "Thing"]

Fact = tuple[int, str]
"""Whose, and which relation."""


@dataclass(frozen=True, slots=True)
class Thing:
    """An entity."""

    index: int
    type: str
    kind: Words
    name: Name


@dataclass
class FactBase:
    """What is true, and what else is said; `making.fact_base` makes it."""

    things: list[Thing] = field(default_factory=list)
    values: dict[Fact, int] = field(default_factory=dict)
    """The index of a thing, or a number."""
    old: dict[Fact, int] = field(default_factory=dict)
    """Values of the older edition of a page, where it has one: all of a thing's changing values, each another than today's."""
    rumours: dict[Fact, int] = field(default_factory=dict)
    """False values that the forum tells."""
    missing: list[Fact] = field(default_factory=list)
    """Facts that no page states."""
    namesakes: dict[int, int] = field(default_factory=dict)
    """Of things that are easily mistaken for each other."""
    subjects: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    """Of whom a value (a thing) is stated, by value and relation."""

    def of_type(self, name: str) -> list[Thing]:
        return [thing for thing in self.things if thing.type == name]

    def facts_of(self, subject: int) -> list[str]:
        """Names of the relations of which the subject's value is stated."""
        return [name for name in relations_of(self.things[subject].type) if (subject, name) in self.values]

    def only_subject(self, value: int, relation: str, kind: Words) -> int | None:
        """The one thing of this kind that has the value; None where there is not exactly one."""
        found = [one for one in self.subjects.get((value, relation), ()) if self.things[one].kind == kind]
        return found[0] if len(found) == 1 else None
