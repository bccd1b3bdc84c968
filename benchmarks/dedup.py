"""Rows per second of deduplication, and what its state costs, beside rensa alone on the same words and as many signatures.

Features are computed of synthesised dialogues, one core; bare is the MinHash of their ready-made shingles. Rows are added to
a state that holds all those before; bare is rensa's own index, asked and told of ready-made sketches. Signatures that are
added are random, as those of unlike dialogues are; the last figure adds rows that resemble each other by a half.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import rensa

from benchmarks.figure import Figure, Limit, seconds_of, take_turns
from rewards.verifiers import verifier_for
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks.stream import TaskStream
from trajectories.deduplication import DedupConfig, Deduplicator, Features, features
from trajectories.deduplication.dialogue import turns_of
from trajectories.deduplication.shingles import shingles_of
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["DedupBenchmark", "measure"]

_ROWS: Final = "rows/s"
_STREAM: Final = TaskStream(families=("act", "refuse", "search"))
_CROWDED: Final = DedupConfig(threshold=0.9, same_course=False, band_rows=8)


@dataclass(frozen=True, kw_only=True)
class DedupBenchmark:
    dialogues: int = 1000
    """Different dialogues whose features are computed."""
    rows: int = 100_000
    """Rows that are added, all of them kept."""
    crowd: int = 10_000
    """Rows that resemble each other, all of them kept; every course is compared."""

    def __post_init__(self) -> None:
        for key in ("dialogues", "rows", "crowd"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")

    def quick(self) -> "DedupBenchmark":
        return replace(self, dialogues=20, rows=2000, crowd=200)


def measure(settings: DedupBenchmark, repeats: int, seed: int) -> list[Figure]:
    """Rows per second of features and of adding; MiB of the state."""
    config = DedupConfig()
    return [
        _features(settings, config, repeats, seed),
        *_adding(settings, config, repeats, seed),
        _crowded(settings, repeats, seed),
    ]


def _features(settings: DedupBenchmark, config: DedupConfig, repeats: int, seed: int) -> Figure:
    made = [_dialogue(number, seed) for number in range(settings.dialogues)]
    words = [shingles_of(turns_of(trajectory.messages), config) for _, trajectory in made]

    def ours() -> float:
        return len(made) / seconds_of(lambda: [features(trajectory, task, config) for task, trajectory in made])

    def bare() -> float:
        return len(made) / seconds_of(lambda: [_sketch(row, config).digest() for row in words])

    ours_rates, bare_rates = take_turns(repeats, ours, bare)
    details = {
        "messages": sum(len(trajectory.messages) for _, trajectory in made) / len(made),
        "shingles": sum(map(len, words)) / len(made),
    }
    return Figure("features of a dialogue, one core", _ROWS, ours_rates, Limit("MinHash of its shingles", bare_rates), details)


def _adding(settings: DedupBenchmark, config: DedupConfig, repeats: int, seed: int) -> list[Figure]:
    rows = random_features(config, settings.rows, seed)
    sketches = [_sketch([str(number)], config) for number in range(settings.rows)]
    held: list[Deduplicator] = []

    def ours() -> float:
        held.clear()
        held.append(Deduplicator(config))
        return len(rows) / seconds_of(lambda: _add(held[0], rows))

    def bare() -> float:
        held.clear()
        index = rensa.RMinHashLSH(config.threshold, config.permutations, config.bands)
        return len(rows) / seconds_of(lambda: _ask_and_tell(index, sketches))

    ours_rates, bare_rates = take_turns(repeats, ours, bare)
    ours()
    state, stated = held[0].state_bytes / 2**20, held[0].bytes_per_row * len(rows) / 2**20
    details = {"rows": float(len(rows)), "stated_bytes_per_row": float(held[0].bytes_per_row)}
    return [
        Figure("adding a row to those kept", _ROWS, ours_rates, Limit("rensa's index of sketches", bare_rates), details),
        Figure("state of the rows kept", "MiB", (state,), Limit("stated at most", (stated,), "<= 1"), details),
    ]


def _crowded(settings: DedupBenchmark, repeats: int, seed: int) -> Figure:
    rng = np.random.default_rng(seed)
    template = rng.integers(0, 256, _CROWDED.permutations, np.uint8)
    rows = []
    for row in random_features(_CROWDED, settings.crowd, seed):
        # Two rows agree in a slot where both have the template's.
        own = np.where(rng.random(len(template)) < 0.5**0.5, template, np.frombuffer(row.signature, np.uint8))
        rows.append(replace(row, signature=own.astype(np.uint8).tobytes()))
    (rates,) = take_turns(repeats, lambda: len(rows) / seconds_of(lambda: _add(Deduplicator(_CROWDED), rows)))
    details = {"rows": float(len(rows)), "chance_of_candidate": _CROWDED.chance(0.5)}
    return Figure("adding rows that resemble each other by a half, every course", _ROWS, rates, None, details)


def random_features(config: DedupConfig, count: int, seed: int) -> list[Features]:
    """Of unlike dialogues: every byte is random."""
    size = 32 + config.permutations
    data = np.random.default_rng(seed).bytes(count * size)
    rows = (data[start : start + size] for start in range(0, len(data), size))
    key = config.features_key()
    return [Features(key, row[:16], row[16:24], row[24:32], row[32:]) for row in rows]


def _dialogue(number: int, seed: int) -> tuple[Task, Trajectory]:
    verify = verifier_for("tool_use").verify
    return synthesize(number, _STREAM, ScriptedPolicy(), run_seed=seed, split="train", verify=verify)


def _sketch(words: list[str], config: DedupConfig) -> rensa.RMinHash:
    sketch = rensa.RMinHash(config.permutations, 42)
    sketch.update(words)
    return sketch


def _add(deduplicator: Deduplicator, rows: list[Features]) -> None:
    for number, row in enumerate(rows):
        deduplicator.add(row, number)


def _ask_and_tell(index: rensa.RMinHashLSH, sketches: list[rensa.RMinHash]) -> None:
    for number, sketch in enumerate(sketches):
        index.query(sketch)
        index.insert(number, sketch)
