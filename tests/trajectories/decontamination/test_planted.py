"""Leaks of every kind planted among rows of all shipped worlds, and near misses: precision and recall of each rule."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import pytest

from pipelines.statistics import clopper_pearson
from tests.trajectories.decontamination.planted import DECOYS, LEAKS, plan, planted, rows, ten_thousand, write_benchmarks
from trajectories.decontamination import KINDS, Decontaminator, read_benchmark
from trajectories.seeds import derive_rng
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

EXACT = ("verbatim", "renamed", "actions", "tool_signature")


@dataclass
class Found:
    """What was found, per rule; a row with a planted leak of a text holds weaker kinds of the same text too."""

    planted: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    """Planted leaks that `check` found, of whatever kind."""
    false_alarms: Counter[str] = field(default_factory=Counter)
    """Rows without a leak, by the rule that fired."""
    clean: int = 0

    def lines(self) -> list[str]:
        lines = [f"{'rule':20} {'recall':>27} {'precision':>27} {'dropped':>9}"]
        for kind in KINDS:
            recall = interval(self.hits[kind], self.planted[kind])
            precision = interval(self.hits[kind], self.hits[kind] + self.false_alarms[kind])
            lines.append(f"{kind:20} {recall:>27} {precision:>27} {self.dropped[kind]:4}/{self.planted[kind]}")
        return [*lines, f"rows without a leak: {self.clean}, of which dropped: {sum(self.false_alarms.values())}"]


def interval(hits: int, trials: int) -> str:
    low, high = clopper_pearson(hits, trials)
    return f"{hits}/{trials} [{100 * low:.2f}, {100 * high:.2f}] %"


def run(directory: Path, made: Iterable[tuple[Task, Trajectory]], items: int, each: int) -> Found:
    """Plants `each` leaks of every kind, then `each` decoys of every kind, in rows; the rest stay as they are."""
    plans = [plan(number, 1) for number in range(items)]
    found = Found()
    decontaminator = Decontaminator([read_benchmark(path) for path in write_benchmarks(directory / "benchmarks", plans)])
    whats: Sequence[str] = [what for what in (*LEAKS, *DECOYS) for _ in range(each)]
    for number, (task, row) in enumerate(made):
        what = whats[number] if number < len(whats) else ""
        rng = derive_rng(0, "plant", number)
        item = plans[rng.randrange(items)]
        if what:
            row = planted(row, what, item, plan(number, 2, strange=True), rng)
        leaks = decontaminator.leaks(row, task)
        if what in LEAKS:
            found.planted[what] += 1
            found.hits[what] += any(leak.kind == what for leak in leaks)
            found.dropped[what] += decontaminator.check(row, task) is not None
        else:
            found.clean += 1
            found.false_alarms.update(leak.kind for leak in leaks)
    return found


def assert_exact(found: Found) -> None:
    assert not found.false_alarms, found.lines()
    for kind in EXACT:
        assert found.hits[kind] == found.planted[kind] > 0, found.lines()
    assert found.hits["paraphrased_values"] >= 0.9 * found.planted["paraphrased_values"], found.lines()


def test_planted_leaks_are_found_and_nothing_else(tmp_path: Path) -> None:
    assert_exact(run(tmp_path, islice(cycle(list(rows(40))), 240), 600, 20))


@pytest.mark.planted
@pytest.mark.timeout(1800)
def test_ten_thousand_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(tmp_path, ten_thousand(), 2000, 200)
    with capsys.disabled():
        print("\n" + "\n".join(found.lines()))
    assert_exact(found)
