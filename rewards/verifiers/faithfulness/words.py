"""The words that may stand around a fact without changing what is claimed, and those that turn it round.

The lists (``words.yaml``) are closed. A word that is on none of them, and in no fact, makes its sentence unsupported: so there is
no way to hedge ("about", "at least", "may"), to compare, to praise or to name somebody new that the verifier would not see.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal

import yaml

__all__ = ["BEFORE_NO_FIGURE", "DOCUMENT", "WordList", "spoken"]

WordList = Literal["filling", "breaks", "negating", "abstaining", "conflicting"]
"""Words without a claim of their own; those that end a clause; that deny; that say that the documents are silent, or that they
contradict each other. Prompts prescribe the first of the last two lists."""

DOCUMENT: Final[Mapping[str, str]] = {"en": r"(?<![\w-])documents? ?(?=\[?[0-9])", "zh": r"文件 ?(?=\[?[0-9])"}
"""By language: what stands before the number of a document."""

BEFORE_NO_FIGURE: Final = frozenset(("by",))
"""Harmless words that are a claim before a figure: by 1985 is not in 1985."""


def spoken(language: str, name: WordList) -> tuple[str, ...]:
    """The list of this name."""
    return tuple(word.replace("_", " ") for word in _lists()[language][name].split())


@lru_cache(maxsize=1)
def _lists() -> dict[str, dict[str, str]]:
    lists: dict[str, dict[str, str]] = yaml.safe_load(files(__package__).joinpath("words.yaml").read_text("utf-8"))
    return lists
