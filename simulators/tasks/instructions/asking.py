"""Which constraints are asked for together: an outer form, and others that neither contradict it nor each other.

`ALLOWED` says what goes with a form, `GROUPS` of what there is at most one, `CONFLICTS` which pairs never meet. Levels count: as
many constraints come on top of the form as the level says, bounds grow tighter, and facts more.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulators.tasks.instructions.cards import lexicon

__all__ = ["ALLOWED", "CONFLICTS", "GROUPS", "compatible", "draw_ask", "draw_extras", "needed"]

Ask = dict[str, Any]

_ANY: Final = ("words", "include", "order", "exclude", "frequency", "letter", "casing", "no_commas", "title", "last_word")
_PROSE: Final = (
    *_ANY, "sentences", "characters", "longest_sentence", "nth_sentence", "begins", "ends", "first_word", "repeat", "postscript",
    "distinct_starts", "punctuation", "quoted", "fence", "highlights", "placeholders",
)  # fmt: skip
_LIST: Final = (
    *_ANY,
    "item_words",
    "ends",
    "postscript",
    "distinct_starts",
    "fence",
    "highlights",
    "placeholders",
    "longest_sentence",
)

ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "prose": _PROSE,
    "paragraphs": (*_PROSE, "paragraph_start", "paragraph_sentences"),
    "bullets": _LIST,
    "numbered": _LIST,
    "sorted": tuple(kind for kind in _LIST if kind != "order"),
    "sections": ("words", "include", "order", "exclude", "frequency", "letter", "casing", "no_commas", "last_word", "ends",
                 "postscript", "highlights", "placeholders", "longest_sentence"),
    "table": ("words", "include", "exclude", "letter", "casing", "no_commas", "title", "highlights", "postscript", "ends"),
    "acrostic": ("words", "characters", "exclude", "letter", "casing", "no_commas", "punctuation", "include", "last_word",
                 "highlights", "longest_sentence"),
    "json": ("include", "order", "exclude", "frequency", "key_order"),
}  # fmt: skip
"""By form: what may be asked for beside it."""

GROUPS: Final = (
    ("begins", "first_word", "repeat", "title"),
    ("ends", "last_word", "postscript"),
    ("words", "characters"),
    ("sentences", "longest_sentence"),
    ("no_commas", "punctuation"),
    ("quoted", "fence"),
    ("include", "order"),
    ("frequency", "nth_sentence"),
)
"""At most one of each."""

_COUNTED_APART: Final = ("sentences", "nth_sentence", "paragraphs", "distinct_starts", "paragraph_start", "paragraph_sentences")
"""Kinds for which it matters whether a title or a postscript is a sentence or a paragraph."""

CONFLICTS: Final = frozenset(
    frozenset(pair)
    for first, others in {
        "title": (*_COUNTED_APART, "punctuation", "quoted", "characters", "longest_sentence"),
        "repeat": (*_COUNTED_APART, "quoted"),
        "postscript": (*_COUNTED_APART, "punctuation", "quoted", "characters", "longest_sentence"),
        "ends": ("paragraph_sentences", "quoted"),
        "quoted": ("punctuation", "characters"),
        "highlights": ("punctuation", "characters", "fence"),
        "placeholders": ("punctuation",),
    }.items()
    for pair in ((first, other) for other in others)
)
"""Pairs that are never asked for together."""


def draw_extras(
    form: str, count: int, level: int, rng: random.Random, *, first: Sequence[str] = (), only: Sequence[str] = ()
) -> list[Ask]:
    """`count` asks that go with the form and with each other, those of the kinds `first` among them.

    Args:
        only: where given, the kinds to choose from.
    """
    chosen = [form, *first]
    kinds = [kind for kind in ALLOWED[form] if not only or kind in only]
    rng.shuffle(kinds)
    for kind in kinds:
        if len(chosen) > count:
            break
        if kind not in chosen and all(compatible(kind, other) for other in chosen):
            chosen.append(kind)
    used: list[int] = []
    return [draw_ask(kind, form, level, rng, used) for kind in chosen[1:]]


def compatible(kind: str, other: str) -> bool:
    """Whether both may be asked for in one task."""
    return frozenset((kind, other)) not in CONFLICTS and not any(kind in group and other in group for group in GROUPS)


def needed(asks: Sequence[Mapping[str, Any]], facts: int) -> int:
    """Sentences that the asks and facts fill."""
    return facts + sum(
        len(ask.get("keywords", ())) * ask.get("times", 1) + (len(ask["which"]) if ask["kind"] == "placeholders" else 0)
        for ask in asks
    )


def draw_ask(kind: str, form: str, level: int, rng: random.Random, used: list[int]) -> Ask:
    """One ask with its parameters. `used`: keywords that others have; those of this one are added."""
    return {"kind": kind, "say": rng.randrange(60), **_parameters(kind, form, level, rng, used)}


def _parameters(kind: str, form: str, level: int, rng: random.Random, used: list[int]) -> Ask:
    words = lexicon("en")
    small = form in ("acrostic", "table")
    match kind:
        case "words" | "characters" | "sentences":
            slack = [rng.randint(1, 24 // level), rng.randint(1, 24 // level)]
            bound = rng.choice(("least", "most", "between") if level < 3 else ("exact", "exact", "between", "most"))
            return {"bound": bound, "slack": [1, 1] if kind == "sentences" else slack}
        case "longest_sentence" | "item_words":
            return {"slack": rng.randint(0, 6 - level)}
        case "include":
            return {"keywords": _keywords(1 if small else rng.randint(1, min(3, level + 1)), rng, used)}
        case "order":
            return {"keywords": _keywords(2 if level < 3 else 3, rng, used)}
        case "frequency":
            return {"keywords": _keywords(1, rng, used), "times": rng.randint(2, 2 + level // 2)}
        case "nth_sentence":
            return {"keywords": _keywords(1, rng, used)}
        case "exclude":
            return {"which": sorted(rng.sample(range(len(words["excluded"])), rng.randint(2, 4)))}
        case "placeholders":
            return {"which": sorted(rng.sample(range(len(words["placeholders"])), rng.randint(2, 3)))}
        case "highlights":
            return {"n": 2}
        case "letter":
            return {"index": rng.randrange(len(words["letters"]))}
        case "ends":
            return {"index": rng.randrange(len(words["closers"]))}
        case "repeat":
            return {"index": rng.randrange(len(words["repeats"]))}
        case "title":
            return {"mark": rng.randrange(len(words["title_marks"]))}
        case "postscript":
            return {"mark": rng.randrange(len(words["postscripts"]))}
        case "paragraph_start":
            return {"nth": rng.randrange(12)}
        case "casing":
            return {"case": rng.randrange(2)}
        case "key_order":
            return {"down": rng.randrange(2)}
    return {}


def _keywords(count: int, rng: random.Random, used: list[int]) -> list[int]:
    free = [at for at in range(len(lexicon("en")["keywords"])) if at not in used]
    chosen = rng.sample(free, count)
    used += chosen
    return chosen
