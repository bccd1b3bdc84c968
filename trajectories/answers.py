"""The answer in a reply: the last message of an episode, and the one line of it that a short answer stands in.

Tasks with a short answer ask for a last line that begins with a mark. One rule reads it for every domain: generators ask in
these words, and verifiers look where they said. A reply with several such lines answers nothing, or listing every possible
answer would pass.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

from trajectories.outcomes import Outcome

__all__ = ["ASK", "MOST_CHARACTERS", "answer_of", "final_reply"]

ASK: Final[Mapping[str, str]] = {
    "en": "End your reply with one line of the form `Answer: ...`.",
    "zh": "请在回复的最后一行写“答案：……”。",
}
"""By language: how a task asks for the line."""

MOST_CHARACTERS: Final = 2_000
"""Of an answer line; a longer one is no short answer."""

_MARKS: Final = ("answer:", "answer：", "答案：", "答案:")


def final_reply(outcome: Outcome) -> str:
    """What the agent said last, where the episode came to its own end with words; else nothing."""
    last = outcome.messages[-1] if outcome.messages else None
    if outcome.ending != "completed" or last is None or last.role != "assistant" or last.tool_calls:
        return ""
    return last.content


def answer_of(text: str) -> str | None:
    """What stands after the mark in the last line of `text` that is not empty; None where there is not exactly one such line.

    Markdown around the mark or the line (``**Answer:** 5``, ``- Answer: 5``) is allowed; the answer comes back without outer
    spaces, in Unicode's composed form.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or len(lines[-1]) > MOST_CHARACTERS:
        return None
    found = [answer for line in lines if (answer := _after_mark(line[: MOST_CHARACTERS + 1])) is not None]
    answer = _after_mark(lines[-1])
    return unicodedata.normalize("NFC", answer) if answer and len(found) == 1 else None


def _after_mark(line: str) -> str | None:
    line = line.strip()
    bare = line.lstrip("*_>#- ")
    for mark in _MARKS:
        if bare[: len(mark)].lower() == mark:
            opened = "".join(sign for sign in line[: len(line) - len(bare)].split(" ")[-1] if sign in "*_")
            answer = bare[len(mark) :]
            if opened and answer.startswith(opened):
                return answer[len(opened) :].strip()  # **Answer:** 5
            if opened and answer.endswith(opened):
                return answer[: -len(opened)].strip()  # **Answer: 5**
            return answer.strip()
    return None
