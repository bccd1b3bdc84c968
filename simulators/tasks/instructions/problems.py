"""Problems of every family: a card, which of its facts are told, what is asked for, and what the user asks for later."""

import random
from collections.abc import Mapping
from typing import Any, Final

from simulators.tasks.instructions.asking import ALLOWED, compatible, draw_ask, draw_extras, needed
from simulators.tasks.instructions.cards import draw_card, lexicon

__all__ = ["FAMILIES", "draw_problem"]

Ask = dict[str, Any]

FAMILIES: Final[Mapping[str, str]] = {
    "paragraphs": "so many paragraphs, parted as asked, with sentences counted in each",
    "bullets": "a list with so many bullets of one kind",
    "numbered": "a numbered list of so many items",
    "sections": "headings that are given, in their order, with text under each",
    "table": "a markdown table with given columns and so many rows",
    "json": "one JSON object that fits a schema",
    "acrostic": "lines whose first letters spell a word",
    "sorted": "a list in the order of the alphabet or of length",
    "counting": "words, sentences, characters and letters counted at once",
    "keywords": "words that must, must not, and must so often stand there, in order or in a given sentence",
    "script": "letters' case and punctuation restricted",
    "framing": "how the reply begins and ends: phrases, a copied line, a title, quotation marks, a postscript",
    "crossing": "instructions in one language for a reply in another",
    "added_later": "the user comes back and asks for more",
    "changed_later": "the user comes back and wants other facts and numbers",
    "revoked_later": "the user comes back and takes one wish back",
}

_STABLE: Final = ("words", "include", "exclude", "highlights", "placeholders", "title", "postscript", "no_commas", "fence")
"""Kinds that mean the same before and after a follow-up."""
_ADDABLE: Final = ("include", "highlights", "placeholders", "title", "postscript", "fence")
"""Kinds that a reply does not satisfy by chance."""
_REVOCABLE: Final = ("highlights", "placeholders", "title", "postscript", "fence")
_FORMS: Final = ("paragraphs", "bullets", "numbered", "sections", "prose")


def draw_problem(family: str, level: int, rng: random.Random) -> dict[str, Any]:
    """``card, told, asks, later, cross, say, voice``: numbers, kinds and places in the lexicon."""
    facts = {1: 2, 2: rng.randint(2, 3), 3: 3, 4: rng.randint(3, 4), 5: rng.randint(4, 5)}[level]
    if family == "acrostic":
        facts = min(facts, 2 + (level > 2))
    card = draw_card(facts + rng.randint(2, 3), rng)
    told = rng.sample(range(len(card["facts"])), facts)
    problem: dict[str, Any] = {"card": card, "told": told, "later": {}, "cross": int(family == "crossing")}
    if family.endswith("_later"):
        problem |= _with_follow_up(family, level, problem, rng)
    else:
        problem["asks"] = _asks(family, level, facts, rng)
    return problem | {"say": rng.randrange(60), "voice": rng.getrandbits(40)}


def _asks(family: str, level: int, facts: int, rng: random.Random) -> list[Ask]:
    match family:
        case "counting":
            form, first = (
                _form(rng.choice(("prose", "paragraphs")), level, rng),
                [rng.choice(("words", "characters")), "sentences"],
            )
            extras = draw_extras(form["kind"], level + 1, max(level, 3 if level > 1 else 1), rng, first=first)
        case "keywords":
            form, first = _form(rng.choice(("prose", "paragraphs")), level, rng), [rng.choice(("include", "order")), "exclude"]
            first += [rng.choice(("frequency", "nth_sentence"))] * (level > 1)
            extras = draw_extras(form["kind"], max(level, len(first)), level, rng, first=first)
        case "script":
            form = _form(rng.choice(("prose", "paragraphs", "bullets")), level, rng)
            punctuation = "no_commas" if form["kind"] == "bullets" else rng.choice(("no_commas", "punctuation"))
            extras = draw_extras(form["kind"], level + 1, level, rng, first=["casing", punctuation])
        case "framing":
            form = _form("prose", level, rng)
            opening = rng.choice(("begins", "first_word", "repeat", "title"))
            extras = draw_extras("prose", level + 1, level, rng, first=[opening, rng.choice(("ends", "last_word", "postscript"))])
        case "sorted":
            style: Ask = _form(rng.choice(("bullets", "numbered")), level, rng)
            form = {
                "kind": "sorted",
                "say": rng.randrange(60),
                "by": rng.randrange(2),
                "down": rng.randrange(2),
                "pad": rng.randint(1, 3),
            }
            extras = [style, *draw_extras("sorted", level, level, rng)]
        case "crossing":
            form = _form(rng.choice(("prose", "paragraphs", "bullets", "numbered", "sections", "table")), level, rng)
            extras = draw_extras(form["kind"], level, level, rng)
        case _:
            form = _form(family, level, rng)
            extras = draw_extras(form["kind"], level, level, rng)
    if form["kind"] == "paragraphs" and any(ask["kind"] in ("punctuation", "characters") for ask in extras):
        form["mark"] = 0  # a line of marks would be counted or forbidden
    return [form, *extras]


