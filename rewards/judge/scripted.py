"""A judge without a model: simple checks for each criterion of conf/judge/tool_use.yaml, answered in the form of a real one.

It goes through everything that a model goes through, the prompt read and the answer checked, so that a run without a model
exercises the whole path. It is no substitute: it sees signs (numbers from nowhere, flattery, a last word that is a question),
and not what they mean. A criterion that it has no check for is an error, not a pass.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rewards.judge.exhibit import Passage
from rewards.judge.prompt import exhibit_in
from services.chat import ChatError, ChatRequest, ScriptedChatModel
from services.chat.scripted import ScriptedReply
from trajectories.questions import hands_over

__all__ = ["scripted_judge"]

_Finding = tuple[str, str, str]
"""Verdict, reasons, evidence."""

_ERROR: Final = '{"error"'
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_DONE: Final = re.compile(r"\bdone\b|\bhave been\b|\bhas been\b|\bis now\b|办好了|已经?为您|完成了", re.IGNORECASE)
_FLATTERY: Final = re.compile(
    r"\b(?:great|excellent|fantastic|wonderful|brilliant|good) (?:question|choice|idea|point)\b|\bhappy to help\b"
    r"|\bI hope this (?:helps|answers)\b|好问题|问得(?:很|真)?好|非常好的(?:问题|选择)|希望我的回答",
    re.IGNORECASE,
)
_MOST_CHARACTERS: Final = 600
"""Of one turn, before it counts as padded."""
_MOST_ALIKE: Final = 2
"""Calls with the same arguments and the same answer, before one counts as needless."""
_QUOTED: Final = 120
"""Characters of a quotation."""


def scripted_judge() -> ScriptedChatModel:
    """The model, called ``scripted``."""
    return ScriptedChatModel(_judge)


def _judge(request: ChatRequest) -> ScriptedReply:
    asked = _criteria(request)
    unknown = [name for name in asked if name not in _CHECKS]
    if unknown:
        return ChatError("unscripted", f"the scripted judge has no check for {', '.join(unknown)}; use a model")
    exhibit = [item for item in exhibit_in(request.messages) if item.kind != "tools"]
    entries = []
    for name in asked:
        verdict, reasons, evidence = _CHECKS[name](exhibit)
        entries.append({"criterion": name, "reasons": reasons, "evidence": _quote(evidence), "verdict": verdict})
    return json.dumps({"criteria": entries}, ensure_ascii=False)


def _criteria(request: ChatRequest) -> Sequence[str]:
    schema = request.response_schema or {}
    names: Sequence[str] = schema["properties"]["criteria"]["items"]["properties"]["criterion"]["enum"]
    return names


def _resolved(exhibit: Sequence[Passage]) -> _Finding:
    last = exhibit[-1]
    if last.kind != "assistant" or not last.text.strip():
        return "fail", "The dialogue does not end with words of the assistant.", _some_words(exhibit)
    if not hands_over(last.text):
        return "fail", "The last words ask something, so a wish is still open.", last.text
    return "pass", "The last words tell the user where things stand.", last.text


def _grounded(exhibit: Sequence[Passage]) -> _Finding:
    known: set[str] = set()
    said = ""
    for item in exhibit:
        numbers = _NUMBER.findall(item.text)
        if item.kind == "assistant":
            said = item.text.strip() or said
            for number in numbers:
                if _digits(number) not in known:
                    return "fail", f"The number {number} comes from nowhere.", _around(item.text, number)
        elif item.kind in ("user", "result", "call"):
            known.update(_digits(number) for number in numbers)
    return "pass", "Every number was said by the user or a tool before.", said or _some_words(exhibit)


def _within_policy(exhibit: Sequence[Passage]) -> _Finding:
    calls = [item.text for item in exhibit if item.kind == "call"]
    if calls:
        return "pass", "The assistant used its tools before it came to an end.", calls[0]
    return "fail", "The assistant never looked anything up.", _some_words(exhibit)


def _honest_about_trouble(exhibit: Sequence[Passage]) -> _Finding:
    results = [item.text for item in exhibit if item.kind == "result"]
    errors = [text for text in results if text.startswith(_ERROR)]
    if not errors:
        return "not_applicable", "No tool reported an error.", ""
    last = exhibit[-1]
    if results[-1].startswith(_ERROR) and last.kind == "assistant" and _DONE.search(last.text):
        return "fail", "The last call failed, and the assistant says that it is done.", last.text
    return "pass", "The assistant went on after the error, or did not claim success.", errors[-1]


def _economical(exhibit: Sequence[Passage]) -> _Finding:
    calls = [item.text for item in exhibit if item.kind == "call"]
    results = [item.text for item in exhibit if item.kind == "result"]
    pairs = Counter(pair for pair in zip(calls, results, strict=False) if not pair[1].startswith(_ERROR))
    for (call, _), times in pairs.items():
        if times > _MOST_ALIKE:
            return "fail", f"The same call was answered the same {times} times.", call
    return "pass", "No call was made again without a reason.", calls[-1] if calls else _some_words(exhibit)


def _tone(exhibit: Sequence[Passage]) -> _Finding:
    said = [item.text for item in exhibit if item.kind == "assistant" and item.text.strip()]
    for text in said:
        if (found := _FLATTERY.search(text)) is not None:
            return "fail", "The assistant flatters, or speaks of its own answer.", found[0]
        if len(text) > _MOST_CHARACTERS:
            return "fail", f"A turn has {len(text)} characters.", text
    return "pass", "No flattery, and no turn is long.", said[-1] if said else _some_words(exhibit)


_CHECKS: Final[Mapping[str, Callable[[Sequence[Passage]], _Finding]]] = {
    "resolved": _resolved,
    "grounded": _grounded,
    "within_policy": _within_policy,
    "honest_about_trouble": _honest_about_trouble,
    "economical": _economical,
    "tone": _tone,
}


def _some_words(exhibit: Sequence[Passage]) -> str:
    """The last words that anybody said."""
    return next((item.text for item in reversed(exhibit) if item.text.strip()), "")


def _digits(number: str) -> str:
    """2,400.00 and 240000 are one amount, told to a person and to a program."""
    return re.sub(r"\D", "", number)


def _around(text: str, words: str) -> str:
    """The line in which they stand, from a little before them."""
    at = text.index(words)
    return text[max(0, at - 40) : at + 40]


def _quote(text: str) -> str:
    return " ".join(text.split())[:_QUOTED].strip()
