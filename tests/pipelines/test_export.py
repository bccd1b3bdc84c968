"""`orrery export`: the same bytes with any number of workers and after kill -9; tasks stay whole; bad rows are named."""

import contextlib
import hashlib
import io
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from datasets import load_dataset

from pipelines.errors import UserError
from pipelines.export import Export, check, export_dataset
from pipelines.exporting import source as export_source
from pipelines.exporting.source import Source
from pipelines.exporting.tokens import Tokens
from pipelines.exporting.unit import ExportError
from pipelines.progress import Progress
from tests.trajectories.formats.cases import answer, call, dialogue, played, write
from trajectories import shards
from trajectories.card import CardAbout, write_card
from trajectories.checking.card import card_problems
from trajectories.checking.task_index import TaskIndex
from trajectories.codec import TRAJECTORY_SCHEMA, from_row, to_row
from trajectories.formats import FORMATS, Where
from trajectories.messages import Message
from trajectories.shard_files import ShardError
from trajectories.trajectory import Trajectory

ORRERY = str(Path(sys.executable).with_name("orrery"))
TASKS, ROLLOUTS = 24, 4
HALVES = {"train": 0.7, "validation": 0.3}


def exported(directory: Path, config: Export) -> dict[str, Any]:
    directory.mkdir(parents=True, exist_ok=True)
    return export_dataset(config, directory, Progress(stream=io.StringIO()))


def digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every shard, manifest and of ``export.json``."""
    files = [path for kind in ("*.parquet", "*.jsonl", "*.json") for path in directory.rglob(kind)]
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.name != "summary.json"
    }


def rows_of(directory: Path, split: str = "train") -> list[dict[str, Any]]:
    if lines := sorted((directory / "data").glob(f"{split}-*.jsonl")):
        return [json.loads(line) for path in lines for line in path.read_text().splitlines()]
    return [row for path in sorted((directory / "data").glob(f"{split}-*")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards whose edges lie within tasks."""
    tasks, dialogues = played(TASKS, ROLLOUTS)
    return write(tmp_path_factory.mktemp("source"), dialogues, tasks, rows_per_shard=10)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    if ray.is_initialized():
        ray.shutdown()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_source, "_UNIT_ROWS", 4)


@pytest.mark.parametrize("name", FORMATS)
def test_two_workers_write_the_same_bytes_as_one(dataset: Path, tmp_path: Path, cluster: None, name: Any) -> None:
    config = Export(dataset=str(dataset), format=name, splits=HALVES, rows_per_shard=7)
    one = exported(tmp_path / "one", config)
    two = exported(tmp_path / "two", replace(config, workers=2))
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert {**one, "workers": 0} == {**two, "workers": 0} and one["rows"] > 0


@pytest.mark.parametrize("name", FORMATS)
def test_how_the_source_is_cut_changes_nothing(dataset: Path, tmp_path: Path, small_units: None, name: Any) -> None:
    tasks, dialogues = played(TASKS, ROLLOUTS)
    whole = write(tmp_path / "whole", dialogues, tasks)
    for place, source in (("cut", dataset), ("whole", whole)):
        exported(tmp_path / place / "out", Export(dataset=str(source), format=name, rows_per_shard=16))
    cut, uncut = (digests(tmp_path / place / "out") for place in ("cut", "whole"))
    for found in (cut, uncut):
        del found["export.json"]  # tells the source's digest
    assert cut == uncut


def test_a_native_export_of_everything_is_the_same_data_set(dataset: Path, tmp_path: Path) -> None:
    summary = exported(tmp_path, Export(dataset=str(dataset), rows_per_shard=10))
    assert {path.name: path.read_bytes() for path in (dataset / "data").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()
    }
    assert summary["digest"] == summary["source_digest"] and summary["dropped"] == {}
    assert list(shards.read(tmp_path / "tasks")) == list(shards.read(dataset / "tasks"))


