"""Puts a problem's constraints into the user's words: what is said is exactly what the verifier checks."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from simulators.tasks.instructions.cards import Card, Fact

__all__ = ["Voice"]

Constraint = Mapping[str, Any]


@lru_cache(maxsize=2)
def _wording(language: str) -> dict[str, Any]:
    text = resources.files("simulators.tasks.instructions").joinpath(f"wording_{language}.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


class Voice:
    """How the user speaks.

    Args:
        language: of the user.
        reply: language of the reply.
        say: decides which of several phrasings is used.
    """

    def __init__(self, language: str, reply: str, say: int) -> None:
        self.words, self.language, self.reply, self.say = _wording(language), language, reply, say

    def opening(self, card: Card, told: Sequence[Fact], asked: Sequence[tuple[Constraint, int]]) -> tuple[str, str]:
        """The prompt, and the prompt without the card.

        Args:
            asked: constraints, each with the number that decides its phrasing.
        """
        kinds = {constraint["kind"] for constraint, _ in asked}
        facts = self._pick(self.words["facts_json" if "json" in kinds else "facts"], self.say)
        labels = self.words["comma"].join(fact.label for fact in told)
        parts = [
            self._pick(self.words["intro"], self.say).format(purpose=card.purpose),
            f"{self.words['card']}\n{card.lines(self.words['name'])}",
            facts.format(labels=labels, name=card.name),
            "\n".join([self._pick(self.words["header"], self.say), *self._numbered(asked)]),
            self._pick(self.words["closing"], self.say),
        ]
        return "\n\n".join(parts), "\n\n".join(part for at, part in enumerate(parts) if at != 1)

    def follow_up(self, how: str, texts: Sequence[str], say: int) -> str:
        gap = "" if self.language == "zh" else " "
        return self._pick(self.words["later"][how], say).format(text=gap.join(texts))

    def swap(self, drop: Sequence[Fact], take: Sequence[Fact], say: int) -> str:
        both = self.words["and"]
        return self._pick(self.words["swap"], say).format(
            drop=both.join(fact.label for fact in drop), take=both.join(fact.label for fact in take)
        )

    def constraint(self, constraint: Constraint, say: int, kinds: frozenset[str] = frozenset()) -> str:
        """A sentence or two that say what `constraint` checks. `kinds`: all that is asked for."""
        kind, values = constraint["kind"], dict(constraint)
        for name in ("text", "word", "letter", "mark", "tag", "open", "close"):
            if values.get(name):
                values[name] = self._quoted(values[name])
        for name in ("words", "titles", "columns", "marks"):
            if name in values:
                values[name] = self.words["comma"].join(self._quoted(item) for item in values[name])
        if kind in ("ends", "repeat"):
            values["text"] = constraint["text"]
        if kind == "acrostic":
            values["n"] = len(constraint["word"])
        if kind == "json":
            values["schema"] = f"```json\n{json.dumps(constraint['schema'], ensure_ascii=False)}\n```"
        values["unit"] = self.words["units"][kind if kind in ("sentences", "characters") else f"words_{self.reply}"]
        if kind in ("words", "sentences", "characters"):
            values["bounds"] = self._bounds(constraint, values["unit"], say)
        text = self._pick(self.words["kinds"][self._entry(constraint, kinds)], say).format(**values)
        return text + self._note(kind)

    def _numbered(self, asked: Sequence[tuple[Constraint, int]]) -> list[str]:
        kinds = frozenset(constraint["kind"] for constraint, _ in asked)
        return [f"{number}. {self.constraint(item, say, kinds)}" for number, (item, say) in enumerate(asked, 1)]

    def _entry(self, constraint: Constraint, kinds: frozenset[str]) -> str:
        kind = str(constraint["kind"])
        if kind == "language" and constraint["language"] == "zh":
            form = next((form for form in ("json", "fence") if form in kinds), "")
            return f"language_{form}_zh" if form else "language_zh"
        variants = {
            "paragraphs": "paragraphs_mark" if constraint.get("mark") else kind,
            "key_order": f"key_order_{constraint.get('order')}",
            "sorted": f"sorted_{constraint.get('by')}_{constraint.get('order')}",
            "casing": f"casing_{constraint.get('case')}",
            "language": "language_en",
            "without": f"without_{constraint.get('what')}",
        }
        entry = variants.get(kind, kind)
        return entry if entry in self.words["kinds"] else f"{entry}_{self.reply}"

    def _bounds(self, constraint: Constraint, unit: str, say: int) -> str:
        least, most = constraint["least"], constraint["most"]
        bound = "exact" if least == most else "least" if most is None else "most" if least is None else "between"
        return self._pick(self.words["bounds"][bound], say // 3).format(least=least, most=most, unit=unit)

    def _note(self, kind: str) -> str:
        notes = self.words["notes"]
        name = {
            "words": f"words_{self.reply}", "longest_sentence": f"words_{self.reply}", "item_words": f"words_{self.reply}",
            "sentences": "sentences", "paragraph_sentences": "sentences", "nth_sentence": "sentences", "characters": "characters",
        }.get(kind)  # fmt: skip
        return "" if name is None else f"{'' if self.language == 'zh' else ' '}{notes[name]}"

    def _quoted(self, text: str) -> str:
        return str(self.words["quote"]).format(text)

    @staticmethod
    def _pick(options: Sequence[str], say: int) -> str:
        return options[say % len(options)]
