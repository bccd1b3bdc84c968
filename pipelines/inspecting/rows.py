"""Rows of a data set, chosen to be read: filtered, drawn by the seed or taken from the start, with the tasks they belong to.

One pass over the files with a row group in memory; of the rows that match, only those that are wanted are kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from trajectories.card.counts import verdict_of, world_label
from trajectories.card.dialogue import arguments_of, as_object, called_tools, lifted, messages_of, text_of, tools_of
from trajectories.card.folder import Files, pick_splits
from trajectories.card.reading import whole_rows
from trajectories.seeds import derive_rng

__all__ = ["Chosen", "Sample", "Where", "choose"]

Verdict = Literal["passed", "failed", "fault", "unjudged"]


@dataclass(frozen=True, kw_only=True)
class Where:
    """Rows must meet every condition that is set; a row that does not say meets none."""

    splits: tuple[str, ...] = ()
    """In one of these splits; empty: any."""
    worlds: tuple[str, ...] = ()
    """In one of these worlds (order_desk, education/exam_office); empty: any."""
    tags: tuple[str, ...] = ()
    """At least one of these tags; empty: any."""
    languages: tuple[str, ...] = ()
    """The user speaks one of these languages; empty: any."""
    personas: tuple[str, ...] = ()
    """The user is one of these personas; empty: any."""
    verdicts: tuple[Verdict, ...] = ()
    """passed, failed, fault (something else broke), unjudged; empty: any."""
    attributions: tuple[str, ...] = ()
    """Who is to blame for the failure: agent, user, tool, infrastructure; empty: any."""
    tools: tuple[str, ...] = ()
    """At least one of these tools is called; empty: any."""
    contains: str = ""
    """Text that a message or the arguments of a call hold, in any case; empty: any."""
    ids: tuple[str, ...] = ()
    """One of these ids, of a dialogue or of a task; empty: any."""

    def admits(self, sample: "Sample") -> bool:
        """Whether every condition is met, the split's apart."""
        row, about = sample.row, sample.about
        labels = {sample.world, row.get("world")}
        return (
            _meets(self.worlds, labels)
            and _meets(self.tags, about.get("tags"))
            and _meets(self.languages, [about.get("language")])
            and _meets(self.personas, [about.get("persona")])
            and _meets(self.verdicts, [sample.verdict])
            and _meets(self.attributions, [about.get("attribution")])
            and _meets(self.ids, [row.get("id"), row.get("task_id")])
            and (not self.tools or _meets(self.tools, called_tools(sample.messages)))
            and (not self.contains or self.contains.casefold() in _heard(sample.messages).casefold())
        )


@dataclass(frozen=True)
class Sample:
    """A row to be read, whatever format it has."""

    split: str
    number: int
    """Of the row in its split, from 0."""
    row: Mapping[str, Any]
    task: Mapping[str, Any] = field(default_factory=dict)
    """The row of its task; empty where there is none beside the data."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        return messages_of(self.row)

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """Of a preference pair: how the other dialogue goes on."""
        return messages_of({"messages": self.row["rejected"]}) if self.row.get("rejected") is not None else []

    @property
    def tools(self) -> list[dict[str, Any]]:
        return tools_of(self.row)

    @property
    def name(self) -> str:
        """Its id; without one, its task's or its place."""
        return str(self.row.get("id") or self.row.get("task_id") or f"{self.split} {self.number}")

    @property
    def world(self) -> str:
        return world_label(str(self.row.get("world") or ""))

    @property
    def verdict(self) -> str:
        """Empty where rows have none."""
        return verdict_of(self.row) or ""

    @property
    def about(self) -> Mapping[str, Any]:
        return as_object(self.row.get("metadata"))


@dataclass(frozen=True)
class Chosen:
    samples: tuple[Sample, ...]
    """In the order of the data set."""
    matching: int
    """Rows that meet the conditions."""


def choose(
    files: Files, where: Where, count: int, *, pick: Literal["seed", "first"], seed: int, tasks: Files | None = None
) -> Chosen:
    """At most `count` rows that meet the conditions: an even draw by the seed, or the first.

    Args:
        tasks: the tasks beside the data, from which each sample is given its own.

    Raises:
        ValueError: a split that is not there.
        ShardError: a damaged file, by name.
    """
    rng, kept, matching = derive_rng(seed, "inspect"), list[Sample](), 0
    for sample in _samples(files, where.splits):
        if not where.admits(sample):
            continue
        matching += 1
        if len(kept) < count:
            kept.append(sample)
        elif pick == "seed" and (place := rng.randrange(matching)) < count:  # reservoir sampling (Vitter's algorithm R)
            kept[place] = sample
    order = list(files.paths)
    kept.sort(key=lambda sample: (order.index(sample.split), sample.number))
    return Chosen(tuple(_with_tasks(kept, tasks)), matching)


def _samples(files: Files, splits: Sequence[str]) -> Iterator[Sample]:
    for split, paths in pick_splits(files, splits or None).items():
        number = 0
        for path in paths:
            for row in whole_rows(path):
                yield Sample(split, number, lifted(row))
                number += 1


def _with_tasks(samples: Sequence[Sample], tasks: Files | None) -> list[Sample]:
    wanted = {sample.row.get("task_id") for sample in samples} - {None}
    found: dict[Any, Mapping[str, Any]] = {}
    for path in (path for paths in (tasks.paths.values() if tasks is not None and wanted else ()) for path in paths):
        found |= {row["id"]: row for row in whole_rows(path) if row.get("id") in wanted}
    for sample in samples:  # some formats carry the whole task in the row
        if (task := as_object(sample.row.get("task"))) and task.get("id") in wanted:
            found.setdefault(task["id"], task)
    return [replace(sample, task=found.get(sample.row.get("task_id"), {})) for sample in samples]


def _meets(wanted: Sequence[str], held: Any) -> bool:
    return not wanted or any(value in wanted for value in held or ())


def _heard(messages: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for message in messages:
        parts += [text_of(message.get("content")), message.get("reasoning_content") or ""]
        parts += [arguments_of(call) for call in message.get("tool_calls") or ()]
    return "\n".join(parts)