def test_plain_text_holds_what_the_json_columns_held(dataset: Path, tmp_path: Path) -> None:
    exported(tmp_path, Export(dataset=str(dataset), json="text"))
    assert not any("json" in str(field.type) for field in pq.read_schema(next((tmp_path / "data").iterdir())))
    loaded = list(load_dataset(str(tmp_path), split="train", cache_dir=str(tmp_path / "cache")))
    for plain, row in zip(loaded, shards.read(dataset), strict=True):
        for field in TRAJECTORY_SCHEMA:
            value = plain[field.name]
            is_json = "json" in str(field.type) and value is not None
            assert (json.loads(value) if is_json else value) == row[field.name], field.name


@pytest.mark.parametrize("name", ["native", "trl_sft", "trl_prompt"])
def test_a_folder_loads_by_itself_with_its_splits(dataset: Path, tmp_path: Path, name: Any) -> None:
    exported(tmp_path / "out", Export(dataset=str(dataset), format=name, keep="all", splits=HALVES, rows_per_shard=8))
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation"}
    assert sum(part.num_rows for part in loaded.values()) == (TASKS if name == "trl_prompt" else TASKS * ROLLOUTS)


@pytest.mark.parametrize("name", ["native", "openai"])
def test_a_folder_with_a_split_that_got_no_rows_loads_too(dataset: Path, tmp_path: Path, name: Any) -> None:
    shares = {"train": 1 - 1e-9, "validation": 1e-9}
    config = Export(dataset=str(dataset), format=name, splits=shares, json="text" if name == "native" else None)
    exported(tmp_path / "out", config)
    card = write_card(tmp_path / "out", CardAbout(title="Lopsided", format=name)).read_text()
    assert "cannot load a split without rows" in card and not list(card_problems(tmp_path / "out"))
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"] and loaded["train"].num_rows > 0
    assert list((tmp_path / "out/data").glob("validation-*"))


def test_rollouts_of_a_task_never_part_and_the_order_of_the_rows_does_not_matter(dataset: Path, tmp_path: Path) -> None:
    _, dialogues = played(TASKS, ROLLOUTS)
    backwards = write(tmp_path / "backwards", reversed(dialogues))
    where = []
    for place, source in (("there", dataset), ("back", backwards)):
        exported(tmp_path / place, Export(dataset=str(source), splits=HALVES))
        where.append({split: {row["task_id"] for row in rows_of(tmp_path / place, split)} for split in HALVES})
    assert where[0] == where[1]
    assert where[0]["train"].isdisjoint(where[0]["validation"]) and all(where[0].values())
    tasks = {split: {row["id"] for row in rows_of(tmp_path / "there/tasks", split)} for split in HALVES}
    assert all(where[0][split] <= tasks[split] for split in HALVES) and tasks["train"].isdisjoint(tasks["validation"])


def test_another_seed_divides_otherwise_and_shares_are_kept(tmp_path: Path) -> None:
    source = Source(tmp_path, TRAJECTORY_SCHEMA)
    from pipelines.export import _job

    jobs = [replace(_job(Export(splits={"a": 0.8, "b": 0.2}), source, []), seed=seed) for seed in (0, 1)]
    drawn = [[job.split_of(f"task-{number}", "train") for number in range(4000)] for job in jobs]
    assert drawn[0] != drawn[1]
    for splits in drawn:
        assert splits.count("a") / 4000 == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("keep", "kept"), [("passes", "pass"), ("failures", "failure"), ("all", None)])
