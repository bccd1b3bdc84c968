"""Names in English and Chinese for things that do not exist: both spell the same syllables, and no two things share one.

A stem is used once, so that a name gives away nothing about other things. Near-namesakes are made on purpose: persons with the
same family name and first names that look alike, companies and institutions that share a stem.
"""

import random
import re
from typing import Final

from simulators.tasks.search.schema import lexicon

__all__ = ["ALIKE", "Name", "Namer"]

Name = tuple[str, str]
"""English and Chinese."""

_WORDS: Final = lexicon("names")

ALIKE: Final[tuple[tuple[Name, Name], ...]] = tuple(((one[0], one[1]), (other[0], other[1])) for one, other in _WORDS["alike"])
"""First names in pairs that are easily taken for each other."""

_UNFIT: Final = re.compile("(?i)nig|rape|^(fe)?male$|^(dago|homo|pedo|sado)")
"""Stems that would be words."""


class Namer:
    """Gives out names, each once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._given: set[str] = set()
        self._titles = [(adjective, noun) for adjective in _WORDS["adjectives"] for noun in _WORDS["nouns"]]
        rng.shuffle(self._titles)

    def stem(self) -> Name:
        """Two or three syllables, as ``("Varelin", "瓦瑞利恩")``."""
        while True:
            syllables = self._rng.sample(list(_WORDS["syllables"]), self._rng.choice((2, 3, 3)))
            ending = self._rng.choice(list(_WORDS["endings"]))
            english = ("".join(syllables) + ending).capitalize()
            chinese = "".join(_WORDS["syllables"][part] for part in syllables) + _WORDS["endings"][ending]
            if self._given.isdisjoint((english, chinese)) and not _UNFIT.search(english):
                self._given |= {english, chinese}
                return english, chinese

    def title(self) -> Name:
        """Of a work, as ``("The Silent Orchard", "《寂静的果园》")``."""
        (adjective, adjective_zh), (noun, noun_zh) = self._titles.pop()
        return f"The {adjective} {noun}", f"《{adjective_zh}的{noun_zh}》"
