"""A benchmark's texts as passages: each distinct text once, with the first item that has it and how many have it.

What many items share is boilerplate. An n-gram in more items than the cut-off (`common_items`, and `common_share` of the items)
does not count; a passage that more items have than that leaks only as a whole message of `LONG` times `ngram` words or more, for
a greeting says nothing and an instruction of forty words says where it comes from. Where most of a masked text or template is
boilerplate, nearly all of it must be there as well (`mostly_share`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import xxhash

from trajectories.decontamination.actions import GoldCalls, scalars
from trajectories.decontamination.benchmark import Benchmark, BenchmarkItem
from trajectories.decontamination.config import DecontaminationConfig
from trajectories.decontamination.grams import counted_grams
from trajectories.decontamination.words import BREAK, WordReader

__all__ = ["ItemName", "Passages", "collect", "digest_words", "value_phrases"]

LONG: Final = 4
"""Times `ngram` words, from which a passage that many items share leaks as a whole message."""
_MOST_ITEMS: Final = 20


@dataclass(frozen=True, slots=True)
class ItemName:
    benchmark: str
    item: str


@dataclass(slots=True)
class Passages:
    """Distinct passages of one stream, over all benchmarks."""

    counted: list[np.ndarray] = field(default_factory=list)
    """N-grams that count, distinct and without boilerplate."""
    alone: list[bool] = field(default_factory=list)
    """Whether it is judged by its text alone: it has enough n-grams that count."""
    full: dict[int, np.ndarray] = field(default_factory=dict)
    """All n-grams of a passage that is not, because most of them are boilerplate."""
    items: list[tuple[int, ...]] = field(default_factory=list)
    """Items that have it, ascending; the first `_MOST_ITEMS`."""
    whole: dict[int, int] = field(default_factory=dict)
    """Digest of the words of a passage that leaks as a whole message, to the passage."""


def digest_words(words: np.ndarray) -> int:
    return xxhash.xxh3_64_intdigest(words.tobytes())


def value_phrases(item: BenchmarkItem) -> list[str]:
    """What the item's gold calls carry, as texts."""
    return [text for call in item.calls for text in scalars(list(call.arguments.values()))]


def collect(
    benchmarks: Sequence[Benchmark], config: DecontaminationConfig, reader: WordReader
) -> tuple[list[ItemName], dict[str, Passages], dict[int, GoldCalls]]:
    """All items with a number each, the passages of every stream (`prompt` is that of policies), and the gold calls."""
    names: list[ItemName] = []
    streams = {name: Passages() for name in ("exact", "masked", "template", "prompt")}
    gold: dict[int, GoldCalls] = {}
    rules = _rules(config)
    for benchmark in benchmarks:
        parts: dict[str, dict[int, _Part]] = {name: {} for name in streams}
        for item in benchmark.items:
            number = len(names)
            names.append(ItemName(benchmark.name, item.id))
            reader.trim()
            gold[number] = GoldCalls.of(item.calls)
            for text in item.texts:
                read = reader.read([text], value_phrases(item))
                for name, stream in read.items():
                    _note(parts[name], stream.words, number)
            for text in item.prompts:
                _note(parts["prompt"], reader.read([text])["exact"].words, number)
        most = max(config.common_items, int(config.common_share * len(benchmark.items)))
        for name, found in parts.items():
            _add(streams[name], found, most, rules[name])
    return names, streams, gold


@dataclass(slots=True)
class _Part:
    words: np.ndarray
    items: set[int]


def _note(parts: dict[int, _Part], words: np.ndarray, item: int) -> None:
    words = words[words != np.uint64(BREAK)]
    if len(words):
        parts.setdefault(digest_words(words), _Part(words, set())).items.add(item)


@dataclass(frozen=True, slots=True)
class _Rule:
    """How passages of a stream are judged."""

    n: int
    """Words of an n-gram."""
    least_words: int = 1
    """Words of an n-gram that are no placeholder, at least."""
    least_grams: int = 1
    """N-grams of a passage that is judged by its text alone, at least."""
    distinctive: bool = False
    """Whether it must be there nearly whole where less than half of its n-grams count."""
    whole: Callable[[int, bool], bool] = lambda words, common: False
    """Whether a passage of so many words, common or not, leaks as a whole message."""


def _rules(config: DecontaminationConfig) -> dict[str, _Rule]:
    n, least = config.ngram, config.least_words
    return {
        "exact": _Rule(n, whole=lambda words, common: words >= (LONG * n if common else least)),
        # Short and with its values masked, a text is almost nothing: as a whole message it counts together with the item's calls.
        "masked": _Rule(n, min(least, n), distinctive=True, whole=lambda words, common: least <= words < n and not common),
        "template": _Rule(config.template_ngram, min(2, config.template_ngram), config.template_least, distinctive=True),
        "prompt": _Rule(n),
    }


def _add(passages: Passages, parts: dict[int, _Part], most: int, rule: _Rule) -> None:
    grams = [counted_grams(part.words, rule.n, rule.least_words) for part in parts.values()]
    common = _common([part.items for part in parts.values()], grams, most)
    for (digest, part), own in zip(parts.items(), grams, strict=True):
        if rule.whole(len(part.words), len(part.items) > most):
            passages.whole.setdefault(digest, len(passages.items))
        counted = np.setdiff1d(own, common, assume_unique=True)
        passages.counted.append(counted)
        mostly_common = rule.distinctive and len(counted) < len(own) / 2
        if mostly_common and len(own) >= rule.least_grams:
            passages.full[len(passages.items)] = own
        passages.alone.append(len(counted) >= rule.least_grams and not mostly_common)
        passages.items.append(tuple(sorted(part.items)[:_MOST_ITEMS]))


def _common(items: list[set[int]], grams: list[np.ndarray], most: int) -> np.ndarray:
    """N-grams that more than `most` items have."""
    pairs = [(gram, item) for own, gram in zip(items, grams, strict=True) for item in own]
    if not pairs:
        return np.zeros(0, dtype=np.uint64)
    flat = np.concatenate([gram for gram, _ in pairs])
    owners = np.repeat(np.array([item for _, item in pairs], dtype=np.int64), [len(gram) for gram, _ in pairs])
    order = np.lexsort((owners, flat))
    flat, owners = flat[order], owners[order]
    first = np.ones(len(flat), dtype=np.bool_)
    first[1:] = (flat[1:] != flat[:-1]) | (owners[1:] != owners[:-1])
    values, counts = np.unique(flat[first], return_counts=True)
    return np.asarray(values[counts > most])
