"""`orrery evolve` from the command line to the registry, the same with any number of workers."""

import json
from pathlib import Path

import pytest

from simulators.environment import Environment
from simulators.worlds import load
from trajectories.codec import from_row
from trajectories.shards import read
from trajectories.tasks import Task


@pytest.mark.slow
def test_one_worker_and_two_write_the_same_registry(orrery, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    summaries = []
    for workers in (1, 2):
        result = orrery("evolve", f"out=run-{workers}", f"workers={workers}", "domains=4", "categories=[education,logistics]")
        assert result.status == 0, result.error
        summaries.append(json.loads(Path(f"run-{workers}/summary.json").read_text()))
    first, second = summaries
    assert first["registry_digest"] == second["registry_digest"]
    assert (first["categories"], first["domains"]) == (2, 4) and first["tools"] > 250
    assert first["called_share"] == first["executed_share"] == 1.0 and first["distinct_fingerprints"] == first["tools"]
    rows = list(read("run-1", "tools"))
    assert len(rows) == first["tools"] and len({row["domain"] for row in rows}) == 4
    steps = list(read("run-1", "steps"))
    assert {row["change"] for row in steps} <= {"additive", "breaking", "cosmetic"}
    row = rows[7]
    world = load(f"run-1/worlds/{row['category']}/{row['domain']}.json")
    assert world.fingerprint() == row["world_fingerprint"]
    assert not world.instantiate(row["example_seed"]).call(row["tool"], row["example_arguments"]).isError
    tasks = [from_row(Task, row) for row in read("run-1/tasks")]
    assert len(tasks) == len(rows) and all(task.certificate.certified for task in tasks)
    environment = Environment(load(tasks[5].world))
    environment.reset(tasks[5], 0)
    report = Path("run-1/report.md").read_text()
    assert "](registry.png)" in report and row["domain"] in report


@pytest.mark.slow
def test_a_run_that_was_stopped_is_taken_up_and_ends_like_one_that_was_not(orrery, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("evolve", "domains=2", "categories=[education]")
    assert orrery(*arguments, "out=whole").status == 0
    assert orrery(*arguments, "out=stopped").status == 0
    Path("stopped/summary.json").unlink()
    Path("stopped/tools.manifest.json").unlink()
    result = orrery(*arguments, "out=stopped", "resume=auto")
    assert result.status == 0, result.error
    digests = [json.loads(Path(f"{name}/summary.json").read_text())["registry_digest"] for name in ("whole", "stopped")]
    assert digests[0] == digests[1]
    assert list(read("whole", "tools")) == list(read("stopped", "tools"))


def test_a_category_that_does_not_exist_is_named(orrery) -> None:
    result = orrery("evolve", "out=x", "categories=[astronomy]")
    assert result.status == 2 and "there is no 'astronomy'; there are education" in result.error and not Path("x").exists()
