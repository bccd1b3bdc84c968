"""The domain of maths: its own families, in English and Chinese, and those of reasoning-gym."""

import random
from collections.abc import Mapping
from typing import Final

from simulators.playable import PLAIN, Playable
from simulators.tasks.domains.protocol import Draft, Problem
from simulators.tasks.maths.algebra import ALGEBRA
from simulators.tasks.maths.boards import BOARDS
from simulators.tasks.maths.cheats import CHEATS, cheats
from simulators.tasks.maths.cryptarithms import CRYPTARITHMS
from simulators.tasks.maths.family import Family
from simulators.tasks.maths.forms import closing
from simulators.tasks.maths.library import LIBRARY
from simulators.tasks.maths.morse import CODES
from simulators.tasks.maths.numbers import NUMBERS
from simulators.tasks.maths.riddles import RIDDLES
from simulators.tasks.maths.stem import STEM
from simulators.tasks.maths.tables import TABLES
from simulators.tasks.maths.targets import TARGETS

__all__ = ["DOMAIN", "FAMILIES", "MathsDomain"]

FAMILIES: Final[Mapping[str, Family]] = {
    **TABLES, **TARGETS, **BOARDS, **CRYPTARITHMS, **CODES, **RIDDLES, **STEM, **ALGEBRA, **NUMBERS, **LIBRARY,
}  # fmt: skip

_MARK: Final = {"en": "Answer: ", "zh": "答案："}


class MathsDomain:
    """See `simulators.tasks.domains.protocol.Domain`."""

    name = "maths"
    about = "Maths, STEM and logic with one right answer, or with any answer that keeps the rules"
    families: Mapping[str, str] = {name: family.about for name, family in FAMILIES.items()}
    levels = 3
    languages = ("en", "zh")
    cheats = CHEATS

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        return FAMILIES[family].draw(level, rng)

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        question = FAMILIES[family].put(problem, language)
        return Draft(
            prompt=f"{question.text}\n\n{closing(question.key, question.form, language)}",
            reply=_MARK[language] + question.answer,
            key=question.key,
            tags=FAMILIES[family].tags,
            cheats=cheats(question.answer, question.key, language),
        )

    def world(self) -> Playable:
        """No draft of this domain has tools."""
        return PLAIN


DOMAIN: Final = MathsDomain()
