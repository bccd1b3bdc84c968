"""`orrery validate dataset=DIR`: what is planted is found, by the check whose business it is, and nothing is found in a data set
that nobody touched."""

import copy
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from pipelines.errors import UserError
from pipelines.progress import Progress
from pipelines.validate import Validate
from pipelines.validating.dataset import DatasetChecks, check_dataset, validate_dataset
from tests.pipelines.planted_dataset import ROW_KINDS, SPLITS, Content, make, renamed_task, save, spoil_rows
from trajectories.checking import CHECKS
from trajectories.formats.native import as_text
from trajectories.shard_files import write_shard
from trajectories.shards import read
from trajectories.tasks import Task

PER_SHARD = 40
PLACE = re.compile(r"(tasks/)?data/(\w+)-(\d{5})-of-\d{5}\.parquet")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    if ray.is_initialized():
        ray.shutdown()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@dataclass
class Made:
    content: Content
    tokenizer: Any
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A data set as a publisher leaves it."""
    folder = tmp_path_factory.mktemp("made")
    content, tokenizer = make({"train": 170, "held_out": 60}, folder)
    return Made(content, tokenizer, save(content, folder / "set", tokenizer, PER_SHARD))


@pytest.fixture
def folder(made: Made, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(made.folder, tmp_path / "set")


@dataclass
class Found:
    summary: dict[str, Any]
    rows: list[dict[str, Any]]

    def by_place(self) -> dict[tuple[str, int | None], set[str]]:
        """Checks that found something, by split (``tasks/`` before it for tasks) and number in it."""
        places: dict[tuple[str, int | None], set[str]] = defaultdict(set)
        for row in self.rows:
            match = PLACE.fullmatch(row["shard"])
            name = f"{match[1] or ''}{match[2]}" if match else row["shard"]
            number = None if row["row"] is None or not match else int(match[3]) * PER_SHARD + row["row"]
            places[name, number].add(row["check"])
        return dict(places)

    def told(self, check: str) -> list[str]:
        return [f"{row['shard']}: {row['what']}" for row in self.rows if row["check"] == check]


def validated(folder: Path, out: Path, **settings: Any) -> Found:
    summary = validate_dataset(Validate(dataset=str(folder), **settings), out, Progress())
    rows = list(read(out, "findings"))
    assert summary["findings"] == len(rows) and summary["passed"] is not bool(rows)
    assert Counter(row["check"] for row in rows) == {k: v["findings"] for k, v in summary["checks"].items() if v["findings"]}
    return Found(summary, rows)


def without_row(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(row), **changes}


def test_nothing_is_found_in_a_set_that_nobody_touched(cluster: None, made: Made, tmp_path: Path) -> None:
    found = validated(made.folder, tmp_path / "one")
    assert not found.rows and found.summary["rows"] == {"held_out": 60, "train": 170} and found.summary["tasks"] == 230
    checks = found.summary["checks"]
    assert list(checks) == list(CHECKS)
    assert {name for name, check in checks.items() if check["skipped"]} == {"contamination"}
    assert "no benchmark is given" in checks["contamination"]["skipped"] and checks["contamination"]["looked_at"] == 0
    assert {name: checks[name]["looked_at"] for name in ("files", "schema", "certificates", "tokens", "card")} == {
        "files": 2 * (2 + 5), "schema": 230, "certificates": 230, "tokens": 153, "card": 2,
    }  # fmt: skip
    again = validated(made.folder, tmp_path / "two", workers=2)
    assert again == found


def test_every_way_to_spoil_a_row_is_found_and_no_other_row_is_blamed(cluster: None, made: Made, tmp_path: Path) -> None:
    content = made.content.copy()
    spoilt = list(spoil_rows(content, 2, seed=3))
    folder = save(content, tmp_path / "set", made.tokenizer, PER_SHARD)
    found = validated(folder, tmp_path / "out", workers=2)
    places = found.by_place()
    told = [(kind, check, places.get((split, number), set())) for kind, check, split, number, _ in spoilt]
    assert not [missed for missed in told if missed[1] not in missed[2]]
    assert set(places) == {(split, number) for _, _, split, number, _ in spoilt}
    ids = {(split, number): row_id for _, _, split, number, row_id in spoilt}
    for row in found.rows:
        match = PLACE.fullmatch(row["shard"])
        assert match and row["id"] == ids[match[2], int(match[3]) * PER_SHARD + row["row"]]
    assert validated(folder, tmp_path / "one", workers=1) == found


def test_what_is_wrong_with_a_task_is_found(cluster: None, made: Made, tmp_path: Path) -> None:
    content = made.content.copy()
    tasks = content.tasks["train"]
    acting = iter([n for n, task in enumerate(tasks) if task["gold"]["changes"]])

    edited, regilded, missing, untried, uncertified, elsewhere = (next(acting) for _ in range(6))
    tasks[edited]["gold"]["changes"][0]["key"] += "0"

    def other_gold(task: Task) -> Task:
        return replace(task, gold=replace(task.gold, changes=task.gold.changes[:-1]))

    renamed_task(content, "train", regilded, other_gold)
    renamed_task(content, "train", missing, lambda task: replace(task, world="/nowhere/world.json"))
    tasks[untried]["certificate"]["cheats"].pop("spray")
    tasks[uncertified]["certificate"] = None
    tasks[elsewhere]["split"] = "held_out"
    for row in content.rows["train"]:  # the forger does not forget the rows
        row["certificate"] = next(task["certificate"] for task in tasks if task["id"] == row["task_id"])
    found = validated(save(content, tmp_path / "set", None, PER_SHARD), tmp_path / "out", checks=("certificates", "splits"))
    places = {place: checks for place, checks in found.by_place().items() if place[0] == "tasks/train"}
    assert places == {
        ("tasks/train", edited): {"certificates"}, ("tasks/train", regilded): {"certificates"},
        ("tasks/train", missing): {"certificates"}, ("tasks/train", untried): {"certificates"},
        ("tasks/train", uncertified): {"certificates"}, ("tasks/train", elsewhere): {"splits", "certificates"},
    }  # fmt: skip
    told = "\n".join(found.told("certificates"))
    for what in (
        "its content was changed: now its digest is", "the oracle does not pass: missed:", "the oracle leaves other changes than",
        "no world '/nowhere/world.json'", "cheats were not tried: spray", "has no certificate",
    ):  # fmt: skip
        assert what in told or (what.startswith("no world") and "/nowhere/world.json: cannot be read" in told), what


def test_a_certificate_that_was_never_earned_is_found_when_the_cheats_play_again(
    cluster: None, made: Made, tmp_path: Path
) -> None:
    """The task gives its answer away, which no oracle notices."""
    content = made.content.copy()
    number = next(n for n, task in enumerate(content.tasks["train"]) if "lookup" in task["tags"])
    says = next(item for item in content.tasks["train"][number]["rubric"]["criteria"] if item["kind"] == "says")
    answer = next(text for text in says["expected"] if not text.startswith("not:"))

    def telling(task: Task) -> Task:
        return replace(task, ledger=replace(task.ledger, opening=f"{task.ledger.opening} Is it {answer}?"))

    renamed_task(content, "train", number, telling)
    folder = save(content, tmp_path / "set", None, PER_SHARD)
    calm = validated(folder, tmp_path / "calm", checks=("certificates",))
    assert ("tasks/train", number) not in calm.by_place()
    strict = validated(folder, tmp_path / "strict", checks=("certificates",), recertify=True, workers=2)
    assert strict.by_place()["tasks/train", number] == {"certificates"}
    assert any("certified again it has another certificate" in what and "leak" in what for what in strict.told("certificates"))
    assert strict.summary["findings"] == calm.summary["findings"] + 1


def test_a_sample_of_tasks_is_drawn_by_the_seed(cluster: None, made: Made, tmp_path: Path) -> None:
    content = made.content.copy()
    for split in SPLITS:
        for number in range(len(content.tasks[split])):
            renamed_task(content, split, number, lambda task: replace(task, gold=replace(task.gold, reply="No.", calls=())))
    folder = save(content, tmp_path / "set", None, PER_SHARD)
    drawn = [
        validated(folder, tmp_path / f"{seed}-{workers}", checks=("certificates",), certificates=30, seed=seed, workers=workers)
        for seed, workers in ((0, 1), (0, 2), (1, 1))
    ]
    assert [found.summary["checks"]["certificates"]["looked_at"] for found in drawn] == [30, 30, 30]
    named = [{row["id"] for row in found.rows if row["shard"].startswith("tasks/")} for found in drawn]
    assert named[0] == named[1] != named[2] and all(len(ids) <= 30 for ids in named)


def test_rows_that_come_twice_and_splits_that_share_are_found(cluster: None, made: Made, tmp_path: Path) -> None:
    content = made.content.copy()
    train, held_out = content.rows["train"], content.rows["held_out"]
    end = len(train)
    train.append(without_row(train[3]))  # the same id, rollout and dialogue
    train.append(without_row(train[5], id="again"))  # another id, the same rollout
    moved = without_row(held_out[7], id="moved", rollout=1)
    train.append(moved)
    content.tasks["train"].append(without_row(content.tasks["held_out"][7]))
    reworded = without_row(held_out[9], id="reworded", task_id=train[20]["task_id"], rollout=2, segments=[])
    reworded["messages"][-1]["content"] += " Bye"
    train.append(reworded)
    found = validated(
        save(content, tmp_path / "set", None, PER_SHARD), tmp_path / "out", checks=("schema", "splits", "duplicates")
    )
    places = found.by_place()
    assert places["train", end] == {"schema", "duplicates"} and places["train", end + 1] == {"schema", "duplicates"}
    assert places["train", end + 2] == {"splits"} and places["train", end + 3] == {"splits"}
    assert places["tasks/train", len(content.tasks["train"]) - 1] >= {"splits", "schema"}
    assert all(place[0] == "tasks/train" or place[1] >= end for place in places)
    schema, splits = "\n".join(found.told("schema")), "\n".join(found.told("splits"))
    assert f"its id is that of row 3 of data/train-00000-of-0000{len(train) // PER_SHARD + 1}.parquet" in schema
    assert "it is the same rollout of its task as row 5 of" in schema
    assert "split held_out has its task too, in row 7" in splits and "split held_out has its dialogue too" in splits
    assert "has its world instance too" in splits and "split held_out has nearly its dialogue" in splits


def test_labels_of_splits_do_not_count_in_a_folder_that_was_divided_anew(cluster: None, made: Made, tmp_path: Path) -> None:
    parts = {"train": slice(0, 60), "validation": slice(60, 100)}
    divided = Content(
        {split: made.content.rows["train"][part] for split, part in parts.items()},
        {split: made.content.tasks["train"][part] for split, part in parts.items()},
    )
    found = validated(save(divided, tmp_path / "set", None, PER_SHARD), tmp_path / "out", checks=("splits",))
    assert not found.rows and found.summary["checks"]["splits"]["skipped"] is None


def test_one_split_is_compared_with_other_data_sets(cluster: None, made: Made, tmp_path: Path) -> None:
    alone = Content({"train": made.content.rows["train"]}, {"train": made.content.tasks["train"]})
    folder = save(alone, tmp_path / "alone", None, PER_SHARD)
    checks = ("splits",)
    assert "set against" in validated(folder, tmp_path / "a", checks=checks).summary["checks"]["splits"]["skipped"]
    other = Content({"test": made.content.rows["held_out"]}, {"test": made.content.tasks["held_out"]})
    strange = save(other, tmp_path / "strange", None, PER_SHARD)
    found = validated(folder, tmp_path / "b", checks=checks, against=(str(strange),))
    assert not found.rows and found.summary["checks"]["splits"]["skipped"] is None
    found = validated(folder, tmp_path / "c", checks=checks, against=(str(strange), str(made.folder)))
    assert Counter(row["what"].partition(", in")[0] for row in found.rows) == {
        f"{made.folder} has its task too": 170, f"{made.folder} has its dialogue too": 170,
        f"{made.folder / 'tasks'} has its world instance too": 170,
    }  # fmt: skip


def shard(folder: Path, index: int, split: str = "train") -> Path:
    return sorted(folder.glob(f"data/{split}-*.parquet"))[index]


def page_of(path: Path) -> int:
    """An offset within the pages of the messages of a shard."""
    names = pq.read_schema(path).names
    group = pq.read_metadata(path).row_group(0)
    column = next(i for i in range(group.num_columns) if group.column(i).path_in_schema.startswith("messages"))
    assert "messages" in names
    return group.column(column).dictionary_page_offset or group.column(column).data_page_offset


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(bytes(content))


def test_damage_of_every_kind_is_found_file_by_file(cluster: None, folder: Path, tmp_path: Path) -> None:
    flip(shard(folder, 0), page_of(shard(folder, 0)) + 200)
    truncated = shard(folder, 1)
    truncated.write_bytes(truncated.read_bytes()[:-100])
    one, other = shard(folder, 2), shard(folder, 3)
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])
    removed = shard(folder, 0, "held_out")
    write_shard(pq.read_table(removed).slice(1), removed)
    missing = shard(folder, 1, "held_out")
    missing.unlink()
    (folder / "data/train-00007-of-00008.parquet").write_bytes(contents[0])
    (folder / "data/notes.txt").write_text("hello")
    (folder / "tasks/train.manifest.json").write_text("{}")
    (folder / ".writing/train").mkdir(parents=True)
    (folder / ".writing/train/00009.parquet").write_bytes(contents[0])
    found = validated(folder, tmp_path / "out", workers=2, checks=("files",))
    told = defaultdict(list)
    for row in found.rows:
        told[Path(row["shard"]).name].append(row["what"])
    wanted = {
        shard(folder, 0).name: ["has SHA-256", "is damaged from here on"], truncated.name: ["bytes, the manifest says"],
        one.name: ["the manifest says"], other.name: ["the manifest says"],
        removed.name: ["bytes, the manifest says", "has 39 rows"],
        missing.name: ["is missing; the manifest has it"], "train-00007-of-00008.parquet": ["no manifest has it"],
        "notes.txt": ["no manifest has it"], "train.manifest.json": ["is not a manifest"], "00009.parquet": ["was not finished"],
    }  # fmt: skip
    assert set(told) == set(wanted)
    for name, whats in wanted.items():
        for what in whats:
            assert any(what in line for line in told[name]), (name, what, told[name])
    assert any("is truncated or damaged" in line for line in told[truncated.name])
    damage = next(row for row in found.rows if "from here on" in row["what"])
    assert damage["row"] == 0 and damage["shard"] == f"data/{shard(folder, 0).name}"


def test_a_downloaded_folder_without_manifests_is_a_data_set_and_its_pages_are_checked(
    cluster: None, folder: Path, tmp_path: Path
) -> None:
    for path in (*folder.glob("*.manifest.json"), *folder.glob("tasks/*.manifest.json"), folder / "summary.json"):
        path.unlink()
    whole = validated(folder, tmp_path / "whole")
    assert not whole.rows
    assert any("has no manifest" in note for note in whole.summary["checks"]["files"]["notes"])
    flip(shard(folder, 0), page_of(shard(folder, 0)) + 200)
    shard(folder, 2).unlink()
    found = validated(folder, tmp_path / "flipped")
    assert {row["check"] for row in found.rows} == {"files"}
    assert sorted(row["what"].partition(" (")[0] for row in found.rows) == [
        "is damaged from here on", "is missing; its neighbours' names promise it",
    ]  # fmt: skip


def test_columns_of_another_shape_are_found_and_their_rows_left_alone(cluster: None, folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(shard(folder, 0))
    write_shard(table.drop_columns(["licence"]), shard(folder, 0))
    at = table.schema.get_field_index("rollout")
    write_shard(table.set_column(at, "rollout", table.column("rollout").cast(pa.int64())), shard(folder, 1))
    write_shard(table.append_column("extra", table.column("id")), shard(folder, 2))
    write_shard(table.select(table.schema.names[::-1]), shard(folder, 3))
    found = validated(folder, tmp_path / "out", checks=("schema",))
    assert found.told("schema")[:4] == [
        f"data/{shard(folder, 0).name}: has no column licence",
        f"data/{shard(folder, 1).name}: column rollout is int64, not int32",
        f"data/{shard(folder, 2).name}: has columns that it should not have: extra",
        f"data/{shard(folder, 3).name}: has its columns in another order",
    ]
    assert found.summary["rows"] == {"held_out": 60, "train": 10} and len(found.rows) == 4


def test_json_as_plain_text_is_accepted_and_said(cluster: None, folder: Path, tmp_path: Path) -> None:
    for path in (*folder.glob("*.manifest.json"), folder / "summary.json"):
        path.unlink()
    for path in folder.glob("data/*.parquet"):
        write_shard(as_text(pq.read_table(path)), path)
    found = validated(folder, tmp_path / "out")
    assert not found.rows and "7 shards under" in found.summary["checks"]["schema"]["notes"][0]
    assert found.summary["checks"]["tokens"]["looked_at"] == 153


def test_a_row_whose_json_is_none_costs_only_itself(cluster: None, folder: Path, tmp_path: Path) -> None:
    path = shard(folder, 0)
    table = pq.read_table(path)
    texts = table.column("metadata").cast(pa.string()).to_pylist()
    texts[4], texts[6] = "{", "[" * 100_000
    at = table.schema.get_field_index("metadata")
    write_shard(table.set_column(at, table.schema.field(at), pa.array(texts).cast(pa.json_())), path)
    found = validated(folder, tmp_path / "out", checks=("schema", "messages"))
    assert found.by_place() == {("train", 4): {"schema"}, ("train", 6): {"schema"}}
    assert all("holds no JSON where it should" in row["what"] for row in found.rows)
    assert found.summary["checks"]["messages"]["looked_at"] == 228


def test_without_a_tokenizer_or_tasks_a_check_says_what_it_could_not_look_at(cluster: None, folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "tokenizer")
    shutil.rmtree(folder / "tasks")
    found = validated(folder, tmp_path / "out", checks=("tokens", "outcome", "certificates", "schema"))
    checks = found.summary["checks"]
    assert not found.rows and "there are no tasks under" in checks["certificates"]["skipped"]
    assert any("153 rows were not held against their messages: there is no" in note for note in checks["tokens"]["notes"])
    assert any("230 rows have no task" in note for note in checks["outcome"]["notes"])
    assert any("task ids were not looked up" in note for note in checks["schema"]["notes"])
    assert checks["card"]["skipped"] == "not among checks=[...]" and checks["card"]["looked_at"] == 0
    with pytest.raises(UserError, match="tokens.path: /nowhere"):
        validated(folder, tmp_path / "no", tokens=replace(Validate().tokens, path="/nowhere"))


def test_a_tokenizer_of_another_format_fits_no_row(cluster: None, made: Made, tmp_path: Path) -> None:
    typed = replace(Validate().tokens, path=str(made.folder / "tokenizer"), tools_format="typescript")
    found = validated(made.folder, tmp_path / "out", checks=("tokens",), tokens=typed)
    assert found.summary["checks"]["tokens"]["findings"] == 153
    with pytest.raises(UserError, match="lacks|has no token"):
        validated(made.folder, tmp_path / "no", tokens=replace(typed, dialect="qwen3"))


def test_rows_of_a_benchmark_are_found(cluster: None, made: Made, tmp_path: Path) -> None:
    row = made.content.rows["train"][11]
    said = max((message["content"] for message in row["messages"] if message["role"] == "user"), key=len)
    file = tmp_path / "bench.jsonl"
    file.write_text(json.dumps({"id": "item-7", "text": said}) + "\n")
    found = validated(made.folder, tmp_path / "out", checks=("contamination",), benchmarks=(str(file),))
    assert ("train", 11) in found.by_place()
    assert found.summary["checks"]["contamination"]["looked_at"] == 230
    assert any("holds item item-7 of bench (verbatim" in what for what in found.told("contamination"))


def test_parents_must_be_known_where_their_data_sets_are_given(cluster: None, made: Made, tmp_path: Path) -> None:
    content = Content({"train": copy.deepcopy(made.content.rows["train"][:60])}, {"train": made.content.tasks["train"][:60]})
    rows = content.rows["train"]
    rows[1]["parents"] = [rows[0]["id"]]
    rows[2]["parents"] = [made.content.rows["held_out"][0]["id"]]
    rows[3]["parents"] = ["stranger"]
    folder, checks = save(content, tmp_path / "set", None, PER_SHARD), ("provenance",)
    alone = validated(folder, tmp_path / "alone", checks=checks)
    assert not alone.rows and "2 rows have parents elsewhere" in alone.summary["checks"]["provenance"]["notes"][0]
    found = validated(folder, tmp_path / "found", checks=checks, sources=(str(made.folder),))
    assert found.by_place() == {("train", 3): {"provenance"}}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "README.md").unlink(), "README.md: is missing"),
        (lambda folder: (folder / "README.md").write_text("# Hello\n"), "has no YAML between --- at its head"),
        (lambda folder: (folder / "README.md").write_text("---\n[\n---\n"), "cannot be read"),
        (lambda folder: (folder / "README.md").write_text("---\nlicense: mit\n---\n"), "names no configs"),
        (lambda folder: _edit(folder / "README.md", "data/train-*", "data/test-*"), "no file is called data/test-*.parquet"),
        (lambda folder: _edit(folder / "README.md", "data/train-*", "data/test-*"), "no config names data/train-00000"),
        (lambda folder: _edit(folder / "README.md", "data/train-*", "../set/data/train-*"), "no file is called (nothing)"),
        (lambda folder: (folder / "summary.json").write_text('{"dataset_digest": "abc"}'), "dataset_digest: says abc..., the"),
        (lambda folder: (folder / "summary.json").write_text("{"), "summary.json: is no JSON"),
    ],
)
def test_a_card_that_speaks_of_other_files_is_found(cluster: None, folder: Path, tmp_path: Path, spoil, said: str) -> None:
    spoil(folder)
    found = validated(folder, tmp_path / "out", checks=("card",))
    assert any(said in what for what in found.told("card")), found.rows


def _edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_the_command_ends_with_an_error_that_names_the_first_finding(orrery, folder: Path) -> None:
    fine = orrery("validate", f"dataset={folder}", "out=fine", "workers=2", "certificates=20")
    assert fine.status == 0, fine.error
    summary = json.loads(Path("fine/summary.json").read_text())
    assert summary["passed"] and summary["checks"]["certificates"]["looked_at"] == 20
    assert re.search(r"contamination +- +0 +skipped: no benchmark", fine.out)
    assert re.search(r"schema +230 rows +0 +passed", fine.out)
    (folder / "README.md").unlink()
    wrong = orrery("validate", f"dataset={folder}", "out=wrong", "checks=[card,schema]")
    assert wrong.status == 2 and f"{folder} has 1 findings; first: card: README.md: is missing" in wrong.error
    assert not json.loads(Path("wrong/summary.json").read_text())["passed"]
    assert [row["shard"] for row in read("wrong", "findings")] == ["README.md"]
    again = orrery("validate", f"dataset={folder}", "out=wrong", "checks=[card,schema]", "resume=auto")
    assert again.status == 2 and "wrong is finished:" in again.error and "README.md: is missing" in again.error


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"checks": ("file",)}, "checks: file is not among files, schema"),
        ({"certificates": -1}, "certificates: is a number of tasks, or all, not -1"),
        ({"certificates": "some"}, "certificates: is a number of tasks, or all, not some"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_key(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        DatasetChecks(**settings)


@pytest.mark.parametrize("key", ["dataset", "against", "sources"])
def test_a_folder_without_a_data_set_is_named_by_its_key(made: Made, tmp_path: Path, key: str) -> None:
    settings: dict[str, Any] = {"dataset": str(made.folder)} | {key: str(tmp_path) if key == "dataset" else (str(tmp_path),)}
    with pytest.raises(UserError, match=f"{key}: .* holds no data set"):
        check_dataset(DatasetChecks(**settings))


def test_a_benchmark_that_is_none_is_named(orrery, made: Made, tmp_path: Path) -> None:
    missing = orrery("validate", f"dataset={made.folder}", "benchmarks=[nowhere.json]", "out=x")
    assert missing.status == 2 and "benchmarks: nowhere.json is no file" in missing.error and not Path("x").exists()
    (tmp_path / "bench.json").write_text("{}")
    other = orrery("validate", f"dataset={made.folder}", "benchmarks=[bench.json]", "out=x")
    assert other.status == 2 and "bench.json" in other.error and "Traceback" not in other.error


@pytest.mark.planted
@pytest.mark.timeout(3600)
def test_twenty_of_every_kind_are_found_among_ten_thousand_rows_and_nothing_else(cluster: None, tmp_path: Path) -> None:
    content, tokenizer = make({"train": 9000, "held_out": 1000}, tmp_path)
    clean = validated(save(content, tmp_path / "clean", tokenizer, PER_SHARD), tmp_path / "nothing", workers=2)
    assert not clean.rows
    spoilt = list(spoil_rows(content, 20, seed=1))
    found = validated(save(content, tmp_path / "set", tokenizer, PER_SHARD), tmp_path / "out", workers=2)
    places = found.by_place()
    recall = Counter(kind for kind, check, split, number, _ in spoilt if check in places.get((split, number), ()))
    assert recall == {spoil.__name__: 20 for spoil in ROW_KINDS}
    assert set(places) == {(split, number) for _, _, split, number, _ in spoilt}
