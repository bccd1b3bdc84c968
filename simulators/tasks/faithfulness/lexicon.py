"""Who the documents speak of and what is said of them, in each language (``en.yaml``, ``zh.yaml``).

A problem holds numbers only (which stem, which town); the words are looked up when it is rendered, so that one problem is the
same in every language.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import yaml

__all__ = ["OPERATIONS", "POOLS", "THEMES", "TYPES", "entity_name", "lexicon", "spoken_name", "statement"]

TYPES: Final[Mapping[str, str]] = {
    "founded": "year", "begun": "year", "opened": "date", "listed": "date", "director": "person", "chief": "person",
    "founder": "person", "architect": "person", "engineer": "person", "inspector": "person", "town": "place",
    "owner": "organisation", "sponsor": "organisation", "auditor": "organisation", "builder": "organisation",
    "employees": "count", "visitors": "count", "customers": "count", "plants": "count", "vehicles": "count",
    "budget": "money", "debt": "money", "revenue": "money", "profit": "money", "cost": "money", "repairs": "money",
    "approval": "percent", "growth": "percent", "exports": "percent", "usage": "percent", "area": "square_metres",
    "length": "metres", "height": "metres",
}  # fmt: skip
"""Attributes, and what kind of value each has."""

THEMES: Final[Mapping[str, Sequence[str]]] = {
    "institution": (
        "founded", "opened", "director", "founder", "architect", "town", "owner", "sponsor", "employees", "visitors", "budget",
        "debt", "approval", "area", "height",
    ),
    "company": (
        "founded", "listed", "chief", "founder", "town", "owner", "auditor", "employees", "customers", "plants", "revenue",
        "profit", "debt", "growth", "exports",
    ),
    "structure": (
        "begun", "opened", "architect", "engineer", "inspector", "town", "owner", "builder", "vehicles", "cost", "repairs",
        "usage", "length", "height",
    ),
}  # fmt: skip

OPERATIONS: Final = ("total", "average", "highest", "lowest")

POOLS: Final[Mapping[str, int]] = {
    "nouns": 8, "stems": 48, "similar": 4, "given": 32, "family": 40, "towns": 40, "holders": 24, "forms": 6,
    "titles": 10, "noise": 8,
}  # fmt: skip
"""How many there are of each in every language."""

_ARTICLE: Final = ("institution", "structure")
"""Themes whose names take an article in English."""


@lru_cache(maxsize=4)
def lexicon(language: str) -> Mapping[str, Any]:
    """The words of a language."""
    words: Mapping[str, Any] = yaml.safe_load(files(__package__).joinpath(f"{language}.yaml").read_text("utf-8"))
    return words


def entity_name(problem: Mapping[str, Any], entity: int, language: str) -> str:
    """The full name, without an article."""
    words, (prefix, stem) = lexicon(language), problem["entities"][entity]
    parts = [words["similar"][prefix]] if prefix >= 0 else []
    parts += [words["stems"][stem], words["nouns"][problem["theme"]][problem["noun"]]]
    return (" " if language == "en" else "").join(parts)


def spoken_name(problem: Mapping[str, Any], entity: int, language: str) -> str:
    """The name as it stands within a sentence."""
    article = "the " if language == "en" and problem["theme"] in _ARTICLE else ""
    return article + entity_name(problem, entity, language)


def statement(attribute: str, value: str, style: int, language: str) -> str:
    """What is said of an entity, after its name: ``was founded in 1985``; equal styles say it in equal words."""
    predicates = lexicon(language)["attributes"][attribute]["predicates"]
    return str(predicates[style % len(predicates)]).format(v=value)
