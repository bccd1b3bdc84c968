"""What is measured is what is said: rows that are kept, and rows that resemble each other as much as they should."""

import pytest

from benchmarks.dedup import DedupBenchmark, measure, random_features
from trajectories.deduplication import DedupConfig, Deduplicator


def test_every_figure_is_there_and_the_state_is_within_what_is_stated() -> None:
    figures = measure(DedupBenchmark().quick(), repeats=1, seed=0)
    assert [figure.unit for figure in figures] == ["rows/s", "rows/s", "MiB", "rows/s"]
    assert all(figure.median > 0 for figure in figures)
    assert figures[2].ratio is not None and figures[2].ratio <= 1


def test_random_rows_are_all_kept() -> None:
    config = DedupConfig()
    deduplicator = Deduplicator(config)
    assert not any(deduplicator.add(row, number) for number, row in enumerate(random_features(config, 500, seed=1)))


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="rows: must be at least 1, not 0"):
        DedupBenchmark(rows=0)
