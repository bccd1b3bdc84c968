"""Judges an answer out of a corpus by what was said, what was cited, and what was opened.

A pass needs the exact answer, in one of the forms of the key, and before it one line of sources: every page that is cited was
opened in this episode, each fact that the answer rests on is stated by one of them, and none is beside the point: old editions,
forum posts and namesakes' pages state nothing. Where the key says so a successful search is needed, too.

Key: ``answers`` (forms), ``hops`` (for each fact, ids of the pages that state it), ``traps`` (ids), ``searched`` (bool).
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from rewards.verifiers.judging import judged
from trajectories.answers import answer_of
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["SearchVerifier"]

_MARKS: Final = ("sources:", "来源：", "来源:")
_MOST_CHARACTERS: Final = 4_000
"""Of the line of sources."""
_MOST_REPLY: Final = 200_000
_OUTER: Final = "\"'“”‘’「」*_` "


class SearchVerifier:
    """The verifier of domain ``search``."""

    version: int = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        """Components: ``answer``, ``sources`` (a readable line), ``opened``, ``supported``, ``relevant``, ``untrapped``, and
        ``searched`` where it counts."""
        return judged(outcome, lambda reply: _components(task.key or {}, outcome, reply), grader=f"search/{self.version}")


def _components(key: Mapping[str, Any], outcome: Outcome, reply: str) -> dict[str, float]:
    answers, hops, traps = {_plain(form) for form in key["answers"]}, [set(pages) for pages in key["hops"]], set(key["traps"])
    text = reply if len(reply) <= _MOST_REPLY else ""
    answer, cited = answer_of(text), _sources(text)
    opened = {
        str(call.arguments.get("page_id"))
        for call in outcome.calls
        if call.name == "open" and not call.is_error and isinstance(call.arguments, Mapping)
    }
    found = {
        "answer": answer is not None and _plain(answer) in answers,
        "sources": bool(cited),
        "opened": cited <= opened,
        "supported": all(cited & pages for pages in hops),
        "relevant": cited <= set().union(*hops),
        "untrapped": not cited & traps,
    }
    if key["searched"]:
        found["searched"] = any(call.name == "search" and not call.is_error for call in outcome.calls)
    return {name: float(value) for name, value in found.items()}


def _sources(text: str) -> set[str]:
    """Page ids of the line before the last; none where it is not the only line of sources."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line for line in lines if _after_mark(line) is not None]
    if len(lines) < 2 or len(marked) != 1 or len(lines[-2]) > _MOST_CHARACTERS:
        return set()
    listed = _after_mark(lines[-2]) or ""
    return {part for item in re.split(r"[,，、;；\s]+", listed) if (part := item.strip("[]()*_`.。"))}


def _after_mark(line: str) -> str | None:
    bare = line.lstrip("*_> ")
    return next((bare[len(mark) :] for mark in _MARKS if bare[: len(mark)].lower() == mark), None)


def _plain(answer: str) -> str:
    """Without the case, outer marks and spacing that do not change an answer; nothing else is forgiven."""
    text = " ".join(unicodedata.normalize("NFC", answer).split()).strip(_OUTER)
    for stop in (".", "。"):
        text = text.removesuffix(stop)
    return text.strip(_OUTER).casefold()
