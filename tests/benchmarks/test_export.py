"""The benchmark exports what it says: all rows, in every repeat, beside the same table written bare."""

from pathlib import Path

import pytest

from benchmarks.export import ExportBenchmark, _rows, _write_source, measure
from pipelines.export import export_native
from trajectories.shards import read


def test_every_row_has_an_id_of_its_own_and_the_table_is_the_data_set(tmp_path: Path) -> None:
    settings = ExportBenchmark().quick()
    rows = _rows(settings, seed=0)
    table = _write_source(settings, rows, tmp_path)
    assert len({row["id"] for row in rows}) == settings.rows == table.num_rows
    assert [row["id"] for row in read(tmp_path)] == table.column("id").to_pylist()


def test_figures_are_rates_beside_a_bare_write() -> None:
    figures = measure(ExportBenchmark().quick(), repeats=2, seed=0, export=export_native)
    assert len({(figure.name, figure.unit) for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.limit is not None and len(figure.repeats) == len(figure.limit.repeats) == 2
        assert min(figure.repeats) > 0 and figure.ratio is not None


def test_sizes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="rows: must be at least 1"):
        ExportBenchmark(rows=0)
