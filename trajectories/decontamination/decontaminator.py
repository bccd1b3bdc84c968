"""Whether a row leaks from a benchmark: five rules over one index, pure and small enough to travel to every worker.

What is searched: everything that user, assistant (its reasoning too) and tools say, what the task makes the user say, and the
calls; the system prompt only for policies and system prompts, so that a world's own prompt never stands for a question.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trajectories.decontamination.actions import ActionIndex, MadeCall, calls_of, planned_call
from trajectories.decontamination.benchmark import Benchmark
from trajectories.decontamination.config import DecontaminationConfig
from trajectories.decontamination.grams import GramIndex, grams_of
from trajectories.decontamination.passages import collect, digest_words
from trajectories.decontamination.tools import ToolIndex
from trajectories.decontamination.words import Stream, WordReader
from trajectories.messages import ToolSpec
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["Decontaminator", "Leak"]

_MOST_EVIDENCE: Final = 30
"""Words of evidence."""
_MOST_CHARACTERS: Final = 400
_MOST_PROMPTS: Final = 1024


@dataclass(frozen=True, slots=True)
class Leak:
    """A row holds an item of a benchmark."""

    benchmark: str
    item: str
    """Where several items share the text, the first."""
    kind: str
    """``verbatim``, ``actions``, ``renamed``, ``paraphrased_values`` or ``tool_signature``."""
    overlap: float
    """Share of the item's passage, calls or tools that the row has, 0 to 1."""
    evidence: str = ""
    """Words or calls of the row that it rests on, normalised."""


@dataclass(slots=True)
class _Row:
    """A row as the rules see it."""

    streams: dict[str, Stream]
    dialogues: tuple[list[MadeCall], ...]
    """The calls that were made, and the task's gold calls."""
    prompt: str
    tools: Sequence[ToolSpec]


@dataclass(slots=True)
class _Texts:
    """Passages of one stream, indexed."""

    n: int
    """Words of an n-gram."""
    index: GramIndex
    whole: Mapping[int, int]
    items: Sequence[tuple[int, ...]]
    alone: np.ndarray
    """Per passage, whether it is judged by its text alone."""
    full: Mapping[int, np.ndarray]
    """All n-grams of passages that are mostly boilerplate."""

    def holds(self, passage: int, grams: np.ndarray, share: float) -> bool:
        """Whether a passage of which enough n-grams are in `grams` is there by its text alone."""
        full = self.full.get(passage)
        return bool(self.alone[passage]) or (full is not None and float(np.isin(full, grams).mean()) >= share)


