"""Who the users are: how often which style and language, how patient, and how prone to slips.

A persona decides how a user speaks and what it bears. What it knows stays the ledger's; an error-prone user says a wrong
value first, so that the agent learns from its tools that something is wrong, and asks again.
"""

import math
import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from simulators.users.voice import LANGUAGES, STYLES
from trajectories.tasks import Fact, Persona

__all__ = ["PersonaMix", "draw_persona", "with_slips"]

_PLAINEST: Final = ("plain", "polite", "terse", "chatty")


@dataclass(frozen=True)
class PersonaMix:
    """From which personas are drawn; the default are English speakers in the four plainest styles, without patience or
    slips.

    Raises:
        ValueError: naming the key.
    """

    styles: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(STYLES, 0.0) | dict.fromkeys(_PLAINEST, 1.0))
    """Weight by style: plain, polite, terse, chatty, formal, anxious, impatient, non_native."""
    languages: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(LANGUAGES, 0.0) | {"en": 1.0})
    """Weight by language: en, zh."""
    least_patience: int = 0
    """Questions without an answer that every user bears."""
    most_patience: int = 0
    """Questions without an answer that the most patient user bears; drawn evenly from the least."""
    error_prone: float = 0.0
    """Probability that a withheld value is said wrongly the first time."""

    def __post_init__(self) -> None:
        _check_weights("styles", self.styles, STYLES)
        _check_weights("languages", self.languages, LANGUAGES)
        if self.least_patience < 0:
            raise ValueError(f"least_patience: is at least 0, not {self.least_patience}")
        if self.most_patience < self.least_patience:
            raise ValueError(f"most_patience: is at least least_patience={self.least_patience}, not {self.most_patience}")
        if not 0 <= self.error_prone <= 1:
            raise ValueError(f"error_prone: is a probability from 0 to 1, not {self.error_prone}")


def draw_persona(mix: PersonaMix, rng: random.Random) -> Persona:
    """A persona from the mix, named after its style and, unless that is English, its language.

    Every draw takes as many numbers from `rng`, so that what is drawn after it does not depend on it. A user who speaks
    impatiently has the least patience.
    """
    # In the order in which they are known: that in which a config names them changes nothing.
    style = rng.choices(STYLES, [mix.styles.get(name, 0.0) for name in STYLES])[0]
    language = rng.choices(LANGUAGES, [mix.languages.get(name, 0.0) for name in LANGUAGES])[0]
    bears = mix.least_patience + int(rng.random() * (mix.most_patience - mix.least_patience + 1))
    patience = mix.least_patience if style == "impatient" else bears
    return Persona(style if language == "en" else f"{style}_{language}", style, language, patience)


def with_slips(fact: Fact, others: Collection[str], rng: random.Random) -> Fact:
    """`fact` with one slip: its answer with two neighbouring digits of the value swapped, or one digit changed.

    The wrong value has the form of the right one: as many digits, and none of them leads with a 0 where that one does not.

    Args:
        others: values that the wrong one must not be, because they exist: the tool would take it for right.

    Raises:
        ValueError: naming the slot, when `fact` is no value, its answer does not hold its value, or no wrong value is left.
    """
    if fact.kind != "value" or fact.value not in fact.answer:
        raise ValueError(f"fact {fact.slot}: only a value that its answer holds can be garbled")
    taken = {fact.value, *others}
    swapped = sorted(set(_swapped(fact.value)) - taken)
    changed = sorted(set(_changed(fact.value)) - taken)
    ways = [way for way in (swapped, changed) if way]
    if not ways:
        raise ValueError(f"fact {fact.slot}: no wrong value like {fact.value!r} is left")
    wrong = rng.choice(rng.choice(ways))
    return replace(fact, slips=(*fact.slips, fact.answer.replace(fact.value, wrong)))


def _swapped(value: str) -> Iterator[str]:
    for at in range(len(value) - 1):
        left, right = value[at], value[at + 1]
        if _is_digit(left) and _is_digit(right) and not (right == "0" and _leads(value, at)):
            yield f"{value[:at]}{right}{left}{value[at + 2 :]}"


def _changed(value: str) -> Iterator[str]:
    for at, old in enumerate(value):
        if _is_digit(old):
            digits = "123456789" if _leads(value, at) and old != "0" else "0123456789"
            yield from (f"{value[:at]}{new}{value[at + 1 :]}" for new in digits)


def _leads(value: str, at: int) -> bool:
    """Whether no digit stands before this one."""
    return at == 0 or not _is_digit(value[at - 1])


def _is_digit(character: str) -> bool:
    return character.isascii() and character.isdigit()


def _check_weights(key: str, weights: Mapping[str, float], known: Collection[str]) -> None:
    for name, weight in weights.items():
        if name not in known:
            raise ValueError(f"{key}.{name}: there is none; there are {', '.join(known)}")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"{key}.{name}: is a finite weight of at least 0, not {weight}")
    if not any(weights.values()):
        raise ValueError(f"{key}: at least one of {', '.join(known)} has a weight above 0")
