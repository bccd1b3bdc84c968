"""Replies that want the reward without the work, made from what the oracle wrote."""

import re
from collections.abc import Mapping, Sequence

from simulators.tasks.instructions.breaking import BREAKERS, broken, with_more
from simulators.tasks.instructions.cards import Card, Fact
from simulators.tasks.instructions.compose import Written
from simulators.tasks.instructions.speaking import Speaker
from trajectories.seeds import derive_rng

__all__ = ["CHEATS", "cheating_replies"]

CHEATS = (
    "spray", "claim_compliance", "stuffing", "copy_prompt", "filler", "wrong_language", "hidden_comment", "zero_width",
    "homoglyphs", "swapped_facts", "negated_fact", "whole_card", "no_facts", "meta", "ignore_follow_up", "skip_first_turn",
    *(f"drop_{kind}" for kind in BREAKERS),
)  # fmt: skip
"""Names; a task has those that mean something for it."""


_LOOKALIKES = str.maketrans("aoeAOE人山水日月一大小子口木手老", "аоеАОЕ⼈⼭⽔⽇⽉⼀⼤⼩⼦⼝⽊⼿⽼")


def cheating_replies(
    written: Written, card: Card, told: Sequence[Fact], prompt: str, other: str, language: str, voice: int
) -> Mapping[str, str]:
    """By name: last replies that must fail.

    Args:
        other: what the oracle writes in the other language.
    """
    speaker = Speaker(card, language, derive_rng(voice, "cheat", language))
    text, name = written.text, card.name
    words = [*written.words, *(fact.value for fact in told)]
    claim = speaker.words["broken"]["claim"]
    found = {
        "spray": " ".join([name, *words, *(fact.label for fact in told), *speaker.words["titles"]]),
        "claim_compliance": with_more(text, claim),
        "stuffing": with_more(text, ", ".join([*words, *words])),
        "copy_prompt": f"{text}\n\n{prompt}",
        "filler": with_more(text, " ".join([speaker.finished(speaker.scene())] * 3)),
        "wrong_language": other,
        "hidden_comment": f"{text}\n<!-- {' '.join(words)} -->",
        "zero_width": re.sub(r"(\w)(\w)", "\\1\u200b\\2", text, count=3),
        "homoglyphs": text.translate(_LOOKALIKES),
        "whole_card": f"{text}\n{card.lines('name')}",
        "meta": claim,
        "no_facts": " ".join(speaker.finished(speaker.scene()) for _ in range(6)),
    }
    if (swapped := _swapped(text, told)) != text:
        found["swapped_facts"] = swapped
    if not text.startswith("{"):
        value = told[-1].value
        denied = speaker.words["broken"]["negate"].format(value=value)
        found["negated_fact"] = re.sub(re.escape(value), denied, text, flags=re.IGNORECASE)
    for constraint in written.constraints:
        speaker = Speaker(card, language, derive_rng(voice, "break", constraint["kind"], language))
        found[f"drop_{constraint['kind']}"] = broken(text, constraint, speaker)
    return {key: value for key, value in found.items() if value != text}


def _swapped(text: str, told: Sequence[Fact]) -> str:
    """The values of two facts exchanged."""
    first, second = told[0].value, told[1].value
    pattern = re.compile(f"{re.escape(first)}|{re.escape(second)}", re.IGNORECASE)
    return pattern.sub(lambda found: second if found[0].casefold() == first.casefold() else first, text)
