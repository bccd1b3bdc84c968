"""Judges short answers about long texts: exact, part by part, from the answer line alone.

The key says what the parts are and how each is compared; beside that, only what cannot change the meaning is forgiven: outer
quotes, emphasis and brackets, a full stop, spaces, commas within a single number, the case of names and hexadecimal digits,
an article before a name, empty brackets after an identifier. Digits and letters of other scripts are not: they are not what
stands in the text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from rewards.verifiers.judging import judged
from trajectories.answers import answer_of
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["LongContextVerifier"]

_LAYERS: Final = 3
"""Of quotes and emphasis around an answer or a part of it."""
_PAIRS: Final = (
    ("**", "**"), ("*", "*"), ("`", "`"), ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("「", "」"), ("『", "』"),
    ("《", "》"), ("$", "$"), ("\\boxed{", "}"), ("[", "]"), ("(", ")"), ("（", "）"),
)  # fmt: skip
_SEPARATORS: Final = re.compile(r"[,，、;；]\s*(?:and\b)?|\s+and\s+|和|→|->")
_THOUSANDS: Final = re.compile(r"[-−]?[0-9]{1,3}(?:,[0-9]{3})+")
_INTEGER: Final = re.compile(r"[-−]?[0-9]+")
_ARTICLE: Final = re.compile(r"(?:the|a|an) +(?=[a-z])")


class LongContextVerifier:
    """The verifier of domain ``long_context``."""

    version: int = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        """Components: ``completed``, ``answer_line`` (there is one), and ``answer`` (it is right)."""
        return judged(outcome, lambda reply: _components(task.key or {}, reply), grader=f"long_context/{self.version}")


def _components(key: Mapping[str, Any], reply: str) -> dict[str, float]:
    parts = [(part["form"], part["value"]) for part in key["parts"]]
    ordered = bool(key["ordered"])
    answer = answer_of(reply)
    return {
        "answer_line": float(answer is not None),
        "answer": float(answer is not None and _is_right(answer, parts, ordered)),
    }


def _is_right(answer: str, parts: list[tuple[str, str]], ordered: bool) -> bool:
    wanted = [_FORMS[form](value) for form, value in parts]
    forms = [form for form, _ in parts]
    for given in _readings(answer, len(parts), forms):
        found = [_FORMS[form](text) for form, text in zip(forms, given, strict=True)]
        if None not in found and (found == wanted if ordered else sorted(map(str, found)) == sorted(map(str, wanted))):
            return True
    return False


def _readings(answer: str, count: int, forms: list[str]) -> list[list[str]]:
    """The answer as so many texts: by its separators; by its spaces where no form has any; letter by letter where all are."""
    if count == 1:
        return [[_bare(answer)]]
    found = []
    for text in dict.fromkeys((answer.strip(), _bare(answer))):
        pieces = [_bare(piece) for piece in _SEPARATORS.split(text)]
        words = [_bare(word) for word in text.split()]
        found += [pieces] if len(pieces) == count else []
        found += [words] if len(words) == count and "name" not in forms else []
        found += [list(text)] if len(text) == count and set(forms) == {"letter"} else []
    return found


def _bare(text: str) -> str:
    """Without spaces, a full stop and pairs of quotes, emphasis or brackets around it."""
    text = text.strip()
    for _ in range(_LAYERS):
        text = text[:-1].rstrip() if text[-1:] in (".", "。") else text
        for opening, closing in _PAIRS:
            inner = text[len(opening) : len(text) - len(closing)]
            whole = text.startswith(opening) and text.endswith(closing) and closing not in inner
            if whole and len(text) > len(opening) + len(closing):
                text = inner.strip()
                break
    return text


def _integer(text: str) -> int | None:
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    return int(text.replace("−", "-")) if _INTEGER.fullmatch(text) and len(text) <= 20 else None


def _name(text: str) -> str:
    text = " ".join(text.split()).lower()
    return _ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text


_FORMS: Final[Mapping[str, Callable[[str], Any]]] = {
    "integer": _integer,
    "name": _name,
    "uuid": str.lower,
    "letter": str.upper,
    "identifier": lambda text: text.removesuffix("()"),
    "token": str,
}
"""How each form of a part is put into its one spelling; None for what is not of that form."""
