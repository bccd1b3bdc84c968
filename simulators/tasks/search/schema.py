"""What there is to know: types of things, their kinds, and the relations between them, with words for pages and questions.

A relation has at most one value for each subject. Pages state it in words of their own (`page`); questions name its value by a
phrase (`value_of`) and, read backwards, its subject by a clause (`clause`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import yaml

__all__ = ["COMPARED", "KINDS", "LANGUAGES", "RELATIONS", "TYPES", "UNITS", "Relation", "Words", "lexicon", "relations_of"]

Words = tuple[str, str]
"""In English and in Chinese."""

LANGUAGES: Final = ("en", "zh")


def lexicon(name: str) -> dict[str, Any]:
    """The words in ``<name>.yaml`` beside this file."""
    found: dict[str, Any] = yaml.safe_load(files("simulators.tasks.search").joinpath(f"{name}.yaml").read_text("utf-8"))
    return found


def _frozen(value: Any) -> Any:
    """Lists as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


_WORDS: Final = lexicon("relations")

TYPES: Final[Mapping[str, Words]] = {name: _frozen(words) for name, words in _WORDS["types"].items()}

KINDS: Final[Mapping[str, tuple[Words, ...]]] = {name: _frozen(kinds) for name, kinds in _WORDS["kinds"].items()}
"""Of a type that has them; any other type is its only kind."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Of one type of subject to a thing or a number."""

    subject: str
    value: str
    """A type, ``year`` or ``amount``."""
    page: Words
    """A sentence with ``{s}`` and ``{o}``."""
    value_of: tuple[Words, ...]
    """Noun phrases with ``{x}`` for the subject."""
    clause: Words | None = None
    """What is true of the subject, with ``{x}`` for the value: after a noun in English, before one in Chinese."""
    heard: Words | None = None
    """Heading under which the value's own page lists the subjects; None where it does not."""
    changing: bool = False
    """Whether older editions of a page may state another value."""


RELATIONS: Final[Mapping[str, Relation]] = {
    name: Relation(**{key: _frozen(value) for key, value in row.items()}) for name, row in _WORDS["relations"].items()
}

COMPARED: Final[Mapping[str, tuple[Words, Words]]] = {name: _frozen(words) for name, words in _WORDS["compared"].items()}
"""Relations that things are compared by: words for the highest and for the lowest value."""

UNITS: Final[Mapping[str, tuple[Words, ...]]] = {name: _frozen(words) for name, words in _WORDS["units"].items()}
"""What an amount, or the number of things counted by such a year, may be followed by."""


def relations_of(subject: str) -> tuple[str, ...]:
    """Names of the relations that things of this type have."""
    return tuple(name for name, relation in RELATIONS.items() if relation.subject == subject)
