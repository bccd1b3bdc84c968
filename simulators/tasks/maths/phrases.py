"""What the families ask, from phrases.yaml."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

import yaml

__all__ = ["phrase", "section"]


@lru_cache(maxsize=1)
def _phrases() -> Mapping[str, Any]:
    return cast(Mapping[str, Any], yaml.safe_load(files(__package__).joinpath("phrases.yaml").read_text("utf-8")))


def section(name: str) -> Mapping[str, Mapping[str, str]]:
    """Texts of a section, by name and language."""
    return cast(Mapping[str, Mapping[str, str]], _phrases()[name])


def phrase(name: str, language: str, part: str = "") -> str:
    """A text in one language: the only one of its section, or the one called `part`."""
    found = _phrases()[name]
    return str((found[part] if part else found)[language])
