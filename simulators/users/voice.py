"""How a user puts its decisions into words: the ledger's own words, led in by the persona's style.

``voice.yaml`` holds what the user says beside its ledger, in every language. A style that is not there speaks plainly; a
language that is not there is an error.
"""

import random
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from simulators.users.ledger import Decision
from trajectories.tasks import Persona

__all__ = ["LANGUAGES", "STYLES", "not_known", "not_understood", "require_language", "speak"]


@lru_cache(maxsize=1)
def _voices() -> dict[str, Any]:
    voices: dict[str, Any] = yaml.safe_load(files("simulators.users").joinpath("voice.yaml").read_text("utf-8"))
    return voices


LANGUAGES: tuple[str, ...] = tuple(_voices())
"""The languages that users speak."""
STYLES: tuple[str, ...] = tuple(_voices()["en"]["lead_ins"])
"""The styles that users speak in, in every language."""


def speak(decision: Decision, persona: Persona, rng: random.Random) -> str:
    """The words of a decision that is not to leave."""
    match decision.act:
        case "not_understood":
            return not_understood(rng, persona.language)
        case "not_known":
            return not_known(rng, persona.language)
        case "follow_up":
            return decision.texts[0]
    voice = _voices()[persona.language]
    words = str(voice["joint"].join(decision.texts))
    if decision.act == "confirm":  # "Sure. No, ..." would say both
        return words
    return str(rng.choice(voice["lead_ins"].get(persona.style, [""]))) + words


def not_understood(rng: random.Random, language: str = "en") -> str:
    """Says that it does not see what it is to confirm."""
    return str(rng.choice(_voices()[require_language(language)]["not_understood"]))


def not_known(rng: random.Random, language: str = "en") -> str:
    """Says that it cannot answer what it was asked."""
    return str(rng.choice(_voices()[require_language(language)]["not_known"]))


def require_language(language: str) -> str:
    """`language`.

    Raises:
        ValueError: when nobody here speaks it.
    """
    if language not in LANGUAGES:
        raise ValueError(f"persona.language: nobody speaks {language!r}; there are: {', '.join(LANGUAGES)}")
    return language