def test_what_is_kept_is_what_was_asked_for_and_the_rest_is_counted(
    dataset: Path, tmp_path: Path, keep: Any, kept: str | None
) -> None:
    from trajectories.formats import standing

    summary = exported(tmp_path, Export(dataset=str(dataset), keep=keep))
    rows = rows_of(tmp_path)
    assert kept is None or {standing(row) for row in rows} == {kept}
    assert len(rows) + sum(summary["dropped"].values()) == summary["read"] == TASKS * ROLLOUTS


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        (Where(worlds=("travel",)), lambda row: row["world"] == "travel"),
        (Where(tags=("refuse", "search")), lambda row: {"refuse", "search"} & set(about(row)["tags"])),
        (Where(without_tags=("act",)), lambda row: "act" not in about(row)["tags"]),
        (Where(languages=("en",)), lambda row: about(row)["language"] == "en"),
        (Where(personas=("terse", "plain")), lambda row: about(row)["persona"] in ("terse", "plain")),
        (Where(difficulties=(2, 3)), lambda row: about(row)["difficulty"] in (2, 3)),
        (Where(max_turns=3), lambda row: sum(item.startswith('{"role":"assistant"') for item in row["messages"]) <= 3),
        (Where(max_tools=7), lambda row: len(row["tools"]) <= 7),
    ],
)
def test_conditions_keep_the_rows_that_meet_them(
    dataset: Path, tmp_path: Path, where: Where, holds: Callable[[dict[str, Any]], Any]
) -> None:
    exported(tmp_path / "all", Export(dataset=str(dataset)))
    expected = [row["id"] for row in rows_of(tmp_path / "all") if holds(row)]
    summary = exported(tmp_path / "some", Export(dataset=str(dataset), where=where))
    assert [row["id"] for row in rows_of(tmp_path / "some")] == expected
    (name,) = [key for key in vars(where) if getattr(where, key) not in ((), None)]
    assert set(summary["dropped"]) <= {f"where.{name}"}
    if where.of_tasks:  # tasks are asked, too
        kept = {task["id"] for task in rows_of(tmp_path / "some/tasks")}
        assert {row["task_id"] for row in rows_of(tmp_path / "some")} <= kept


def about(row: dict[str, Any]) -> dict[str, Any]:
    return json.loads(row["metadata"])


@pytest.mark.parametrize("name", ["trl_prompt", "verl", "skyrl", "nemo_gym"])
def test_prompts_are_one_row_a_task_with_the_task_that_is_rewarded(
    dataset: Path, tmp_path: Path, small_units: None, name: Any
) -> None:
    tasks, _ = played(TASKS, ROLLOUTS)
    summary = exported(tmp_path, Export(dataset=str(dataset), format=name))
    rows = rows_of(tmp_path)
    assert summary["dropped"] == {"same_task": TASKS * (ROLLOUTS - 1)}
    held = [task_of(row, name) for row in rows]
    assert held == [json.loads(json.dumps(to_row(task))) for task in tasks]


def task_of(row: dict[str, Any], name: str) -> Any:
    if name == "nemo_gym":
        return row["verifier_metadata"]["task"]
    return json.loads({"trl_prompt": lambda: row["task"], "verl": lambda: row["reward_model"]["ground_truth"]}.get(
        name, lambda: row["reward_spec"]["ground_truth"])())  # fmt: skip


def test_a_task_with_more_dialogues_than_a_unit_is_one_group(tmp_path: Path, small_units: None) -> None:
    opening = (Message("system", "Help."), Message("user", "Hello."))
    rows = [
        dialogue(*opening, Message("assistant", f"{number}"), passed=number % 5 == 0, number=number, task=task)
        for task, count in (("a", 1), ("b", 23), ("c", 2), ("d", 9))
        for number in range(count)
    ]
    source = write(tmp_path / "source", rows, rows_per_shard=3)
    config = Export(dataset=str(source), format="trl_preference")
    summary = exported(tmp_path / "out", config)
    by_task = {task: list(some) for task, some in itertools.groupby(rows_of(tmp_path / "out"), key=lambda row: row["task_id"])}
    assert {task: len(some) for task, some in by_task.items()} == {"b": 4, "c": 1, "d": 4}
    assert summary["read"] == len(rows)
    for some in by_task.values():
        assert {json.loads(row["chosen"][0])["content"] for row in some} <= {"0", "5", "10", "15", "20"}


