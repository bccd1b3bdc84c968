"""The words of a dialogue, as a set of shingles and its MinHash signature.

A shingle is a few words in a row of one message, who says them included. Jaccard similarity is that of the two sets, a
shingle of weight w standing for w elements. System prompt and tools are left out: all rows of a world share them. The hash
is rensa's RMinHash (after Fast Similarity Sketching, arXiv 1704.04370) with a fixed seed, so that a signature depends on
the words alone; one byte is kept of each slot (b-bit minwise hashing, arXiv 0910.3349).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import rensa

from trajectories.deduplication.config import DedupConfig
from trajectories.deduplication.dialogue import Turn

__all__ = ["BY_CHANCE", "shingles_of", "signature_of"]

BY_CHANCE: Final = 1 / 256
"""How often one byte of two signatures agrees although the slots do not."""
_SEED: Final = 42
_CJK: Final = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD: Final = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
"""Chinese, Japanese and Korean are compared by character. A lone surrogate is no word."""
_SPREAD: Final = np.uint32(0x9E3779B1)
"""Odd: the upper byte of a product with it depends on every bit of a slot."""


def signature_of(turns: Iterable[Turn], config: DedupConfig) -> bytes:
    """One byte for each of `config.permutations` slots; no bytes where the dialogue has no words."""
    found = shingles_of(turns, config)
    if not found:
        return b""
    sketch = rensa.RMinHash(config.permutations, _SEED)
    sketch.update(found)
    slots = np.array(sketch.digest(), np.uint32)
    return ((slots * _SPREAD) >> np.uint32(24)).astype(np.uint8).tobytes()


def shingles_of(turns: Iterable[Turn], config: DedupConfig) -> list[str]:
    """The shingles, each as often as its weight says; those of weight 2 and more are numbered."""
    weighed: dict[int, list[str]] = {}
    for turn in turns:
        for weight, words in _passages(turn, config):
            if len(words) > 1 and weight:
                weighed.setdefault(weight, []).extend(_in_a_row(words, config.shingle))
    return [
        shingle if copy == 0 else f"{shingle} #{copy}"
        for weight, shingles in weighed.items()
        for copy in range(weight)
        for shingle in shingles
    ]


def _passages(turn: Turn, config: DedupConfig) -> Iterator[tuple[int, list[str]]]:
    """Weight and words of each part of a message, behind a mark of who says them."""
    if turn.role == "system":
        return
    if turn.role == "tool":
        yield config.results, _words("result:", turn.content)
        return
    yield config.prose, _words(f"{turn.role}:", turn.content)
    if turn.reasoning is not None:
        yield config.prose, _words("reasoning:", turn.reasoning)
    for name, arguments in turn.calls:
        yield config.calls, _words("call:", f"{name} {arguments}")


def _words(mark: str, text: str) -> list[str]:
    return [mark, *_WORD.findall(text.casefold())]


def _in_a_row(words: list[str], size: int) -> list[str]:
    if len(words) <= size:
        return [" ".join(words)]
    return list(map(" ".join, zip(*(words[start:] for start in range(size)), strict=False)))
