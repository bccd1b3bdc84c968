"""`orrery bench` from the command line to the table and the summary; what it measures is not looked at."""

import json
import sys
from pathlib import Path

import pytest

from pipelines import cli
from pipelines.bench import BENCHMARKS, Bench
from pipelines.schema import load


def bench(monkeypatch: pytest.MonkeyPatch, directory: Path, *overrides: str) -> int:
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "argv", ["orrery", "bench", "out=here", *overrides])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def figures(directory: Path) -> dict:
    summary = json.loads((directory / "here" / "summary.json").read_text())
    assert summary["machine"]["processor"] and {"python", "torch", "ray"} <= set(summary["machine"]["versions"])
    assert summary["command"].startswith("orrery bench")
    return summary["figures"]


def test_an_unknown_benchmark_is_named_with_those_that_exist(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, tmp_path, "only=[rolout]") == 2
    error = capsys.readouterr().err
    assert "only: rolout is not among" in error and all(name in error for name in BENCHMARKS)


def test_learning_rates_that_would_change_the_work_between_repeats_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, tmp_path, "trainer.trainer.optimizer.adam_lr=0.1") == 2
    assert "learning rates must be 0" in capsys.readouterr().err


def test_quick_shrinks_every_benchmark() -> None:
    load("bench")
    sizes = Bench(quick=True).sizes
    assert sizes.repeats == 1
    assert all(getattr(sizes, name) != getattr(Bench(), name) for name in BENCHMARKS)
    assert Bench().sizes == Bench()


@pytest.mark.slow
def test_tool_calls_are_measured_in_process_and_through_the_pool(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, tmp_path, "quick=true", "only=[tool_calls]") == 0
    measured = figures(tmp_path)
    assert list(measured) == ["tool_calls"] and len(measured["tool_calls"]) == 4
    assert all(figure["median"] > 0 and figure["repeats"] for figure in measured["tool_calls"])
    out = capsys.readouterr().out
    assert all(figure["name"] in out for figure in measured["tool_calls"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_benchmark_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert bench(monkeypatch, tmp_path, "quick=true") == 0
    measured = figures(tmp_path)
    assert tuple(measured) == BENCHMARKS
    with_limit = [figure for group in measured.values() for figure in group if figure["limit"]]
    assert len(with_limit) == 44
    assert all(figure["ratio"] > 0 for figure in with_limit)
    step, reward, _ = measured["trl_grpo"]
    assert step["details"]["tokens"] == 8 * 4 and 0 <= reward["median"] <= 1
    assert {"ours_001", "ours_002", "trl_001", "trl_002", "difference"} <= set(reward["details"])
    positions, attention = measured["trainer"][-2:]
    assert positions["median"] == 1 and 0 < attention["median"] <= 1
    live = measured["environments"][0]["details"]
    assert (live["environments"], live["deaths"], live["lost"]) == (100, 1, 0)
    sync = measured["weight_sync"][0]["details"]
    assert sync["max_logprob_difference"] <= 1e-3 and sync["mean_logprob_difference"] <= 1e-5
