"""`orrery synthesize`: the same bytes with any number of workers and after kill -9; bad worlds named before anything runs."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from pipelines.progress import Progress
from pipelines.synthesis.crew import Band, Player
from pipelines.synthesis.journal import JOURNAL_SCHEMA, safe_point
from pipelines.synthesize import Synthesize, make_dataset
from simulators.tasks.stream import TaskStream
from simulators.worlds.loading import LIBRARY
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA
from trajectories.deduplication import DedupConfig
from trajectories.shards import ShardError, ShardWriter, read

TEACHER = Player(kind="teacher", competence=0.7)
CONFIG = Synthesize(count=90, rows_per_shard=20, policy=TEACHER)
ORRERY = str(Path(sys.executable).with_name("orrery"))


def digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every shard and manifest."""
    files = [*directory.rglob("*.parquet"), *directory.rglob("*.manifest.json")]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    if ray.is_initialized():
        ray.shutdown()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module", params=["passes", "all"])
def calm(request: pytest.FixtureRequest, cluster: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Synthesize, Path]:
    """A data set that one worker made in one go."""
    config, directory = replace(CONFIG, keep=request.param), tmp_path_factory.mktemp(request.param)
    summary = make_dataset(config, directory, Progress(("synthesize",)), resume=False)
    rows = list(read(directory))
    assert summary["rows"] == len(rows) and summary["shards"] == -(-len(rows) // 20) and summary["tasks"] == 90
    assert summary["passes"] == sum(row["reward"] == 1.0 for row in rows)
    assert summary["dropped"] == ({"failed": 90 - len(rows)} if len(rows) < 90 else {})
    return config, directory


def test_two_workers_write_the_same_bytes_as_one(calm: tuple[Synthesize, Path], tmp_path: Path) -> None:
    config, directory = calm
    make_dataset(replace(config, workers=2), tmp_path, Progress(("synthesize",)), resume=False)
    assert digests(tmp_path) == digests(directory)


def test_what_is_kept_is_what_was_asked_for_and_every_task_is_there(calm: tuple[Synthesize, Path]) -> None:
    config, directory = calm
    rows, tasks = list(read(directory)), list(read(directory / "tasks"))
    assert len(tasks) == 90 and len({task["id"] for task in tasks}) == 90
    assert {row["task_id"] for row in rows} <= {task["id"] for task in tasks}
    passed = [row["reward"] == 1.0 for row in rows]
    assert all(passed) if config.keep == "passes" else (len(rows) == 90 and 0.5 < sum(passed) / 90 < 0.9)


@pytest.mark.parametrize(("tasks", "rows", "entries"), [(0, 0, 0), (20, 40, 60), (60, 20, 80), (90, 60, 20), (90, 60, 90)])
def test_whichever_file_is_ahead_when_it_is_killed_resuming_gives_the_same_bytes(
    calm: tuple[Synthesize, Path], tmp_path: Path, tasks: int, rows: int, entries: int
) -> None:
    config, directory = calm
    parts = {"": (TRAJECTORY_SCHEMA, rows), "tasks": (TASK_SCHEMA, tasks), "journal": (JOURNAL_SCHEMA, entries)}
    for place, (schema, kept) in parts.items():
        with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path / place, schema=schema, rows_per_shard=20) as writer:
            for number, row in enumerate(read(directory / place)):
                if number < kept:
                    writer.append(row)
            raise KeyboardInterrupt
    point = safe_point(tmp_path, config.split, config.samples)
    assert point.numbers <= min(tasks, entries) and point.rows <= rows
    make_dataset(replace(config, workers=2), tmp_path, Progress(("synthesize",)), resume=True)
    assert digests(tmp_path) == digests(directory)


