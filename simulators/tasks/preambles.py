"""System prompts for agents, composed of parts: a role at a company, a tone, a length, house rules, and a page for them.

The parts (``prompts.yaml``) hold for every world and every task: they say who the agent is and how it writes, never what
is right, so a preamble changes no verdict. English has 32 roles and Chinese 18; with everything else that is drawn, two
agents hardly ever have the same prompt.
"""

import random
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

import yaml

__all__ = ["LANGUAGES", "Language", "draw_preamble"]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

MOST_RULES = 4
"""House rules of one preamble."""


def draw_preamble(title: str, language: Language, rng: random.Random) -> tuple[str, str]:
    """The name of a role, and a system prompt for it.

    Args:
        title: the world's.
    """
    parts = _parts()[language]
    company = parts["joiner"].join(rng.choice(parts[part]) for part in ("first", "second"))
    role = rng.choice(list(parts["roles"]))
    page = rng.choice(parts["pages"])
    rules = rng.sample(parts["rules"], rng.randint(1, MOST_RULES))
    tone, length = rng.choice(parts["tones"]), rng.choice(parts["lengths"])
    return role, page["text"].format(
        role=parts["roles"][role].format(company=company, title=title),
        tone=tone,
        length=length,
        rules=page.get("between", "").join(page.get("rule", "").format(rule=rule) for rule in rules),
    )


@lru_cache(maxsize=1)
def _parts() -> dict[str, Any]:
    parts: dict[str, Any] = yaml.safe_load(files("simulators.tasks").joinpath("prompts.yaml").read_text("utf-8"))
    return parts
