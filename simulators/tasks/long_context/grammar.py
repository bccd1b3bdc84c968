"""Prose by a grammar, and names for facts: as much text as is asked for, one sentence at a time."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["Names", "names_of", "prose", "vocabulary"]

_FOLDER: Final = Path(__file__).parent
_VOWELS: Final = frozenset("aeiou")

Rule = tuple[tuple[Any, ...], ...]
"""Alternatives, each a tuple of literal texts (str) and of further rules (list holding one `Rule`, so that rules may be
named before they are made)."""


def prose(language: str, rng: random.Random) -> Iterator[str]:
    """Sentences without end; they hold no digits, and none of `names_of`."""
    rule, draw = _grammar(language), rng.random
    while True:
        text = _expand(rule, draw)
        yield text[0].upper() + text[1:]


def _expand(rule: list[Rule], draw: Callable[[], float]) -> str:
    alternatives = rule[0]
    parts = alternatives[int(draw() * len(alternatives))]
    if len(parts) == 1 and type(parts[0]) is str:
        return parts[0]
    return "".join([part if type(part) is str else _expand(part, draw) for part in parts])


@lru_cache
def _grammar(language: str) -> list[Rule]:
    data = _file(f"prose.{language}.yaml")
    words = {name: text.split() for name, text in data["words"].items()}
    words |= {f"an_{name}": [_with_article(word) for word in leaves] for name, leaves in words.items()}
    slots: dict[str, list[Rule]] = {name: [tuple((word,) for word in leaves)] for name, leaves in words.items()}
    slots |= {name: [] for name in data["rules"]}
    for name, templates in data["rules"].items():
        slots[name].append(tuple(_parts(template, slots) for template in templates))
    return slots["sentence"]


def _parts(template: str, slots: Mapping[str, list[Rule]]) -> tuple[Any, ...]:
    parts: list[Any] = []
    for index, piece in enumerate(template.replace("}", "{").split("{")):
        if index % 2:
            parts.append(slots[piece])
        elif piece:
            parts.append(piece)
    return tuple(parts)


def _with_article(word: str) -> str:
    return f"an {word}" if word[0] in _VOWELS else f"a {word}"


def vocabulary(language: str) -> frozenset[str]:
    """The words of the prose."""
    return frozenset(word for text in _file(f"prose.{language}.yaml")["words"].values() for word in text.split())


@lru_cache
def _file(name: str) -> Any:
    return yaml.safe_load((_FOLDER / name).read_text(encoding="utf-8"))


class Names:
    """Draws names that differ from each other; none is part of another."""

    def __init__(self, language: str, words: Mapping[str, Sequence[str]]) -> None:
        self.language, self.words = language, words
        self._space = " " if language == "en" else ""

    def persons(self, count: int, rng: random.Random) -> list[str]:
        if self.language == "en":
            return rng.sample(self.words["person"], count)
        given = rng.sample(self.words["given"], min(count, len(self.words["given"])))
        found: dict[str, None] = {rng.choice(self.words["surname"]) + name: None for name in given}
        while len(found) < count:
            found[rng.choice(self.words["surname"]) + rng.choice(self.words["given"])] = None
        return list(found)

    def towns(self, count: int, rng: random.Random) -> list[str]:
        """About every second one begins like the one before it, so that names are near each other."""
        return self._pairs("town_first", "town_last", "", count, rng)

    def objects(self, count: int, rng: random.Random) -> list[str]:
        return self._pairs("material", "object", self._space, count, rng)

    def containers(self, count: int, rng: random.Random) -> list[str]:
        return self._pairs("material", "container", self._space, count, rng)

    def _pairs(self, first: str, last: str, between: str, count: int, rng: random.Random) -> list[str]:
        firsts, lasts = self.words[first], self.words[last]
        if count > len(firsts) * len(lasts):
            raise ValueError(f"there are {len(firsts) * len(lasts)} names of {first} and {last}, not {count}")
        found: dict[str, None] = {}
        begin = rng.choice(firsts)
        while len(found) < count:
            found[begin + between + rng.choice(lasts)] = None
            if rng.random() < 0.5:
                begin = rng.choice(firsts)
        return list(found)


@lru_cache
def names_of(language: str) -> Names:
    data = _file("names.yaml")[language]
    return Names(language, {name: text.split(";" if name == "label" else None) for name, text in data.items()})