class Decontaminator:
    """All benchmarks in one index."""

    def __init__(self, benchmarks: Sequence[Benchmark], config: DecontaminationConfig | None = None) -> None:
        self.config = config = config or DecontaminationConfig()
        self._reader = WordReader()
        self._names, streams, self._gold = collect(benchmarks, config, self._reader)
        self._texts = {
            name: _Texts(
                config.template_ngram if name == "template" else config.ngram,
                GramIndex(found.counted),
                found.whole,
                found.items,
                np.array(found.alone, dtype=np.bool_),
                found.full,
            )
            for name, found in streams.items()
        }
        tools = {i: item.tools for i, item in enumerate(item for benchmark in benchmarks for item in benchmark.items)}
        self._tool_index = ToolIndex(tools, config.schema_share, config.tool_share, config.tool_weight)
        self._action_index = ActionIndex(self._gold, config.action_weight)
        self._prompts: dict[str, Leak | None] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_reader": WordReader(), "_prompts": {}}

    @property
    def num_bytes(self) -> int:
        """Memory of the n-gram indexes, which is nearly all."""
        full = sum(grams.nbytes for texts in self._texts.values() for grams in texts.full.values())
        return full + sum(texts.index.num_bytes for texts in self._texts.values())

    @property
    def num_grams(self) -> dict[str, int]:
        """Distinct n-grams per stream."""
        return {name: texts.index.num_grams for name, texts in self._texts.items()}

    def check(self, trajectory: Trajectory, task: Task | None = None) -> Leak | None:
        """The surest leak among the kinds of `config.reasons`, or None.

        Args:
            task: the row's task, where there is one: what it makes the user say and its gold calls are compared too.
        """
        return next((leak for leak in self._leaks(trajectory, task) if leak.kind in self.config.reasons), None)

    def leaks(self, trajectory: Trajectory, task: Task | None = None) -> tuple[Leak, ...]:
        """The best leak of every kind, surest kind first, whatever `config.reasons` says."""
        return tuple(self._leaks(trajectory, task))

    def _leaks(self, trajectory: Trajectory, task: Task | None) -> Iterator[Leak]:
        row = self._read(trajectory, task)
        for rule in (self._verbatim, self._same_calls, self._renamed, self._paraphrased, self._same_tools):
            leak = rule(row)
            if leak is not None:
                yield leak

    def _read(self, trajectory: Trajectory, task: Task | None) -> _Row:
        self._reader.trim()
        dialogues = [calls_of(trajectory.messages)]
        texts = [text for m in trajectory.messages if m.role != "system" for text in (m.content, m.reasoning_content) if text]
        if task is not None:
            ledger = task.ledger
            texts += [ledger.opening, ledger.goal, *(fact.answer for fact in ledger.facts), *ledger.follow_ups]
            dialogues.append([planned_call(call.tool, call.arguments) for call in task.gold.calls if call.tool])
        values = {value for calls in dialogues for call in calls for value in call.arguments.values()}
        prompt = "\n".join(m.content for m in trajectory.messages if m.role == "system")
        # What the task makes the user say was mostly said.
        return _Row(self._reader.read(list(dict.fromkeys(texts)), values), tuple(dialogues), prompt, trajectory.tools)

    def _verbatim(self, row: _Row) -> Leak | None:
        texts, stream = self._texts["exact"], row.streams["exact"]
        for passage, message in _whole_messages(texts.whole, stream):
            return self._leak("verbatim", texts.items[passage][0], 1.0, self._reader.spell(message[:_MOST_EVIDENCE]))
        return self._by_share("verbatim", texts, stream.words) or self._in_prompt(row.prompt)

    def _in_prompt(self, prompt: str) -> Leak | None:
        texts = self._texts["prompt"]
        if not prompt or not texts.index.num_grams:
            return None
        try:
            return self._prompts[prompt]  # at once: another thread may clear it
        except KeyError:
            pass
        if len(self._prompts) >= _MOST_PROMPTS:
            self._prompts.clear()
        self._prompts[prompt] = leak = self._by_share("verbatim", texts, self._reader.read([prompt])["exact"].words)
        return leak

    def _same_calls(self, row: _Row) -> Leak | None:
        for calls in row.dialogues:
            item = self._action_index.find(calls)
            if item is not None:
                return self._leak("actions", item, 1.0, ", ".join(map(str, calls)))
        return None

    def _renamed(self, row: _Row) -> Leak | None:
        texts, stream = self._texts["masked"], row.streams["masked"]
        leak = self._by_share("renamed", texts, stream.words)
        if leak is not None:
            return leak
        for passage, message in _whole_messages(texts.whole, stream):
            item = self._item_with_calls(texts.items[passage], row)
            if item is not None:
                return self._leak("renamed", item, 1.0, self._reader.spell(message))
        return None

    def _by_share(self, kind: str, texts: _Texts, words: np.ndarray) -> Leak | None:
        """The passage of which `words` hold the largest share, where that is enough."""
        grams, config = grams_of(words, texts.n), self.config
        hits = texts.index.find(grams)
        if hits is None:
            return None
        passages, counts = np.unique(hits.passages, return_counts=True)
        shares = counts / texts.index.sizes[passages]
        enough = np.flatnonzero((shares >= config.share) | (counts >= config.enough))
        for i in enough[np.lexsort((passages[enough], -shares[enough]))]:
            if counts[i] >= config.enough or texts.holds(int(passages[i]), grams, config.mostly_share):
                places = hits.places[hits.passages == passages[i]]
                return self._leak(kind, texts.items[passages[i]][0], float(shares[i]), self._quote(words, places, texts.n))
        return None

    def _paraphrased(self, row: _Row) -> Leak | None:
        texts, stream, config = self._texts["template"], row.streams["template"], self.config
        grams = grams_of(stream.words, texts.n)
        # Many short n-grams occur somewhere in a long dialogue; those of one message say more.
        messages = np.searchsorted(stream.starts, np.arange(len(grams)), side="right")
        hits = texts.index.find(grams, messages)
        if hits is None:
            return None
        sizes = texts.index.sizes
        keys, counts = np.unique(messages[hits.places] * len(sizes) + hits.passages, return_counts=True)
        message, passage = np.divmod(keys, len(sizes))
        shares = counts / sizes[passage]
        enough = np.flatnonzero(shares >= config.template_share_with_calls)
        for i in enough[np.lexsort((passage[enough], -shares[enough]))]:
            here = grams[messages == message[i]]
            alone = shares[i] >= config.template_share and texts.holds(int(passage[i]), here, config.mostly_share)
            items = texts.items[passage[i]]
            item = items[0] if alone else self._item_with_calls(items, row)
            if item is not None:
                places = hits.places[(hits.passages == passage[i]) & (messages[hits.places] == message[i])]
                return self._leak("paraphrased_values", item, float(shares[i]), self._quote(stream.words, places, texts.n))
        return None

    def _item_with_calls(self, items: Sequence[int], row: _Row) -> int | None:
        """The first item whose gold calls the row makes, with whatever values."""
        weighty = [item for item in items if self._gold[item].weight >= self.config.action_weight]
        return next((i for i in weighty if any(self._gold[i].made_by(c, any_values=True) for c in row.dialogues)), None)

    def _same_tools(self, row: _Row) -> Leak | None:
        match = self._tool_index.find(row.tools)
        return None if match is None else self._leak("tool_signature", match.item, match.overlap, ", ".join(match.tools))

    def _leak(self, kind: str, item: int, overlap: float, evidence: str) -> Leak:
        name = self._names[item]
        return Leak(name.benchmark, name.item, kind, overlap, evidence[:_MOST_CHARACTERS])

    def _quote(self, words: np.ndarray, places: np.ndarray, n: int) -> str:
        """The longest run of words that n-grams at `places` cover."""
        places = np.unique(places)
        runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        longest = max(runs, key=len)
        return self._reader.spell(words[longest[0] : longest[-1] + n][:_MOST_EVIDENCE])


def _whole_messages(whole: Mapping[int, int], stream: Stream) -> Iterator[tuple[int, np.ndarray]]:
    """(passage, words) of every message that equals a passage."""
    for message in stream.texts() if whole else ():
        passage = whole.get(digest_words(message))
        if passage is not None:
            yield passage, message