def _form(kind: str, level: int, rng: random.Random) -> Ask:
    ask: Ask = {"kind": kind, "say": rng.randrange(60), "pad": rng.randint(0, 3)}
    match kind:
        case "paragraphs":
            return ask | {"n": rng.randint(2, 3 + level // 3), "mark": rng.choice((0, 0, 1, 2, 3))}
        case "bullets":
            return ask | {"mark": rng.randrange(3)}
        case "sections":
            titles = rng.sample(range(len(lexicon("en")["titles"])), rng.randint(2, 2 + (level + 1) // 2))
            return ask | {"titles": titles, "mark": rng.randrange(2)}
        case "table":
            return ask | {"columns": 3 + (level > 2)}
        case "acrostic":
            letters = 4 + (level > 2) + (level > 4)
            return ask | {"letters": letters, "index": rng.randrange(len(lexicon("en")["acrostics"][str(letters)]))}
        case "json":
            parts = rng.sample(("tags", "nested", "visit", "helpers"), level - 1)
            return ask | {"parts": sorted(parts), "lines": rng.randint(1, 2 + level), "voice": rng.getrandbits(32)}
        case "prose":
            return ask | {"pad": rng.randint(1, 4)}
    return ask


def _with_follow_up(family: str, level: int, problem: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Asks of both turns; forms have a size that holds what comes later, too."""
    facts, told = len(problem["told"]), problem["told"]
    form = _form(rng.choice(_FORMS[:4] if family == "changed_later" else _FORMS), level, rng)
    kinds = [kind for kind in _STABLE if form["kind"] != "sections" or kind not in ("title", "fence")]
    revocable = [
        kind for kind in _REVOCABLE if kind in kinds and not (form["kind"] == "paragraphs" and kind in ("title", "postscript"))
    ]
    first = [rng.choice(revocable)] if family == "revoked_later" else []
    if family == "added_later":  # something must be left to add
        held = rng.choice([kind for kind in revocable if kind in ALLOWED[form["kind"]]])
        kinds = [kind for kind in kinds if kind != held and compatible(kind, held)]
    base = draw_extras(form["kind"], level, level, rng, first=first, only=kinds)
    later: dict[str, Any] = {"how": family, "say": rng.randrange(60)}
    extra: list[Ask] = []
    if family == "added_later":
        extra = _added(form["kind"], base, 1 + (level > 3), level, rng, held)
        later["asks"] = extra
    elif family == "changed_later":
        left = [at for at in range(len(problem["card"]["facts"])) if at not in told]
        swaps = 1 + (level > 3)
        later |= {"drop": rng.sample(told, swaps), "take": rng.sample(left, swaps)}
        later["more"] = int(level > 2 and form["kind"] in ("bullets", "numbered", "paragraphs"))
    else:
        later["revoke"] = first[0]
    form["size"] = needed([*base, *extra], facts) + int(form.pop("pad"))
    return {"asks": [form, *base], "later": later}


def _added(form: str, base: list[Ask], count: int, level: int, rng: random.Random, held: str) -> list[Ask]:
    """Asks that come on top of `base`, one of kind `held` first; each is one that the first reply did not satisfy."""
    used = [at for ask in base for at in ask.get("keywords", ())]
    have = [form, *(ask["kind"] for ask in base)]
    chosen: list[Ask] = []
    for kind in (held, *rng.sample(_ADDABLE, len(_ADDABLE))):
        fits = kind in ALLOWED[form] and kind not in have and all(compatible(kind, other) for other in have)
        if fits and len(chosen) < count:
            chosen.append(draw_ask(kind, form, level, rng, used))
            have.append(kind)
    return chosen