def bad_row(tmp_path: Path) -> Path:
    good = dialogue(Message("user", "Do it."), call("{}"), answer("done"), Message("assistant", "Done."))
    bad = dialogue(Message("user", "Do it."), call("{oops"), answer("?"), Message("assistant", "Done."), number=7)
    some = [replace(good, id=f"good-{number}") for number in range(12)]
    return write(tmp_path / "source", [*some, bad, good], rows_per_shard=5)


def test_a_row_that_the_format_cannot_say_is_named_and_nothing_is_lost_in_silence(tmp_path: Path) -> None:
    source = str(bad_row(tmp_path))
    with pytest.raises(ExportError, match=r"split train, row 12 \(task-7\): trl_sft: the arguments of .* are '\{oops'"):
        exported(tmp_path / "stop", Export(dataset=source, format="trl_sft"))
    assert not (tmp_path / "stop/data").exists()
    summary = exported(tmp_path / "drop", Export(dataset=source, format="trl_sft", refused="drop"))
    assert summary["rows"] == 13 and summary["dropped"] == {"refused": 1}
    assert summary["refused"][0].startswith("split train, row 12 (task-7)")


def test_one_dialogue_that_cannot_be_said_costs_its_task_no_other_pair(tmp_path: Path) -> None:
    asked = Message("user", "Do it.")
    rows = [
        dialogue(asked, call("{}"), answer("done"), Message("assistant", "Done."), number=0),
        dialogue(asked, call("{oops"), answer("?"), Message("assistant", "Done."), passed=False, number=1),
        dialogue(asked, call("{}"), answer("done"), Message("assistant", "No."), passed=False, number=2),
        dialogue(Message("assistant", "Hello."), passed=False, number=3),
    ]
    config = Export(dataset=str(write(tmp_path / "source", rows)), format="trl_preference", refused="drop")
    summary = exported(tmp_path / "out", config)
    assert [row["rejected_id"] for row in rows_of(tmp_path / "out")] == ["task-2"]
    assert summary["dropped"] == {"refused": 2} and summary["read"] == 4
    assert {told.split(": ")[0] for told in summary["refused"]} == {"split train, row 1 (task-1)", "split train, row 3 (task-3)"}


@pytest.mark.parametrize("name", ["verl", "skyrl"])
def test_what_no_column_of_text_can_hold_is_named(tmp_path: Path, name: Any) -> None:
    (task, other), dialogues = played(2, 1)
    half = replace(dialogues[0], messages=(dialogues[0].messages[0], Message("user", "\ud800"), *dialogues[0].messages[2:]))
    source = write(tmp_path / "source", [half, dialogues[1]], [task, other])
    with pytest.raises(ExportError, match="row 0 .*half of a surrogate pair"):
        exported(tmp_path / "stop", Export(dataset=str(source), format=name))
    summary = exported(tmp_path / "drop", Export(dataset=str(source), format=name, refused="drop"))
    assert summary["rows"] == 1 and summary["dropped"] == {"refused": 1}


def test_the_digest_of_the_code_covers_whatever_writes_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import export

    read = set[str]()
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.add(self.name) or read_bytes(self))
    export._code_digest()
    assert {"export.py", "unit.py", "plan.py", "files.py", "json_text.py", "trl_sft.py", "qwen3.py"} <= read


def test_a_task_that_is_missing_is_named(tmp_path: Path) -> None:
    tasks, dialogues = played(TASKS, ROLLOUTS)
    source = write(tmp_path / "source", dialogues, tasks[:-1])
    with pytest.raises(ExportError, match=rf"row {(TASKS - 1) * ROLLOUTS}: task {tasks[-1].id} is not in tasks/"):
        exported(tmp_path / "out", Export(dataset=str(source), format="verl"))