def test_several_dialogues_of_each_task_keep_to_a_band_of_difficulty(cluster: None, tmp_path: Path) -> None:
    config = Synthesize(count=60, samples=4, policy=Player(kind="teacher", competence=0.5), keep="all", workers=2)
    summary = make_dataset(config, tmp_path / "free", Progress(("synthesize",)), resume=False)
    assert summary["dialogues"] == 240
    rows = list(read(tmp_path / "free"))
    of_task: dict[str, list[float]] = {}
    for row in rows:
        of_task.setdefault(row["task_id"], []).append(row["reward"])
        assert row["id"] == f"{row['task_id']}-{row['rollout']}"
        assert row["metadata"]["label"] == ("pass" if row["reward"] == 1.0 else row["metadata"]["label"])
    assert summary["labels"].keys() == {row["metadata"]["label"] for row in rows} == {"pass", "near_miss", "failure"}
    # The same dialogue twice is an exact duplicate, so a task that was always solved in one way has one row.
    assert summary["rows"] + summary["dropped"]["exact_duplicate"] == 240
    banded = replace(config, band=Band(least=0.3, most=0.8))
    summary = make_dataset(banded, tmp_path / "band", Progress(("synthesize",)), resume=False)
    assert summary["dropped"].keys() >= {"too_easy", "too_hard"}
    kept = {row["task_id"] for row in read(tmp_path / "band")}
    journal = list(read(tmp_path / "band/journal"))
    assert len(journal) == 240
    for task in {entry["task_id"] for entry in journal}:
        labels = [entry["label"] for entry in journal if entry["task_id"] == task]
        assert (task in kept) == (0.3 <= labels.count("pass") / 4 <= 0.8)


def test_near_misses_are_what_fewer_verdicts_speak_against_than_for(cluster: None, tmp_path: Path) -> None:
    config = replace(CONFIG, count=120, tasks=TaskStream(difficulty=3), keep="near_misses")
    summary = make_dataset(config, tmp_path, Progress(("synthesize",)), resume=False)
    rows = list(read(tmp_path))
    near = 0
    for row in rows:
        failed = [verdict["verdict"] for verdict in row["verdicts"]].count("fail")
        assert row["metadata"]["label"] == ("near_miss" if failed else "pass") and 2 * failed < len(row["verdicts"])
        near += bool(failed)
    assert summary["labels"]["near_miss"] == near > 0 and summary["dropped"]["failed"] > 0


def test_dialogues_that_are_like_those_before_are_dropped_whoever_makes_them_and_after_resuming(
    cluster: None, tmp_path: Path
) -> None:
    one_way = DedupConfig(structure_limit=2)
    config = Synthesize(count=200, dedup=one_way, rows_per_shard=8, workers=2)
    summary = make_dataset(config, tmp_path / "calm", Progress(("synthesize",)), resume=False)
    assert summary["dropped"]["structural_duplicate"] > 100 and sum(summary["dropped"].values()) + summary["rows"] == 200
    assert summary["dedup"]["state_bytes"] > 0
    parts = {"": (TRAJECTORY_SCHEMA, 16), "tasks": (TASK_SCHEMA, 120), "journal": (JOURNAL_SCHEMA, 120)}
    for place, (schema, kept) in parts.items():
        split = ShardWriter(tmp_path / "killed" / place, schema=schema, rows_per_shard=8)
        with pytest.raises(KeyboardInterrupt), split as writer:
            for number, row in enumerate(read(tmp_path / "calm" / place)):
                if number < kept:
                    writer.append(row)
            raise KeyboardInterrupt
    make_dataset(replace(config, workers=1), tmp_path / "killed", Progress(("synthesize",)), resume=True)
    assert digests(tmp_path / "killed") == digests(tmp_path / "calm")


def test_rows_that_are_in_a_benchmark_are_dropped_and_the_journal_says_which(cluster: None, tmp_path: Path) -> None:
    config = Synthesize(count=60, tasks=TaskStream(difficulty=2), workers=2)
    make_dataset(config, tmp_path / "plain", Progress(("synthesize",)), resume=False)
    leaked = list(read(tmp_path / "plain"))[:3]
    items = [{"id": f"item{i}", "messages": row["messages"], "tools": []} for i, row in enumerate(leaked)]
    path = tmp_path / "bench.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    summary = make_dataset(
        replace(config, benchmarks=(str(path),)), tmp_path / "clean", Progress(("synthesize",)), resume=False
    )
    assert summary["dropped"]["contaminated"] >= 3
    entries = {entry["id"]: entry for entry in read(tmp_path / "clean/journal")}
    for number, row in enumerate(leaked):
        assert entries[row["id"]]["reason"] == "contaminated" and f"item{number}" in entries[row["id"]]["detail"]


def test_a_truncated_shard_stops_a_resumed_run_by_its_name(calm: tuple[Synthesize, Path], tmp_path: Path) -> None:
    config, directory = calm
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path, rows_per_shard=20) as writer:
        for number, row in enumerate(read(directory)):
            if number < 40:
                writer.append(row)
        raise KeyboardInterrupt
    shard = tmp_path / ".writing/train/00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-300])
    with pytest.raises(ShardError, match="00001.parquet is truncated or damaged"):
        make_dataset(config, tmp_path, Progress(("synthesize",)), resume=True)


