"""Certified tasks as a data set, and some of them for a person to read."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipelines.cluster import in_order
from pipelines.progress import Progress
from rewards.verifiers import verify
from simulators.tasks.domains.stream import DomainMix
from simulators.tasks.stream import TaskStream
from trajectories.codec import TASK_SCHEMA, from_row, to_row
from trajectories.shards import ShardWriter, read
from trajectories.tasks import Split, Task

if TYPE_CHECKING:
    from pipelines.gym import Gym

__all__ = ["parts", "sample_tasks", "shown", "stream_of", "task_text"]

_CHUNK: Final = 10
_MOST_CHARACTERS: Final = 3_000
"""Of a prompt on the console."""


def stream_of(config: "Gym", domain: str) -> TaskStream:
    """The numbered tasks of one domain."""
    return replace(config.tasks, domains=(domain,), gym=config.mix)


def sample_tasks(config: "Gym", directory: Path, progress: Progress, *, resume: bool) -> dict[str, Any]:
    """Writes ``data/<split>-*.parquet``: `config.count` certified tasks of each domain. Needs a running Ray."""
    total = config.count * len(config.chosen)
    with (
        progress.phase("sample", total=total, unit="tasks") as phase,
        ShardWriter(directory, schema=TASK_SCHEMA, split=config.split, resume=resume) as writer,
    ):
        phase.start_from(writer.rows_written)
        for row in _rows(config, writer.rows_written):
            writer.append(row)
            phase.advance()
    counts, characters = Counter[str](), Counter[str]()
    for row in read(directory, config.split):
        counts[row["domain"]] += 1
        characters[row["domain"]] += len(row["ledger"]["opening"])
    return {"tasks": dict(counts), "characters": dict(characters)}


def parts(config: "Gym", done: int, size: int) -> Iterator[tuple[str, range]]:
    """What is left to do after the first `done` of all numbers of all domains: a domain and some of its numbers, in order."""
    for domain in config.chosen:
        skipped = min(done, config.count)
        done -= skipped
        last = config.number + config.count
        for start in range(config.number + skipped, last, size):
            yield domain, range(start, min(start + size, last))


def _rows(config: "Gym", done: int) -> Iterator[dict[str, Any]]:
    context = (config.tasks, config.mix, config.seed, config.split)
    for rows in in_order(_make, context, parts(config, done, _CHUNK), config.workers):
        yield from rows


def _make(context: tuple[TaskStream, DomainMix, int, Split], part: tuple[str, range]) -> list[dict[str, Any]]:
    (tasks, mix, seed, split), (domain, numbers) = context, part
    stream = replace(tasks, domains=(domain,), gym=mix)
    return [to_row(task) for task in stream.tasks(numbers, run_seed=seed, split=split, verify=verify)]


def shown(directory: Path, split: Split, each: int) -> Iterator[str]:
    """The first tasks of each domain, as text."""
    seen = Counter[str]()
    for row in read(directory, split):
        if seen[row["domain"]] < each:
            seen[row["domain"]] += 1
            yield task_text(from_row(Task, row))


def task_text(task: Task) -> str:
    """A task for a person: what is asked, what the oracle does, what its cheats scored."""
    head = f"{task.domain}  {task.id}  level {task.difficulty}  {task.persona.language}  {' '.join(task.tags)}"
    calls = [f"  {call.tool} {dict(call.arguments)}" for call in task.gold.calls]
    cheats = ", ".join(f"{name} {score:g}" for name, score in task.certificate.cheats.items()) if task.certificate else "none"
    parts = [head, "-" * len(head), _shortened(task.ledger.opening)]
    parts += [f"then: {_shortened(text)}" for text in task.ledger.follow_ups]
    parts += ["\noracle calls", *calls] if calls else []
    return "\n".join([*parts, "\noracle says", _shortened(task.gold.reply), f"\ncheats: {cheats}"])


def _shortened(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    half = _MOST_CHARACTERS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"
