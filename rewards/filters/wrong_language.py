"""Prose of the assistant in another language than the user's, told by its script: Han for Chinese, Latin for English.

A turn's foreign share is `foreign / (foreign + own)`, in Chinese characters; a word of any other script weighs as two, which
is about what its translation takes. What stands in quotation marks or code, what the user or a tool has said, and names of
tools and fields are not foreign, whatever their script: they are quoted. The commonest words of English are, outside of
something quoted whole, for a tool that answers in sentences would excuse them all.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rewards.filters.config import FilterConfig
from rewards.filters.finding import Finding, spoken
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["wrong_language"]

_HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LATIN: Final = r"A-Za-z\u00c0-\u024f\uff21-\uff3a\uff41-\uff5a"
_HAN_CHARACTER: Final = re.compile(f"[{_HAN}]")
_LATIN_WORD: Final = re.compile(f"[{_LATIN}]+(?:['’][{_LATIN}]+)?")
_FOREIGN_RUN: Final = {
    "zh": re.compile(rf"[^\W\d_{_HAN}](?:[^{_HAN}\n，。！？；：、（）「」]*[^\W_{_HAN}])?"),
    "en": re.compile(rf"[^\W\d_{_LATIN}](?:[^\n.!?,;:A-Za-z]*[^\W\d_{_LATIN}])?"),
}
"""By the user's language: from the first foreign letter to the last one before something of its own, or the sentence's end."""
_WORD: Final = re.compile(rf"[{_HAN}]|[^\W\d_{_HAN}]+(?:['’][^\W\d_{_HAN}]+)?")
_QUOTED: Final = re.compile(
    r"```.*?```|`[^`\n]*`|\"[^\"\n]*\"|“[^“”\n]*”|「[^「」\n]*」|『[^『』\n]*』|《[^《》\n]*》|'[^'\n]{2,60}'(?!\w)"
    r"|https?://\S+|[\w.+-]{1,64}@[\w-]{1,64}\.\w+"
    r"|(?a:\b\w*[\d_]\w*\b)|(?a:\b[A-Z]{2,5}\b)",
    re.DOTALL,
)
"""Quotations, code, addresses, ids, and abbreviations in capitals."""
_COMMON: Final = frozenset(
    re.findall(
        r"\w+",
        "a an the is are was were be been am it its this that these those of to for from with in on at by as and or but if so not"
        " no yes i you he she we they your my our their me us them have has had do does did done can could will would should may"
        " please sorry thanks thank there here what which when who how now all any cannot",
    )
)
_EXCUSED: Final = frozenset(("ok", "okay", "hi"))
_CHARACTERS_OF_A_WORD: Final = 2


def wrong_language(trajectory: Trajectory, task: Task | None, config: FilterConfig) -> Finding | None:
    """Nothing is found where nobody says which language the user speaks, or where it is neither Chinese nor English."""
    language = trajectory.metadata.get("language") or (task.persona.language if task is not None else "")
    if task is not None and task.domain == "instructions":
        language = (task.key or {}).get("language", language)  # the task says which, and it may be another than the user's
    if language not in ("zh", "en"):
        return None
    said: _Quotable | None = None
    for at, text in spoken(trajectory):
        if language == "en" and text.isascii():
            continue  # no letter of another script
        prose = _QUOTED.sub(" ", text)
        runs = [run[0] for run in _FOREIGN_RUN[language].finditer(prose)]
        if not runs:
            continue
        said = said or _Quotable.of(_said(trajectory))
        if _share(prose, runs, language, said)[0] <= config.max_foreign_share:
            continue
        # Names of tools are many and seldom said, so they are looked at last.
        share, words = _share(prose, runs, language, _Quotable.of([*_said(trajectory), *_names(trajectory)]))
        if share > config.max_foreign_share:
            return Finding(f"messages[{at}]", f"{share:.0%} is not in the user's language, {language}", words)
    return None


@dataclass(frozen=True, slots=True)
class _Quotable:
    """Texts, and their words."""

    text: str
    words: frozenset[str]

    @staticmethod
    def of(texts: Iterable[str]) -> "_Quotable":
        text = "\n".join(texts).casefold().replace("_", " ")
        return _Quotable(text, frozenset(_WORD.findall(text)))


def _said(trajectory: Trajectory) -> list[str]:
    """By the user and the tools, and what the tools were told."""
    messages = trajectory.messages
    return [item.content for item in messages if item.role in ("user", "tool")] + [
        call.arguments for item in messages for call in item.tool_calls
    ]


def _names(trajectory: Trajectory) -> Iterator[str]:
    """Of the tools and their arguments, and the texts of which one of these may be one."""
    for tool in trajectory.tools:
        yield tool.name
        for name, schema in tool.inputSchema.get("properties", {}).items():
            yield name
            if isinstance(schema, Mapping):
                yield from (value for value in schema.get("enum", ()) if isinstance(value, str))


def _share(prose: str, runs: Sequence[str], language: str, quotable: _Quotable) -> tuple[float, str]:
    """The foreign share, and the run with most foreign words."""
    counted = [_foreign_words(run, language, quotable) for run in runs]
    foreign = sum(_weight(word) for words in counted for word in words)
    longest = max(range(len(runs)), key=lambda index: len(counted[index]))
    return foreign / (foreign + _own(prose, language)) if foreign else 0.0, runs[longest]


def _foreign_words(run: str, language: str, quotable: _Quotable) -> list[str]:
    """The words of a run that are not the user's language, and that nobody has said before."""
    folded = run.casefold()
    words = [word for word in _WORD.findall(folded) if language == "en" or (len(word) > 1 and word not in _EXCUSED)]
    if folded in quotable.text and not _COMMON.issuperset(words):
        return []
    return words if language == "en" else [word for word in words if word in _COMMON or word not in quotable.words]


def _weight(word: str) -> int:
    return 1 if _HAN_CHARACTER.match(word) else _CHARACTERS_OF_A_WORD


def _own(prose: str, language: str) -> int:
    if language == "zh":
        return len(_HAN_CHARACTER.findall(prose))
    return _CHARACTERS_OF_A_WORD * len(_LATIN_WORD.findall(prose))
