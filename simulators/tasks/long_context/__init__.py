"""Long context: questions about texts of 1,000 to 2,000,000 characters, whose answer stands there and nowhere else.

A problem is a nonce, a kind of question and a depth; the text is streamed from it when it is rendered. The page is
docs/gym/long_context.md.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulators.playable import PLAIN, Playable
from simulators.tasks.domains.protocol import Draft, Problem
from simulators.tasks.long_context.aggregation import aggregation
from simulators.tasks.long_context.bugs import bug
from simulators.tasks.long_context.chains import chain
from simulators.tasks.long_context.dialogue import dialogue
from simulators.tasks.long_context.key_values import key_value
from simulators.tasks.long_context.material import Material, Setting
from simulators.tasks.long_context.moving import moved
from simulators.tasks.long_context.needles import conflict, numbers, passkey
from simulators.tasks.long_context.novel import novel
from simulators.tasks.long_context.ordering import order_of_events
from simulators.tasks.long_context.running import run_code
from simulators.tasks.long_context.tokens import count_tokens
from trajectories.answers import ASK, MOST_CHARACTERS
from trajectories.seeds import derive_rng

__all__ = ["CHARACTERS", "DOMAIN", "LongContextDomain", "count_tokens"]

CHARACTERS: Final = (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 2_000_000)
"""Of the document, at least, by level from 1 on."""

_DEPTHS: Final = 9
"""Tenths of the document in which a decisive fact may stand: not the last, or its reader would have read enough."""


@dataclass(frozen=True, slots=True)
class _Family:
    about: str
    make: Callable[[Setting], Material]
    kinds: tuple[str, ...] = ("one",)
    later: tuple[str, ...] = ()
    """Kinds from level 3 on."""
    intro: tuple[str, str] = ("Read the text below; a question follows it.", "请阅读下面的文字，后面有一个问题。")
    """English and Chinese."""


_MODULE = ("Read the Python module below; a question follows it.", "请阅读下面的 Python 代码，后面有一个问题。")
_FAMILIES: Final[Mapping[str, _Family]] = {
    "passkey": _Family("one number of a place, among the numbers of others", passkey),
    "numbers": _Family("several numbers of places, in the order of the question", numbers),
    "key_value": _Family(
        "values of some keys of a long JSON object of UUIDs, with keys that differ in one digit",
        key_value,
        intro=("Read the JSON object below; a question follows it.", "请阅读下面的 JSON 对象，后面有一个问题。"),
    ),
    "conflict": _Family("a number that is corrected later, in the text or by its date", conflict, ("later", "dated")),
    "chain": _Family("numbers told by way of other numbers, over several hops", chain, ("value", "names")),
    "moved": _Family("where things are in the end that lie in boxes which are carried about", moved),
    "aggregation": _Family(
        "sums, counts, the most common and the largest of scattered records", aggregation, ("sum", "count", "most", "largest")
    ),
    "find_bug": _Family("the one wrong token of a long module: function, line, and what should stand there", bug, intro=_MODULE),
    "run_code": _Family("what a long program prints", run_code, ("calls", "assignments"), intro=_MODULE),
    "dialogue": _Family(
        "who said what, who spoke next, and what was the price, in a long conversation",
        dialogue,
        ("who", "next", "price"),
        intro=("Read the conversation below; a question follows it.", "请阅读下面的对话，后面有一个问题。"),
    ),
    "order": _Family("the order of events, as told or by their dates", order_of_events, ("told", "dated")),
    "novel": _Family(
        "how things stood at the end of a chapter of a novel, whose hands a thing went through, what came first",
        novel,
        ("where", "pupil", "thing", "whose", "hands", "journey"),
        later=("chapters",),
        intro=("Read the novel below; a question follows it.", "请阅读下面的小说，后面有一个问题。"),
    ),
}


class LongContextDomain:
    """The domain ``long_context``; levels are lengths."""

    name = "long_context"
    about = "questions about texts of 1,000 to 2,000,000 characters"
    families: Mapping[str, str] = {name: family.about for name, family in _FAMILIES.items()}
    levels = len(CHARACTERS)
    languages: tuple[str, ...] = ("en", "zh")
    cheats: tuple[str, ...] = (
        "no_reading", "first_seen", "last_seen", "most_frequent", "stale", "distractor", "wrong_hop", "off_by_one", "tail_only",
        "partial", "reversed", "spray", "spray_lines",
    )  # fmt: skip

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        """Kind, depth in tenths, length and a nonce below 2**53."""
        made = _FAMILIES[family]
        kinds = made.kinds + (made.later if level >= 3 else ())
        return {
            "characters": CHARACTERS[level - 1],
            "kind": rng.choice(kinds),
            "depth": rng.randrange(_DEPTHS),
            "nonce": rng.getrandbits(53),
        }

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        made = _FAMILIES[family]
        rng = derive_rng(problem["nonce"], "long_context", family, problem["kind"], level, language)
        setting = Setting(language, level, problem["characters"], problem["kind"], problem["depth"], rng)
        material = made.make(setting)
        intro, ask = made.intro[language == "zh"], ASK[language]
        prompt = f"{intro}\n\n{material.document}\n\n{material.question}\n{ask}"
        right = [part.value for part in material.parts]
        earliest, total = min(material.decisive), len(material.document)
        return Draft(
            prompt=prompt,
            reply=_answer(right, language),
            key={
                "parts": [{"form": part.form, "value": part.value} for part in material.parts],
                "ordered": material.ordered,
                "characters": len(prompt),
            },
            tags=(f"kind:{problem['kind']}", f"characters:{problem['characters']}", f"depth:{10 * earliest // total}"),
            cheats={name: _answer(cheat, language) for name, cheat in material.cheats.items()} | _sprays(material, language),
        )

    def world(self) -> Playable:
        return PLAIN


def _answer(parts: Sequence[str], language: str) -> str:
    return f"答案：{'、'.join(parts)}" if language == "zh" else f"Answer: {', '.join(parts)}"


def _sprays(material: Material, language: str) -> dict[str, str]:
    """Too much, too little, and the wrong way round."""
    right = [part.value for part in material.parts]
    candidates = list(dict.fromkeys([*right, *material.spray]))
    line = list(right)
    for candidate in candidates[len(right) :]:
        if len(", ".join([*line, candidate])) < MOST_CHARACTERS - 20:
            line.append(candidate)
    cheats = {
        "spray": _answer(line if len(line) > len(right) else right * 2, language),
        "spray_lines": "\n".join(_answer(parts, language) for parts in [*([candidate] for candidate in line), right]),
    }
    if len(right) > 1:
        cheats["partial"] = _answer(right[:-1], language)
    if material.ordered and right != right[::-1]:
        cheats["reversed"] = _answer(right[::-1], language)
    return cheats


DOMAIN: Final = LongContextDomain()