def test_held_out_tasks_are_other_tasks(cluster: None, tmp_path: Path) -> None:
    config = Synthesize(count=12, split="held_out")
    make_dataset(config, tmp_path, Progress(("synthesize",)), resume=False)
    make_dataset(replace(config, split="train"), tmp_path, Progress(("synthesize",)), resume=False)
    held, train = ({row["id"] for row in read(tmp_path / "tasks", split)} for split in ("held_out", "train"))
    assert len(held) == len(train) == 12 and held.isdisjoint(train)


def start(place: Path, *arguments: str) -> "subprocess.Popen[str]":
    """`orrery synthesize` as a process of its own, in `place`."""
    return subprocess.Popen(
        [ORRERY, "synthesize", *arguments], cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for_shards(process: "subprocess.Popen[str]", directory: Path, count: int) -> None:
    while len(list((directory / ".writing/train").glob("*.parquet"))) < count:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


@pytest.mark.timeout(300)
def test_a_polite_kill_keeps_the_rows_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = start(tmp_path, "out=x", "count=100000", "rows_per_shard=40")
    wait_for_shards(process, tmp_path / "x", 1)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "continue with out=x resume=auto" in printed


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_killed_and_resumed_with_more_workers_writes_what_it_would_have_written(tmp_path: Path) -> None:
    arguments = ["count=600", "rows_per_shard=40", "policy.kind=teacher", "policy.competence=0.7"]
    killed = start(tmp_path, *arguments, "out=killed")
    wait_for_shards(killed, tmp_path / "killed", 3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed/summary.json").exists()
    for out, more in (("killed", ["resume=auto", "workers=2"]), ("calm", [])):
        process = start(tmp_path, *arguments, f"out={out}", *more)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
    assert digests(tmp_path / "killed") == digests(tmp_path / "calm")
    summaries = [json.loads((tmp_path / out / "summary.json").read_text()) for out in ("killed", "calm")]
    same = ("rows", "shards", "tasks", "passes", "dropped", "dataset_digest")
    assert [summaries[0][key] for key in same] == [summaries[1][key] for key in same]


@pytest.mark.parametrize("key", ["rows_per_shard", "samples", "in_flight"])
def test_a_setting_that_makes_no_sense_is_refused_by_its_key(key: str) -> None:
    with pytest.raises(ValueError, match=f"{key}: must be at least 1"):
        Synthesize(**{key: 0})


def test_a_band_is_an_interval_of_shares() -> None:
    for least, most in ((0.5, 0.4), (-0.1, 1.0), (0.0, 1.1), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match=r"band\.least, band\.most"):
            Band(least=least, most=most)


@pytest.fixture
def bad_world(tmp_path: Path) -> Path:
    path = tmp_path / "bad.yaml"
    text = (LIBRARY / "order_desk.yaml").read_text().replace("field: order.status", "field: order.state", 1)
    assert "order.state" in text
    path.write_text(text)
    return path


def test_a_world_with_an_undefined_field_is_refused_before_anything_starts(orrery, bad_world: Path) -> None:
    result = orrery("synthesize", f"tasks.worlds=[{bad_world}]", "count=4", "out=x")
    assert result.status == 2
    assert "bad.yaml" in result.error and "undefined field 'state'" in result.error
    assert "Traceback" not in result.error and "ray::" not in result.error
    assert not list(Path("x").rglob("*.parquet"))


def test_a_world_that_does_not_exist_is_refused_with_those_that_do(orrery) -> None:
    result = orrery("synthesize", "tasks.worlds=[order_desk,lost]", "count=4", "out=x")
    assert result.status == 2 and "lost" in result.error and "order_desk" in result.error
    assert "Traceback" not in result.error and "ray::" not in result.error


def test_shards_in_the_way_are_not_overwritten(orrery) -> None:
    Path("x/data").mkdir(parents=True)
    Path("x/data/train-00000-of-00001.parquet").write_bytes(b"mine")
    result = orrery("synthesize", "count=4", "out=x")
    assert result.status == 2 and "x is not empty and holds no run" in result.error
    assert Path("x/data/train-00000-of-00001.parquet").read_bytes() == b"mine"