def test_tasks_are_found_in_any_order(tmp_path: Path) -> None:
    tasks, dialogues = played(TASKS, ROLLOUTS)
    source = write(tmp_path, dialogues[:1], reversed(tasks), rows_per_shard=3)
    found = TaskIndex.of(source / "tasks").rows(["nobody", *(task.id for task in tasks)])
    assert found == {task.id: to_row(task) for task in tasks}


def test_dialogues_of_a_task_that_lie_apart_are_named(tmp_path: Path, small_units: None) -> None:
    tasks, dialogues = played(TASKS, ROLLOUTS)
    source = write(tmp_path / "source", [*dialogues[1:], dialogues[0]], tasks, rows_per_shard=7)
    for name in ("trl_prompt", "trl_preference"):
        with pytest.raises(ExportError, match=f"split train, row {len(dialogues) - 1}: its task has dialogues further up"):
            exported(tmp_path / name, Export(dataset=str(source), format=name))
    assert exported(tmp_path / "sft", Export(dataset=str(source), format="trl_sft"))["read"] == len(dialogues)


@pytest.mark.parametrize("column", ["schema_version", "tools"])
def test_a_data_set_with_other_columns_is_refused_before_anything_starts(dataset: Path, tmp_path: Path, column: str) -> None:
    (tmp_path / "data").mkdir()
    table = pq.read_table(next((dataset / "data").iterdir())).drop_columns([column])
    pq.write_table(table, tmp_path / "data/train-00000-of-00001.parquet")
    with pytest.raises(ShardError, match=f"missing \\['{column}'\\]"):
        check(Export(dataset=str(tmp_path)))


def test_shards_that_are_not_those_of_the_manifest_are_refused(dataset: Path, tmp_path: Path) -> None:
    _, dialogues = played(TASKS, ROLLOUTS)
    source = write(tmp_path, dialogues, rows_per_shard=10)
    shard = source / "data/train-00001-of-00010.parquet"
    shard.write_bytes((dataset / "data/train-00000-of-00010.parquet").read_bytes())
    with pytest.raises(ShardError, match="are not those of train.manifest.json"):
        check(Export(dataset=str(source)))


