"""Writes a reply that satisfies all constraints of a task at once, and says what exactly it satisfies.

The outer form is built first, with real sentences in it; then come what stands around it and the letters' case; at last what can
only be counted is counted. So constraints cannot conflict: what a task asks for was read off a reply that exists.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from simulators.tasks.instructions import measure
from simulators.tasks.instructions.asking import needed
from simulators.tasks.instructions.cards import Card
from simulators.tasks.instructions.counting import counted
from simulators.tasks.instructions.objects import json_reply
from simulators.tasks.instructions.speaking import Speaker
from trajectories.seeds import derive_rng

__all__ = ["BREAKS", "Written", "compose"]

Ask = Mapping[str, Any]
Constraint = Mapping[str, Any]

BREAKS: Final = ("", "***", "---", "===")
"""Lines between paragraphs, by number; the first stands for an empty line alone."""
_BULLETS: Final = ("-", "*", "•")
_HEADINGS: Final = ("##", "###")
_SETTINGS: Final = ("alphabet", "length", "ascending", "descending")
"""Values that are no text of the reply."""


@dataclass(frozen=True)
class Written:
    """A reply of the oracle."""

    text: str
    constraints: tuple[Constraint, ...]
    """All that it satisfies, in the order of the asks."""
    words: tuple[str, ...]
    """Those that were asked for and must stand in real sentences."""
    quotes: tuple[str, ...]
    """Phrases that the task has copied."""


def compose(card: Card, told: Sequence[int], asks: Sequence[Ask], language: str, voice: int) -> Written:
    """A reply about the facts `told` of the card that is as asked.

    Args:
        asks: the outer form first, each kind once.
        voice: seed of everything that is nobody's wish.
    """
    return _Writer(card, told, asks, language, voice).written()


class _Writer:
    def __init__(self, card: Card, told: Sequence[int], asks: Sequence[Ask], language: str, voice: int) -> None:
        self.card, self.language = card, language
        self.facts = [card.facts[at] for at in told]
        self.asks = {ask["kind"]: ask for ask in asks}
        self.rng: random.Random = derive_rng(voice, "instructions", language)
        self.speaker = Speaker(card, language, self.rng)
        self.lexicon = self.speaker.words
        self.fixed: dict[str, dict[str, Any]] = {}
        """What was settled while writing, by kind; everything else is counted."""

    def written(self) -> Written:
        text = self._cased(self._framed(self._body()))
        plain = text
        if "quoted" in self.asks:
            opened, closed = self.lexicon["marks"]["quotes"]
            text = f"{opened}{text}{closed}"
        if "fence" in self.asks:
            text = f"```text\n{text}\n```"
        settled = {kind: {name: self._cased_too(value) for name, value in item.items()} for kind, item in self.fixed.items()}
        asks = [ask for ask in self.asks.values() if ask["kind"] != "prose"]
        constraints = tuple(counted(ask, plain, settled, self.lexicon, self.language) for ask in asks)
        return Written(text, constraints, tuple(self._keywords()), tuple(_quotes(constraints)))

    # What is said.

    def _keywords(self) -> list[str]:
        return [self.lexicon["keywords"][at] for ask in self.asks.values() for at in ask.get("keywords", ())]

    def _clauses(self) -> list[tuple[str, str]]:
        """Every clause that must be said, with its kind; the first names the place."""
        bold = self.asks.get("highlights", {}).get("n", 0)
        said = []
        for number, fact in enumerate(self.facts):
            clause = self.speaker.fact(fact)
            said.append((clause.replace(fact.value, f"**{fact.value}**") if number < bold else clause, "fact"))
        rest = [*said[1:], *self._keyword_clauses()]
        for at in self.asks.get("placeholders", {}).get("which", ()):
            rest.append((self.speaker.blank(self.lexicon["placeholders"][at]), "scene"))
        self.rng.shuffle(rest)
        ordered = [self.lexicon["keywords"][at] for at in self.asks.get("order", {}).get("keywords", ())]
        places = [at for at, (clause, kind) in enumerate(rest) if kind == "scene" and any(word in clause for word in ordered)]
        clauses = sorted((rest[at] for at in places), key=lambda item: next(i for i, w in enumerate(ordered) if w in item[0]))
        for at, moved in zip(places, clauses, strict=True):
            rest[at] = moved
        return [said[0], *rest]

    def _keyword_clauses(self) -> list[tuple[str, str]]:
        words = []
        for ask in self.asks.values():
            words += [self.lexicon["keywords"][at] for at in ask.get("keywords", ()) for _ in range(ask.get("times", 1))]
        return [(self.speaker.around(word), "scene") for word in words]

    def _sentences(self, count: int = 0) -> list[str]:
        """All clauses as sentences, and scenes up to `count` of them."""
        clauses = self._clauses()
        clauses += [(self.speaker.scene(), "scene") for _ in range(count - len(clauses))]
        return [self.speaker.sentence(clause, kind) for clause, kind in clauses]

    # The outer form.

    def _body(self) -> list[str]:
        """Blocks, between which stands an empty line."""
        form = next(iter(self.asks))
        ask = self.asks[form]
        match form:
            case "prose":
                return self._paragraphs({**ask, "n": 1, "mark": 0})
            case "paragraphs":
                return self._paragraphs(ask)
            case "bullets" | "numbered":
                return [self._list(form, ask, self._sentences(self._size(ask)))]
            case "sorted":
                return [self._sorted(ask)]
            case "sections":
                return self._sections(ask)
            case "table":
                return self._table(ask)
            case "acrostic":
                return [self._acrostic(ask)]
            case "json":
                text, self.fixed["json"] = json_reply(self.card, self.facts, self._keyword_clauses(), self.speaker, self.asks)
                return [text]
        raise ValueError(f"no form {form!r}")

    def _size(self, ask: Ask) -> int:
        """How many sentences: those that are needed and some more, or what the ask says."""
        return int(ask["size"] if "size" in ask else needed(tuple(self.asks.values()), len(self.facts)) + ask["pad"])

    def _paragraphs(self, ask: Ask) -> list[str]:
        n, mark = ask["n"], BREAKS[ask["mark"]]
        self.fixed["paragraphs"] = {"n": n, "mark": mark}
        size = self._size(ask)
        even = "paragraph_sentences" in self.asks
        total = max(n * 2, -(-size // n) * n if even else size)
        sentences, gap = self._sentences(total), "" if self.language == "zh" else " "
        blocks = [gap.join(sentences[start:end]) for start, end in pairwise(_cuts(total, n))]
        if "ends" in self.asks:
            blocks[-1] += gap + self._closer()
        self.fixed["paragraph_sentences"] = {"n": total // n, "mark": mark}
        return [f"\n\n{mark}\n\n".join(blocks)] if mark else blocks

    def _list(self, style: str, ask: Ask, sentences: Sequence[str]) -> str:
        mark = _BULLETS[ask.get("mark", 0)]
        self.fixed[style] = {"n": len(sentences), **({"mark": mark} if style == "bullets" else {})}
        return "\n".join(f"{mark if style == 'bullets' else f'{number}.'} {text}" for number, text in enumerate(sentences, 1))

    def _sorted(self, ask: Ask) -> str:
        by = "length" if self.language == "zh" or ask["by"] else "alphabet"
        order = "descending" if ask["down"] else "ascending"
        self.fixed["sorted"] = {"by": by, "order": order}

        def key(text: str) -> Any:
            return measure.length(text, self.language) if by == "length" else [word.casefold() for word in measure.tokens(text)]

        sentences = sorted(self._sentences(self._size(ask)), key=key, reverse=bool(ask["down"]))
        return self._list("numbered" if "numbered" in self.asks else "bullets", self.asks.get("bullets", {}), sentences)

    def _sections(self, ask: Ask) -> list[str]:
        titles = [self.lexicon["titles"][at] for at in ask["titles"]]
        mark = _HEADINGS[ask["mark"]]
        self.fixed["sections"] = {"titles": titles, "mark": mark}
        sentences = self._sentences(max(self._size(ask), 2 * len(titles)))
        gap, cuts = "" if self.language == "zh" else " ", _cuts(len(sentences), len(titles))
        parts = [gap.join(sentences[start:end]) for start, end in pairwise(cuts)]
        return [f"{mark} {title}\n{part}" for title, part in zip(titles, parts, strict=True)]

    def _table(self, ask: Ask) -> list[str]:
        columns = self.lexicon["columns"][: ask["columns"]]
        notes = [clause for clause, _ in self._keyword_clauses()]
        self.rng.shuffle(notes)
        notes += [self.speaker.scene() for _ in range(len(self.facts) - len(notes))]
        bold = self.asks.get("highlights", {}).get("n", 0)
        rows = []
        for number, (fact, note) in enumerate(zip(self.facts, notes, strict=True)):
            value = f"**{fact.value}**" if number < bold else fact.value
            cells = [fact.label, value, self.speaker.finished(note)]
            rows.append(cells + ([self.speaker.helper()] if len(columns) > 3 else []))
        self.fixed["table"] = {"rows": len(rows), "columns": columns}
        lines = [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]
        return [self.lexicon["intro"].format(name=self.card.name), "\n".join(lines)]

    def _acrostic(self, ask: Ask) -> str:
        word = self.lexicon["acrostics"][str(ask["letters"])][ask["index"]]
        self.fixed["acrostic"] = {"word": word}
        clauses = self._clauses()
        clauses += [(self.speaker.scene(), "scene") for _ in range(len(word) - len(clauses))]
        return "\n".join(
            self.speaker.sentence(clause, kind, letter) for letter, (clause, kind) in zip(word, clauses, strict=True)
        )

    # What stands around it.

    def _closer(self) -> str:
        self.fixed["ends"] = {"text": str(self.lexicon["closers"][self.asks["ends"]["index"]])}
        return str(self.fixed["ends"]["text"])

    def _framed(self, blocks: list[str]) -> str:
        asks = self.asks
        if "title" in asks:
            opened, closed = self.lexicon["title_marks"][asks["title"]["mark"]]
            self.fixed["title"] = {"open": opened, "close": closed}
            inner = f" {self.card.name} " if opened == "==" else self.card.name
            blocks = [f"{opened}{inner}{closed}", *blocks]
        if "repeat" in asks:
            self.fixed["repeat"] = {"text": str(self.lexicon["repeats"][asks["repeat"]["index"]])}
            blocks = [self.fixed["repeat"]["text"], *blocks]
        if "ends" in asks and not {"paragraphs", "prose"} & set(asks):
            blocks = [*blocks, self._closer()]
        if "postscript" in asks:
            mark = self.lexicon["postscripts"][asks["postscript"]["mark"]]
            self.fixed["postscript"] = {"mark": mark}
            sentence = self.speaker.finished(self.speaker.scene())
            blocks = [*blocks, f"{mark}{'' if self.language == 'zh' else ' '}{sentence}"]
        return "\n\n".join(blocks)

    def _cased(self, text: str) -> str:
        if "casing" not in self.asks or self.language == "zh":
            return text
        return text.lower() if self.asks["casing"]["case"] else text.upper()

    def _cased_too(self, settled: Any) -> Any:
        """Phrases that were settled, as they stand in the reply."""
        if isinstance(settled, list):
            return [self._cased(item) for item in settled]
        return self._cased(settled) if isinstance(settled, str) and settled not in _SETTINGS else settled


def _cuts(total: int, parts: int) -> list[int]:
    """Where `total` things are parted into `parts` of about the same size."""
    return [round(total * at / parts) for at in range(parts + 1)]


def _quotes(constraints: Sequence[Constraint]) -> list[str]:
    return [str(item["text"]) for item in constraints if item["kind"] in ("repeat", "begins", "ends", "paragraph_start")]
