"""What a message asks a user for: the one reading of it that the simulated user and the attribution of failures share.

A question holds a question mark, or asks for the user's word in so many words ("please confirm that ..."). It asks for a
fact when it holds one of the fact's keywords, and for nothing when it only offers more help. Nobody guesses at meanings, so
that what was asked for is beyond dispute.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from trajectories.tasks import Fact

__all__ = ["asked_for", "hands_over", "is_question", "value_in"]

_MARKS: Final = "?？"
_OFFERS: Final = (
    r"\b(any|some)thing (else|more|further)\b", r"\bwhat else\b.*\bdo for you\b", r"\b(is|will) that( be)? all\b",
    r"\b(further|more) (help|assistance)\b",
    "还有(什么|其他|其它|别的|需要)", "还需要(什么|其他|其它|别的|我)", "(其他|其它|别的)(需要|事|问题)",
)  # fmt: skip
"""Of more help: polite ways to be done, in all languages."""
_WITHOUT_SPACES: Final = ("zh",)
"""Languages whose words have no boundaries."""


_DEMANDS: Final = re.compile(
    r"\b(please|kindly|i need you to|you (have|need) to|you must)\b[^.!?]*\b(confirm|reply|answer|say (yes|no))\b"
    "|请[^。！？]*(确认|回复|答复|回答)",
    re.IGNORECASE,
)
"""Questions that are put as requests."""


def is_question(text: str) -> bool:
    return any(mark in text for mark in _MARKS) or _DEMANDS.search(text) is not None


def asked_for(text: str, facts: Sequence[Fact], language: str) -> tuple[int, ...]:
    """The positions of the facts that `text` asks for; none unless it is a question.

    Args:
        language: the user's. A keyword counts as a whole word; where words have no boundaries, it counts anywhere, and one
            in Latin letters counts beside other characters too.
    """
    if not is_question(text):
        return ()
    found = (_any_of(fact.keywords, language in _WITHOUT_SPACES).search(text) is not None for fact in facts)
    return tuple(position for position, asked in enumerate(found) if asked)


def hands_over(text: str) -> bool:
    """Whether it is the user's turn to say what it wants: `text` asks nothing, or whether there is anything else."""
    return not is_question(text) or any(re.search(offer, text, re.IGNORECASE | re.DOTALL) for offer in _OFFERS)


def value_in(fact: Fact, text: str) -> str:
    """The value in one of the fact's texts: in a slip, what stands in the place of the right one; if nothing does, all of it."""
    if text == fact.answer:
        return fact.value
    start, *rest = map(re.escape, fact.answer.split(fact.value))
    place = re.fullmatch(start + r"(.+?)" + r"\1".join(rest), text, re.DOTALL) if rest else None
    return place[1] if place else text


@lru_cache(maxsize=1024)
def _any_of(keywords: tuple[str, ...], anywhere: bool) -> re.Pattern[str]:
    """A pattern that finds one of the keywords; of none, it finds nothing."""
    words = (_found(re.escape(word), word.isascii(), anywhere) for word in keywords)
    return re.compile("|".join(words) or r"(?!)", re.IGNORECASE)


def _found(word: str, latin: bool, anywhere: bool) -> str:
    if not anywhere:
        return rf"\b{word}\b"
    return rf"(?a:\b{word}\b)" if latin else word
