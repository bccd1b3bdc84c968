"""An oracle's reply with one constraint broken: what is left of it when somebody overlooks a single wish.

Other constraints may break with it; the one that is named always does.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from simulators.tasks.instructions import measure
from simulators.tasks.instructions.speaking import Speaker

__all__ = ["BREAKERS", "broken", "with_more"]

Constraint = Mapping[str, Any]


def broken(text: str, constraint: Constraint, speaker: Speaker) -> str:
    """`text` that no longer satisfies `constraint`. `speaker`: says what is new in it."""
    return BREAKERS[constraint["kind"]](text, constraint, speaker)


def _gap(speaker: Speaker) -> str:
    return "" if speaker.language == "zh" else " "


def with_more(text: str, added: str, gap: str = " ") -> str:
    """`added` at the end of the reply, within whatever closes it; first in the summary of a JSON object."""
    if text.startswith("{"):
        return text.replace('"summary": [\n', f'"summary": [\n    {json.dumps(added, ensure_ascii=False)},\n', 1)
    end = re.search(r"(?:\n```|[”\"])?\Z", text)
    at = end.start() if end else len(text)
    return f"{text[:at]}{gap}{added}{text[at:]}"


def _more(text: str, speaker: Speaker, sentences: int = 1) -> str:
    """Some more sentences, before what closes the text."""
    gap = _gap(speaker)
    return with_more(text, gap.join(speaker.finished(speaker.scene()) for _ in range(sentences)), gap)


def _length(text: str, asked: Constraint, speaker: Speaker) -> str:
    """Too long by far; where there is no upper limit, too short."""
    if asked["most"] is not None:
        return _more(text, speaker, 16)
    return text[: len(text) // 4]


def _long_sentence(text: str, asked: Constraint, speaker: Speaker) -> str:
    joint = "并且" if speaker.language == "zh" else " and "
    return _more(text, speaker).removesuffix("\n```").rstrip("”.。") + joint + joint.join(speaker.scene() for _ in range(12))


def _long_item(text: str, asked: Constraint, speaker: Speaker) -> str:
    lines = text.split("\n")
    at = next(at for at, line in enumerate(lines) if re.match(r"(?:[-*•]|\d+\.) ", line))
    return "\n".join([*lines[:at], lines[at] + _gap(speaker) + _long_sentence("", asked, speaker), *lines[at + 1 :]])


def _without_item(text: str, asked: Constraint, speaker: Speaker) -> str:
    return re.sub(r"(?m)^(?:[-*•]|1\.) ", "", text, count=1)


def _swapped(text: str, first: str, second: str) -> str:
    pattern = re.compile(f"{re.escape(first)}|{re.escape(second)}", re.IGNORECASE)
    return pattern.sub(lambda found: second if found[0].casefold() == first.casefold() else first, text)


def _other_word(word: str, text: str, speaker: Speaker, count: int = 0) -> str:
    return re.sub(re.escape(word), "物件" if speaker.language == "zh" else "object", text, count=count, flags=re.IGNORECASE)


def _prefixed(text: str, asked: Constraint, speaker: Speaker) -> str:
    found = re.match(r"(?:```\w*\n|“|[^\w\n]+ )*", text)
    at = found.end() if found else 0
    return text[:at] + _well(speaker) + text[at:]


def _well(speaker: Speaker) -> str:
    return "嗯" if speaker.language == "zh" else "Well "


def _json_with(text: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    return json.dumps(change(json.loads(text)), ensure_ascii=False)


def _reversed_keys(value: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(value.items()))


def _reordered(text: str, asked: Constraint, speaker: Speaker) -> str:
    """The items the other way round."""
    items = re.findall(r"(?m)^(?:[-*•]|\d+\.) (.*)$", text)
    return re.sub(r"(?m)^([-*•]|\d+\.) .*$", lambda found: f"{found[1]} {items.pop()}", text)


def _letter(text: str, asked: Constraint, speaker: Speaker) -> str:
    if not asked["n"]:
        return with_more(text, asked["letter"])
    return re.sub(re.escape(asked["letter"]), "", text, count=1, flags=re.IGNORECASE)


def _same_start(text: str, asked: Constraint, speaker: Speaker) -> str:
    line = measure.plain_text(text.removeprefix("```text\n")).lstrip("“").split("\n")[0]
    start = line[:4] if speaker.language == "zh" else line.split()[0]
    return (
        _more(text, speaker).removesuffix("\n```").removesuffix("”") + f"{_gap(speaker)}{start}{_gap(speaker)}{speaker.scene()}"
    )


def _unwrapped(text: str, asked: Constraint, speaker: Speaker) -> str:
    return text.removeprefix("```text\n").removesuffix("\n```").strip("“”")


def _without_first_line(text: str, asked: Constraint, speaker: Speaker) -> str:
    """The line that is a title or a copy; a code fence around the text stays."""
    fence = "```text\n" if text.startswith("```text\n") else ""
    return fence + text.removeprefix(fence).split("\n", 1)[1].lstrip("\n")


def _heading(asked: Constraint) -> str:
    return f"{asked['mark']} {asked['titles'][-1]}"


def _restored(text: str, asked: Constraint, speaker: Speaker) -> str:
    """What was taken back is there again."""
    match asked["what"]:
        case "highlights":
            return re.sub(r"(\w+)", r"**\1**", text, count=1)
        case "placeholders":
            return _more(text, speaker) + " [x]"
        case "title":
            return f"{asked['open']}{speaker.card.name}{asked['close']}\n\n{text}"
        case "postscript":
            return f"{text}\n\n{asked['mark']} {speaker.finished(speaker.scene())}"
    return f"```text\n{text}\n```"


BREAKERS: Final[Mapping[str, Callable[[str, Constraint, Speaker], str]]] = {
    "paragraphs": lambda text, asked, speaker: re.sub(
        rf"\n\n{re.escape(asked['mark'])}\n\n" if asked["mark"] else r"\n\n", _gap(speaker), text, count=1
    ),
    "bullets": _without_item,
    "numbered": _without_item,
    "sections": lambda text, asked, speaker: text.replace(_heading(asked), f"{_heading(asked)}x", 1),
    "table": lambda text, asked, speaker: text.replace(f"| {asked['columns'][1]} |", "| x |", 1),
    "json": lambda text, asked, speaker: _json_with(text, lambda value: value | {"more": 1}),
    "key_order": lambda text, asked, speaker: _json_with(text, _reversed_keys),
    "fence": _unwrapped,
    "title": _without_first_line,
    "quoted": _unwrapped,
    "highlights": lambda text, asked, speaker: re.sub(r"\*\*([^*]+)\*\*", r"\1", text, count=1),
    "placeholders": lambda text, asked, speaker: re.sub(r"\[([^\]]+)\]", r"\1", text, count=1),
    "postscript": lambda text, asked, speaker: text.replace(asked["mark"], "", 1),
    "words": _length,
    "sentences": _length,
    "characters": _length,
    "longest_sentence": _long_sentence,
    "item_words": _long_item,
    "paragraph_sentences": lambda text, asked, speaker: _more(text, speaker),
    "include": lambda text, asked, speaker: _other_word(asked["words"][0], text, speaker),
    "exclude": lambda text, asked, speaker: with_more(text, asked["words"][0], _gap(speaker)),
    "frequency": lambda text, asked, speaker: _other_word(asked["word"], text, speaker, 1),
    "letter": _letter,
    "order": lambda text, asked, speaker: _swapped(text, asked["words"][0], asked["words"][-1]),
    "nth_sentence": lambda text, asked, speaker: _other_word(asked["word"], text, speaker),
    "begins": _prefixed,
    "ends": lambda text, asked, speaker: text.replace(asked["text"], ""),
    "first_word": _prefixed,
    "last_word": lambda text, asked, speaker: with_more(text, "再见。" if speaker.language == "zh" else "Until then."),
    "repeat": _without_first_line,
    "paragraph_start": lambda text, asked, speaker: text.replace(asked["text"], _well(speaker) + asked["text"], 1),
    "distinct_starts": _same_start,
    "acrostic": lambda text, asked, speaker: "\n".join([*text.split("\n")[1:], text.split("\n")[0]]),
    "sorted": _reordered,
    "casing": lambda text, asked, speaker: text.replace("。", ".", 1) if asked["case"] == "full_width" else text.swapcase(),
    "no_commas": lambda text, asked, speaker: re.sub(r"(?<=\w)[.。]", "," if speaker.language == "en" else "，", text, count=1),
    "punctuation": lambda text, asked, speaker: text + "!",
    "without": _restored,
}
"""By kind; `language` is broken by a reply in the other language."""
