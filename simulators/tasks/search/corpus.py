"""A corpus in one language behind a search: BM25 over whole pages (bm25s), and snippets of those that are found.

English is cut into words, Chinese into single characters and pairs of neighbours. Equal scores keep the order of the pages, so a
query always finds the same.
"""

import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import bm25s
import numpy as np

from simulators.tasks.search.making import fact_base
from simulators.tasks.search.pages import Page, pages_of, source_of, text_of, title_of

__all__ = ["MOST_RESULTS", "Corpus", "Hit", "corpus", "tokens"]

MOST_RESULTS: Final = 10
_CORPORA: Final = 24
"""That a process keeps."""
_SNIPPET: Final = 240
"""Characters at most."""
_MOST_QUERY: Final = 2_000
"""Characters of a query that are read."""
logging.getLogger("bm25s").setLevel(logging.WARNING)  # it asks for DEBUG when it is imported, whatever the application wants

_PARTS: Final = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]+")
_EXACT: Final = 4
"""Decimals of a score that count."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that was found."""

    page: Page
    title: str
    snippet: str


class Corpus:
    """All pages of one corpus in one language, indexed."""

    def __init__(self, seed: int, language: str) -> None:
        self.language, self.base, pages = language, fact_base(seed), pages_of(seed)
        self.pages = pages.all
        self.by_id = {page.id: page for page in pages.all}
        self._vocabulary: dict[str, int] = {}
        known = self._vocabulary
        ids = [[known.setdefault(token, len(known)) for token in self._words_of(page)] for page in self.pages]
        self._index = bm25s.BM25(k1=1.2, b=0.75)
        self._index.index((ids, dict(known)), show_progress=False)

    def _words_of(self, page: Page) -> list[str]:
        title = title_of(self.base, page, self.language)
        said = [sentence for _, sentences in self.sections(page) for sentence in sentences]
        return tokens(" | ".join((title, title, *said)))

    def sections(self, page: Page) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return text_of(self.base, page, self.language)

    def title(self, page: Page) -> str:
        return title_of(self.base, page, self.language)

    def find(self, query: str, count: int) -> tuple[Page, ...]:
        """The best pages for a query, best first; none for a query without a known word."""
        asked = tokens(query[:_MOST_QUERY])
        known = [self._vocabulary[token] for token in asked if token in self._vocabulary]
        if not known:
            return ()
        scores = np.round(self._index.get_scores_from_ids(known), _EXACT)
        order = np.argsort(-scores, kind="stable")[: min(count, MOST_RESULTS)]
        return tuple(self.pages[place] for place in order if scores[place] > 0)

    def search(self, query: str, count: int) -> tuple[Hit, ...]:
        asked = set(tokens(query[:_MOST_QUERY]))
        return tuple(Hit(page, self.title(page), self._snippet(page, asked)) for page in self.find(query, count))

    def _snippet(self, page: Page, asked: set[str]) -> str:
        """From the sentence that shares most with the query, on."""
        said = [sentence for _, sentences in self.sections(page) for sentence in sentences]
        best = max(range(len(said)), key=lambda place: (len(asked.intersection(tokens(said[place]))), -place))
        return (" " if self.language == "en" else "").join(said[best : best + 2])[:_SNIPPET]

    def shown(self, hit: Hit) -> dict[str, Any]:
        """As `search` tells it."""
        page = hit.page
        source = source_of(page, self.language)
        return {"page_id": page.id, "title": hit.title, "source": source, "date": page.date, "snippet": hit.snippet}


@lru_cache(maxsize=_CORPORA)
def corpus(seed: int, language: str) -> Corpus:
    """The indexed corpus; built once in a process."""
    return Corpus(seed, language)


def tokens(text: str) -> list[str]:
    """Words of Latin letters and digits; of Chinese, characters and pairs of neighbours."""
    found: list[str] = []
    for part in _PARTS.findall(unicodedata.normalize("NFKC", text).lower()):
        found.append(part) if part.isascii() else found.extend(_grams(part))
    return found


def _grams(part: str) -> Sequence[str]:
    return [*part, *(part[place : place + 2] for place in range(len(part) - 1))]
