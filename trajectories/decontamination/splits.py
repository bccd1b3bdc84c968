"""Rows of the training split that are in the held-out split too: by task, dialogue, plan in the same world, or near-equal text.

Rows are those of `trajectories.shards.read`, dialogues or tasks, read once each: the held-out side first. Of a held-out row three
hashes and a bottom-k sketch (Broder 1997) of its n-grams are remembered, about 2.5 kB at `sketch` 128; of a training row nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import xxhash

from trajectories.canonical import canonical_json
from trajectories.decontamination.config import SplitConfig
from trajectories.decontamination.grams import GramIndex, grams_of
from trajectories.decontamination.words import WordReader

__all__ = ["Overlap", "split_overlaps"]

_PROBES: Final = 32
"""Smallest n-grams by which a row is looked up."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A training row that is, in one way, a held-out row."""

    kind: str
    """``task``: the same task id. ``dialogue``: the same messages, system prompts aside. ``plan``: tasks with the same world,
    instance seed and gold calls. ``near_text``: nearly the same words."""
    train: str
    """Id of the training row."""
    held_out: str
    """Id of the first such row held out."""
    overlap: float = 1.0
    """Jaccard similarity for ``near_text``."""


def split_overlaps(
    train_rows: Iterable[Mapping[str, Any]], held_out_rows: Iterable[Mapping[str, Any]], config: SplitConfig | None = None
) -> list[Overlap]:
    """Every training row that overlaps, once for each kind; near text is not searched where the dialogue is equal.

    Args:
        train_rows, held_out_rows: rows of `TRAJECTORY_SCHEMA` (`id`, `task_id` and `messages` are read), or of `TASK_SCHEMA`
            (`id`, `world`, `seed` and `gold`).

    Raises:
        ValueError: a row without these columns; names the split, the row and the column.
    """
    config = config or SplitConfig()
    reader = WordReader()
    held = _HeldOut((_features(row, f"held_out row {n}", config, reader) for n, row in enumerate(held_out_rows)), config)
    found: list[Overlap] = []
    for number, row in enumerate(train_rows):
        found += held.overlaps(_features(row, f"train row {number}", config, reader))
    return found


@dataclass(frozen=True, slots=True)
class _Features:
    id: str
    exact: Mapping[str, int]
    """Kind to a hash; equal hashes overlap."""
    sketch: np.ndarray
    """The smallest distinct n-grams, ascending."""


class _HeldOut:
    """What is remembered of the held-out rows."""

    def __init__(self, rows: Iterable[_Features], config: SplitConfig) -> None:
        self._config = config
        self._ids: list[str] = []
        self._sketches: list[np.ndarray] = []
        self._exact: dict[tuple[str, int], int] = {}
        for number, row in enumerate(rows):
            self._ids.append(row.id)
            self._sketches.append(row.sketch)
            for kind, value in row.exact.items():
                self._exact.setdefault((kind, value), number)
        self._index = GramIndex([sketch[:_PROBES] for sketch in self._sketches])

    def overlaps(self, row: _Features) -> list[Overlap]:
        exact = {kind: self._exact[kind, value] for kind, value in row.exact.items() if (kind, value) in self._exact}
        found = [Overlap(kind, row.id, self._ids[number]) for kind, number in exact.items()]
        return found if "dialogue" in exact else found + self._near(row)

    def _near(self, row: _Features) -> list[Overlap]:
        hits = self._index.find(row.sketch[:_PROBES])
        if hits is None:
            return []
        numbers, shared = np.unique(hits.passages, return_counts=True)
        # Of the smallest n-grams of both rows together each is shared with a chance of the similarity; four deviations below that
        # nothing is lost that can be found at all.
        share, tried = self._config.share, min(len(row.sketch), _PROBES)
        least = share * tried - 4 * (tried * share * (1 - share)) ** 0.5
        candidates = [(self._similarity(row.sketch, self._sketches[number]), -number) for number in numbers[shared >= least]]
        if not candidates or max(candidates)[0] < share:
            return []
        similarity, number = max(candidates)
        return [Overlap("near_text", row.id, self._ids[-number], similarity)]

    def _similarity(self, one: np.ndarray, other: np.ndarray) -> float:
        """Jaccard similarity, estimated from the smallest n-grams of the union."""
        union = np.union1d(one, other)[: self._config.sketch]
        both = np.intersect1d(one, other, assume_unique=True)
        return float(np.count_nonzero(both <= union[-1]) / len(union))


def _features(row: Mapping[str, Any], place: str, config: SplitConfig, reader: WordReader) -> _Features:
    reader.trim()
    identity = _column(row, "id", place)
    if "gold" in row:
        gold = row["gold"]
        plan = [_column(row, "world", place), _column(row, "seed", place), gold.get("initialise"), gold.get("calls")]
        # Texts of tasks are short and made by one grammar: equal words in another instance are another task.
        return _Features(identity, {"task": _hash(identity), "plan": _hash(plan)}, np.zeros(0, dtype=np.uint64))
    said = [message for message in _column(row, "messages", place) if message.get("role") != "system"]
    turns = [[m.get("role"), m.get("content") or "", m.get("reasoning_content") or "", _calls(m)] for m in said]
    texts = [" ".join((content, reasoning, *chain(*calls))) for _, content, reasoning, calls in turns]
    grams = np.unique(grams_of(reader.read(texts)["exact"].words, config.ngram))[: config.sketch]
    return _Features(identity, {"task": _hash(_column(row, "task_id", place)), "dialogue": _hash(turns)}, grams)


def _calls(message: Mapping[str, Any]) -> list[list[str]]:
    """Names and arguments, without ids."""
    return [[call["function"]["name"], call["function"]["arguments"]] for call in message.get("tool_calls") or ()]


def _column(row: Mapping[str, Any], name: str, place: str) -> Any:
    if name not in row:
        raise ValueError(f"{place}: has no column {name}")
    return row[name]


def _hash(value: Any) -> int:
    return xxhash.xxh3_64_intdigest(canonical_json(value).encode("utf-8", "surrogatepass"))
