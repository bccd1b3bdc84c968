"""Whether words that somebody else found for a decision keep to it: all that was decided is said, and nothing beside it.

Values may be worded around freely, since `stands_in` is what everybody else looks for them with. What a checkpoint looks
for, and a wish, stand letter for letter: only they carry the meaning that the task was certified with. Around them no word
says yes, says no or takes back. Such words are known from short lists (`yes_no`), a coarse net that rather has a good answer
asked for again; a model that words the user is never shown what is withheld, so that the net is its second guard and not its
first.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulators.users.ledger import Decision
from simulators.users.yes_no import REPLIES, Replies
from trajectories.messages import Message
from trajectories.questions import value_in
from trajectories.tasks import Task
from trajectories.words import stands_in

__all__ = ["Due", "due_in", "problem_with"]


@dataclass(frozen=True, slots=True)
class Due:
    """What the words of a decision must hold."""

    fixed: tuple[str, ...] = ()
    """Letter for letter."""
    values: tuple[str, ...] = ()
    """As whole words, in any case."""
    first: str = ""
    """What the words begin with; empty for anything."""


_SYNTAX: Final = re.compile(r"[<>{}`|]|\bfunctions\.\w|\btool_calls?\b|(?:^|\n)\s*(?:user|assistant|agent|system|tool)\s*:")
"""Of tool calls, markup, chat templates and dialogues with more than one speaker."""


def due_in(decision: Decision, task: Task) -> Due:
    """What the words of `decision` must hold."""
    marks = [item.said for item in task.rubric.checkpoints if item.said and any(item.said in text for text in decision.texts)]
    if decision.act == "follow_up":
        return Due((*decision.texts, *marks))
    said = [(task.ledger.facts[at], text) for at, text in zip(decision.facts, decision.texts, strict=True)]
    firm = [fact.value if fact.value in text else text for fact, text in said if fact.kind == "confirmation"]
    values = [value_in(fact, text) for fact, text in said if fact.kind == "value"]
    return Due(tuple(dict.fromkeys([*firm, *marks])), tuple(values), firm[0] if firm and not values else "")


def problem_with(
    words: str, decision: Decision, task: Task, dialogue: Sequence[Message], max_added: int
) -> str | None:
    """The first rule that `words` break, for whoever wrote them; None when they may be used.

    Args:
        dialogue: the messages before; what the user said in them is no secret.
        max_added: characters beyond those of `decision.texts`.
    """
    due, language = due_in(decision, task), REPLIES[task.persona.language]
    checks = (
        _bad_form(words, sum(map(len, decision.texts)) + max_added),
        _missing(words, due),
        _untold(words, decision, task, dialogue),
        _bad_around(_around(words, due), decision, language),
        _foreign(_around(words, due), task.persona.language),
    )
    return next((problem for problem in checks if problem is not None), None)


def _bad_form(words: str, most: int) -> str | None:
    if not words:
        return "it is empty"
    if len(words) > most:
        return f"it has {len(words)} characters, and {most} at most are allowed"
    if any(unicodedata.category(character).startswith("C") and character != "\n" for character in words):
        return "it holds characters that cannot be seen or sent"
    return None


def _missing(words: str, due: Due) -> str | None:
    for text in due.fixed:
        if text not in words:
            return f"it does not hold, letter for letter, {text!r}"
    if not words.startswith(due.first):
        return f"it does not begin with {due.first!r}"
    for value in due.values:
        if not stands_in(value, words):
            return f"it does not hold {value!r} as a word of its own, with spaces or punctuation around it"
    return None


def _untold(words: str, decision: Decision, task: Task, dialogue: Sequence[Message]) -> str | None:
    """What was neither decided nor said by the user before. A right guess is answered like a wrong one."""
    decided = "\n".join(decision.texts)
    told = "\n".join([decided, *(message.content for message in dialogue if message.role == "user")])
    numbers = set(re.findall(r"\d+", _folded(told)))
    found = [number for number in re.findall(r"\d+", _folded(words)) if number not in numbers]
    found += [text for text in _never_repeated(decision, task) if _holds(words, text) and not _holds(decided, text)]
    found += [text for text in _secrets(task) if _holds(words, text) and not _holds(told, text)]
    return f"it says {found[0]!r}, which is not to be said" if found else None


def _holds(words: str, text: str) -> bool:
    """As `stands_in`, in whatever width and, where words have no boundaries, anywhere."""
    words, text = _folded(words), _folded(text)
    return stands_in(text, words) if text.isascii() else text in words


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _never_repeated(decision: Decision, task: Task) -> Iterator[str]:
    """Not even what was said before: a yes or no, and another value for what is said now."""
    yield from (item.said for item in task.rubric.checkpoints if item.said)
    for at, fact in enumerate(task.ledger.facts):
        if fact.kind == "confirmation":
            yield fact.value
        elif at in decision.facts:
            yield from (fact.value, *(value_in(fact, slip) for slip in fact.slips))


def _secrets(task: Task) -> Iterator[str]:
    """All else that the user has not to say: its facts and wishes, and what the oracle does and answers."""
    for fact in task.ledger.facts:
        yield from (fact.value, *(value_in(fact, slip) for slip in fact.slips))
    yield from task.ledger.follow_ups
    for call in task.gold.calls:
        yield from _texts(call.arguments)
    for item in task.rubric.criteria:
        if item.kind == "says":
            yield from (text for text in item.expected if not text.startswith("not:"))


def _texts(value: Any) -> Iterator[str]:
    """The texts in a JSON value; its numbers are looked for in any case."""
    if isinstance(value, str):
        yield from (value,) if value else ()
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _bad_around(rest: str, decision: Decision, language: Replies) -> str | None:
    if found := _SYNTAX.search(rest):
        return f"it holds {found[0].strip()!r}, which no message of a user holds"
    wordless = decision.act in ("not_known", "not_understood")
    if decision.act == "not_known" and not language.knows_not.search(rest):
        return "it does not say that the user does not know"
    if decision.act == "not_understood" and language.confirm not in rest:
        return f"it does not ask, with the word {language.confirm!r}, what is to be confirmed"
    for words in (language.yes, language.no, language.assents if wordless else language.turns):
        if found := words.search(rest):
            return f"it says {found[0].strip(' ,.!?;。')!r} beside what is decided, which may turn its meaning"
    return None


def _foreign(rest: str, language: str) -> str | None:
    """Tells languages of different scripts apart, and no others."""
    scripts = [unicodedata.name(letter, "?").split()[0] for letter in rest if letter.isalpha()]
    known = {"LATIN", "CJK"} if language == "zh" else {"LATIN"}
    # Names and values stay as they are in Chinese sentences, where they are a part of what is said.
    if set(scripts) <= known and (language != "zh" or scripts.count("CJK") * 2 >= len(scripts)):
        return None
    return f"it is not in the user's language, {language!r}"


def _around(words: str, due: Due) -> str:
    """The words without what they must hold, folded for searching."""
    for text in sorted(due.fixed, key=len, reverse=True):
        words = words.replace(text, " ", 1)
    for value in due.values:
        words = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", " ", words, flags=re.IGNORECASE)
    return _folded(words)
