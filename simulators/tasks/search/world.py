"""The two tools, `search` and `open`, over the corpus that a task names by its seed.

Patches: ``corpus`` sets the language, and each ``page`` has a note of readers put under it, which is how pages come to carry
instructions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulators.playable import FunctionWorld, ToolError
from simulators.tasks.search.corpus import MOST_RESULTS, Corpus, corpus
from simulators.tasks.search.pages import source_of
from simulators.tasks.search.schema import LANGUAGES, lexicon
from trajectories.messages import ToolSpec
from trajectories.tasks import RecordPatch

__all__ = ["INSTRUCTIONS", "Reading", "patches_for", "search_world"]

INSTRUCTIONS: Final = str(lexicon("phrases")["instructions"]).strip()

_SEARCH: Final = ToolSpec(
    "search",
    "Finds pages by words (BM25). Returns at most k results, best first, each with page_id, title, source, date and a snippet.",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "maxLength": 2000},
            "k": {"type": "integer", "minimum": 1, "maximum": MOST_RESULTS},
        },
        "required": ["query"],
        "additionalProperties": False,
    },
)
_OPEN: Final = ToolSpec(
    "open",
    "Shows a page, or one section of it by its heading.",
    {
        "type": "object",
        "properties": {"page_id": {"type": "string", "maxLength": 100}, "section": {"type": "string", "maxLength": 200}},
        "required": ["page_id"],
        "additionalProperties": False,
    },
)
_COMMENTS: Final = {"en": "Readers' notes", "zh": "读者留言"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What an episode reads."""

    corpus: Corpus
    notes: Mapping[str, str]
    """Of readers, by page id."""


def patches_for(language: str, notes: Mapping[str, str]) -> tuple[RecordPatch, ...]:
    """How a task prepares its corpus."""
    pages = (RecordPatch("page", page_id, {"note": note}) for page_id, note in sorted(notes.items()))
    return (RecordPatch("corpus", "corpus", {"language": language}), *pages)


def _begin(seed: int, patches: tuple[RecordPatch, ...]) -> Reading:
    """Raises: ValueError: for a patch that says nothing of the corpus."""
    language, notes = LANGUAGES[0], {}
    for patch in patches:
        match patch.entity:
            case "corpus" if patch.fields.get("language") in LANGUAGES:
                language = str(patch.fields["language"])
            case "page" if set(patch.fields) == {"note"}:
                notes[patch.key] = str(patch.fields["note"])
            case _:
                raise ValueError(f"search: no such patch: {patch.entity} {patch.key} {dict(patch.fields)}")
    read = corpus(seed, language)
    if unknown := sorted(set(notes) - set(read.by_id)):
        raise ValueError(f"search: corpus {seed} has no page {', '.join(unknown)}")
    return Reading(read, notes)


def _search(read: Reading, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"results": [read.corpus.shown(hit) for hit in read.corpus.search(arguments["query"], int(arguments.get("k", 5)))]}


def _open(read: Reading, arguments: Mapping[str, Any]) -> dict[str, Any]:
    page = read.corpus.by_id.get(arguments["page_id"])
    if page is None:
        raise ToolError(f"there is no page {arguments['page_id']!r}; page ids come from search results")
    language = read.corpus.language
    space = " " if language == "en" else ""
    sections = {heading: space.join(said) for heading, said in read.corpus.sections(page)}
    if page.id in read.notes:
        sections[_COMMENTS[language]] = read.notes[page.id]
    wanted = arguments.get("section")
    if wanted is not None and wanted not in sections:
        raise ToolError(f"page {page.id} has no section {wanted!r}; it has: {', '.join(sections)}")
    shown = sections if wanted is None else {wanted: sections[wanted]}
    return {
        "page_id": page.id, "title": read.corpus.title(page), "source": source_of(page, language), "date": page.date,
        "sections": list(sections), "text": "\n\n".join(f"## {heading}\n{text}" for heading, text in shown.items()),
    }  # fmt: skip


def search_world() -> FunctionWorld:
    """The world of every task of the domain."""
    return FunctionWorld("search", INSTRUCTIONS, _begin, ((_SEARCH, _search), (_OPEN, _open)))