def test_a_flipped_bit_in_the_source_is_found(tmp_path: Path) -> None:
    _, dialogues = played(TASKS, ROLLOUTS)
    source = write(tmp_path / "source", dialogues)
    shard = next((source / "data").iterdir())
    content = bytearray(shard.read_bytes())
    content[4000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ShardError, match="truncated or damaged"):
        exported(tmp_path / "out", Export(dataset=str(source)))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"splits": {"train": 0.9, "validation": 0.2}}, "splits: the shares add up to 1.1, not 1"),
        ({"splits": {"a b": 1.0}}, "splits: 'a b' is not letters"),
        ({"splits": {"a": 0, "b": 1}}, "splits: the share of a must be in"),
        ({"splits": {"a": "much"}}, "splits: the share of a must be in"),
        ({"splits": ["a"]}, "splits: must be like"),
        ({"format": "trl_sft", "json": "text"}, "json: trl_sft has only json=typed"),
        ({"format": "skyrl", "json": "typed"}, "json: skyrl has only json=text"),
        ({"format": "openai", "json": "text"}, "json: openai has lines of JSON"),
        ({"format": "verl", "tokens": Tokens(path="x")}, "tokens.path: verl has no columns for token ids"),
        ({"format": "trl_preference", "keep": "passes"}, "keep: trl_preference pairs passes with failures"),
        ({"rows_per_shard": 0}, "rows_per_shard: must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_their_key(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Export(**settings)


def test_two_splits_are_not_mixed_and_tasks_must_be_there(dataset: Path, tmp_path: Path) -> None:
    _, dialogues = played(TASKS, ROLLOUTS)
    source = write(tmp_path, dialogues)
    write(tmp_path, dialogues, split="held_out")
    with pytest.raises(UserError, match=r"choose the one to divide with source=\[...\]"):
        check(Export(dataset=str(source), splits=HALVES))
    with pytest.raises(UserError, match="has no tasks/, and verl rows hold the task"):
        check(Export(dataset=str(source), format="verl"))
    with pytest.raises(UserError, match="has no split test; it has held_out, train"):
        check(Export(dataset=str(source), source=("test",)))
    exported(tmp_path / "out", Export(dataset=str(source)))
    assert {path.name.split("-")[0] for path in (tmp_path / "out/data").iterdir()} == {"train", "held_out"}


def test_a_tokenizer_that_is_not_there_is_refused_before_anything_starts(dataset: Path) -> None:
    with pytest.raises(UserError, match="tokens.path: nowhere does not exist"):
        check(Export(dataset=str(dataset), tokens=Tokens(path="nowhere")))


class Killed(BaseException):
    pass


@pytest.mark.parametrize("name", ["native", "trl_preference", "openai"])
@pytest.mark.parametrize("after", range(1, 12, 2))
def test_a_run_that_stopped_anywhere_goes_on_to_the_same_bytes(
    dataset: Path, tmp_path: Path, small_units: None, monkeypatch: pytest.MonkeyPatch, name: Any, after: int
) -> None:
    config = Export(dataset=str(dataset), format=name, splits=HALVES, rows_per_shard=5)
    calm = exported(tmp_path / "calm", config)
    from pipelines.exporting import plan as export_plan

    write_part, left = export_plan.write_part, iter(range(after))

    def write_until(*arguments: Any) -> int:
        if next(left, None) is None:
            raise Killed
        return write_part(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(export_plan, "write_part", write_until)
        with contextlib.suppress(Killed):
            exported(tmp_path / "killed", config)
    again = exported(tmp_path / "killed", config)
    assert digests(tmp_path / "killed") == digests(tmp_path / "calm")
    assert again == calm
    assert not (tmp_path / "killed/.writing").exists()


def test_a_shard_behind_a_gap_and_a_cut_journal_line_are_made_again(dataset: Path, tmp_path: Path, small_units: None) -> None:
    config = Export(dataset=str(dataset), rows_per_shard=10)
    exported(tmp_path / "calm", config)
    writing = tmp_path / "gap/.writing/train"
    writing.mkdir(parents=True)
    for index in (0, 1, 3):
        source = tmp_path / f"calm/data/train-{index:05d}-of-00010.parquet"
        (writing / f"{index:05d}.parquet").write_bytes(source.read_bytes())
    (writing / "00002.parquet.tmp").write_bytes(b"half")
    (writing.parent / "units.jsonl").write_text("")
    exported(tmp_path / "gap", config)
    assert digests(tmp_path / "gap") == digests(tmp_path / "calm")


def test_a_run_goes_on_with_the_same_data_set_only(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / ".writing").mkdir()
    (tmp_path / ".writing/units.jsonl").write_text('{"source": "another"}\n')
    with pytest.raises(ShardError, match="was begun with another state of the data set"):
        exported(tmp_path, Export(dataset=str(dataset)))


def start(place: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [ORRERY, "export", *arguments]
    return subprocess.Popen(command, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def long_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    _, dialogues = played(TASKS, ROLLOUTS)
    many: list[Trajectory] = [
        replace(item, id=f"{item.id}-{copy}", task_id=f"{item.task_id}-{copy}") for copy in range(12) for item in dialogues
    ]
    return write(tmp_path_factory.mktemp("long"), many, rows_per_shard=256)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_killed_and_resumed_with_more_workers_writes_what_it_would_have_written(
    long_dataset: Path, tmp_path: Path
) -> None:
    arguments = [f"dataset={long_dataset}", "format=trl_sft", "keep=all", "rows_per_shard=16"]
    killed = start(tmp_path, *arguments, "out=killed")
    while len(list((tmp_path / "killed/.writing/train").glob("*.parquet"))) < 3:
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed/summary.json").exists()
    for out, more in (("killed", ["resume=auto", "workers=2"]), ("calm", [])):
        process = start(tmp_path, *arguments, f"out={out}", *more)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
    assert digests(tmp_path / "killed") == digests(tmp_path / "calm")
    same = ("rows", "read", "shards", "dropped", "digest", "bytes")
    summaries = [json.loads((tmp_path / out / "summary.json").read_text()) for out in ("killed", "calm")]
    assert [summaries[0][key] for key in same] == [summaries[1][key] for key in same]
    assert summaries[1]["rows"] == TASKS * ROLLOUTS * 12 and summaries[1]["rows_per_second"] > 0


@pytest.fixture
def small_file_system(tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "small"
    target.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(target)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small tmpfs here: {mounted.stderr.strip()}")
    yield target
    subprocess.run(["umount", str(target)], check=True)


@pytest.mark.parametrize("name", ["native", "openai"])
def test_a_full_disk_is_a_clear_error_and_the_run_goes_on_when_there_is_space(
    long_dataset: Path, small_file_system: Path, tmp_path: Path, name: Any
) -> None:
    config = Export(dataset=str(long_dataset), format=name, keep="all", rows_per_shard=20)
    with pytest.raises(shards.DiskFullError, match="No space left on device; free space, then resume"):
        exported(small_file_system / "run", config)
    sealed = len(list((small_file_system / "run/.writing/train").iterdir()))
    assert sealed >= 1 and not list(small_file_system.rglob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_file_system)], check=True)
    exported(small_file_system / "run", config)
    exported(tmp_path / "calm", config)
    assert digests(small_file_system / "run") == digests(tmp_path / "calm")


def test_the_command_names_the_row_and_says_how_to_go_on(orrery: Any, tmp_path: Path) -> None:
    source = bad_row(tmp_path)
    result = orrery("export", f"dataset={source}", "format=trl_sft", "out=x")
    assert result.status == 2 and "row 12 (task-7)" in result.error and "Traceback" not in result.error
    result = orrery("export", f"dataset={source}", "format=trl_sft", "details.arguments=keep", "out=y")
    assert result.status == 0 and "14 trl_sft rows of 14 dialogues" in result.out
    result = orrery("export", f"dataset={source}", "splits={a: 0.5, b: 0.6}", "out=z")
    assert result.status == 2 and "splits: the shares add up to 1.1" in result.error


def test_the_export_says_what_was_made_from_what(dataset: Path, tmp_path: Path) -> None:
    exported(tmp_path, Export(dataset=str(dataset), rows_per_shard=40))
    about = json.loads((tmp_path / "export.json").read_text())
    assert about["source"] == {"train": shards.manifest(dataset).fingerprint()}
    for shard in about["splits"]["train"]["shards"]:
        assert shard["sha256"] == hashlib.sha256((tmp_path / "data" / shard["name"]).read_bytes()).hexdigest()
    assert about["code"]["orrery"] and len(about["code"]["sha256"]) == 64
    assert "dataset" not in about["settings"] and about["settings"]["rows_per_shard"] == 40
    assert from_row(Trajectory, next(shards.read(tmp_path))).id


def test_a_table_of_another_writer_is_read_too(dataset: Path, tmp_path: Path) -> None:
    """As `datasets` writes it: one row group, its own metadata, no manifest."""
    (tmp_path / "source/data").mkdir(parents=True)
    table = pa.concat_tables(pq.read_table(path) for path in sorted((dataset / "data").iterdir()))
    table = table.replace_schema_metadata({"huggingface": "{}"})
    pq.write_table(table, tmp_path / "source/data/train-00000-of-00001.parquet")
    exported(tmp_path / "out", Export(dataset=str(tmp_path / "source"), rows_per_shard=10))
    assert {path.name: path.read_bytes() for path in (dataset / "data").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "out/data").iterdir()
    }
