"""The card says what is in the folder, and `datasets` loads the folder by it alone, without a network."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard

from tests.trajectories.card import samples
from trajectories import shards
from trajectories.card import CardAbout, write_card
from trajectories.card.columns import COLUMN_MEANINGS, TASK_COLUMN_MEANINGS
from trajectories.card.counts import Counts, added
from trajectories.card.front_matter import size_category
from trajectories.card.pictures import draw_pictures
from trajectories.card.tables import Table, markdown, short_table
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA

ABOUT = CardAbout(
    title="Five: a set",
    command="orrery synthesize count=5",
    settings={"seed": 7, "out": "/home/somebody/x", "tasks": {"worlds": ["order_desk"]}},
    code_version="orrery 0.1.0",
    tried=9,
    dropped={"failed": 3, "near_duplicate": 1, "judge": 0},
    deduplication={"pairs compared": 10, "state bytes per row": 98.5},
    usage={"judge": {"requests": 3, "cost (USD)": 0.25}},
    notes=("The fifth row is odd.",),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("five")
    samples.write(folder, samples.five(), tasks=5)
    samples.write(folder, samples.five()[:3], split="held_out")
    write_card(folder, ABOUT)
    return folder


def test_the_front_matter_is_what_the_hub_takes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets.utils.metadata import MetadataConfigs

    data = DatasetCard.load(folder / "README.md").data
    assert data.license == "apache-2.0" and data.language == ["en", "zh"] and data.pretty_name == "Five: a set"
    assert data.size_categories == ["n<1K"] and "text-generation" in data.task_categories
    configs = MetadataConfigs.from_dataset_card_data(data)  # raises where a configuration is malformed
    assert list(configs) == ["default", "tasks"] and configs.get_default_config_name() == "default"
    assert configs["default"]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "held_out", "path": "data/held_out-*.parquet"},
    ]


def test_datasets_loads_the_folder_by_its_card(folder: Path, tmp_path: Path) -> None:
    from datasets import get_dataset_config_names, load_dataset

    cache = str(tmp_path / "cache")
    assert get_dataset_config_names(str(folder)) == ["default", "tasks"]
    loaded = load_dataset(str(folder), cache_dir=cache)
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 5, "held_out": 3}
    stored = next(shards.read(folder))
    assert loaded["train"][0]["messages"] == stored["messages"] and loaded["train"][0]["tools"] == stored["tools"]
    tasks = load_dataset(str(folder), "tasks", split="train", cache_dir=cache)
    assert tasks.num_rows == 5 and tasks[3]["ledger"]["goal"] == "goal of task 3"


def test_json_lines_load_by_their_card(tmp_path: Path) -> None:
    from datasets import load_dataset

    for split, count in (("train", 3), ("test", 1)):
        rows = [{"messages": [{"role": "user", "content": str(n)}], "index": n} for n in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = write_card(
        tmp_path, CardAbout(title="Lines", format="openai", licence="MIT", columns={"index": "The row's number."})
    ).read_text()
    loaded = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 3, "test": 1}
    assert "| `index` | integer | The row's number. |" in text and "license: mit" in text and "- openai" in text


def test_the_card_tells_what_is_there(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    for expected in (
        "# Five: a set",
        "8 dialogues between a user and an agent",
        "orrery synthesize count=5",
        "9 were tried, 8 kept.",
        "| near\\_duplicate | 1 | 25.0 % |",
        "| pairs compared | 10 |",
        "| judge | 3 | 0.25 |",
        "All 8 rows belong to a certified task",
        "overlap with benchmarks: take it that nobody looked",
        "- The fifth row is odd.",
        "- Failed dialogues are in it.",
        "**3 tasks are in more than one split.**",
        "| healthcare/hospital\\_wards | `digest of runs/7` |",
    ):
        assert expected in text, expected
    assert "/home/somebody" not in text and "judge | 0" not in text


def test_disjoint_splits_are_said_to_be_so(tmp_path: Path) -> None:
    made = samples.five()
    samples.write(tmp_path, made[:3])
    samples.write(tmp_path, made[3:], split="held_out")
    assert "No task is in two splits." in write_card(tmp_path, ABOUT).read_text()


def test_every_column_has_a_meaning(folder: Path) -> None:
    assert set(COLUMN_MEANINGS) == set(TRAJECTORY_SCHEMA.names) and set(TASK_COLUMN_MEANINGS) == set(TASK_SCHEMA.names)
    text = (folder / "README.md").read_text()
    assert all(f"| `{name}` |" in text for name in (*TRAJECTORY_SCHEMA.names, *TASK_SCHEMA.names))


def test_pictures_are_there_with_words_and_equal_bytes(folder: Path, tmp_path: Path) -> None:
    text = (folder / "README.md").read_text()
    shown = re.findall(r"!\[([^\]]+)\]\((figures/[^)]+\.png)\)", text)
    assert {path for _, path in shown} == {f"figures/{path.name}" for path in (folder / "figures").iterdir()}
    assert len(shown) == 3 - 1 and all(len(words) > 20 for words, _ in shown)  # one persona: no picture of users
    copy = samples.write(tmp_path / "copy", samples.five(), tasks=5)
    samples.write(copy, samples.five()[:3], split="held_out")
    write_card(copy, ABOUT)
    digests = [{path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in _written(root)} for root in (folder, copy)]
    assert digests[0] == digests[1]
    assert all(b"Software" not in path.read_bytes() and b"tIME" not in path.read_bytes() for path in (copy / "figures").iterdir())


def _written(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "figures").iterdir())]


def test_an_empty_data_set_has_a_card_that_says_so(tmp_path: Path) -> None:
    samples.write(tmp_path, [])
    text = write_card(tmp_path, CardAbout(title="Nothing")).read_text()
    assert "This data set is empty" in text and "![" not in text and "license: unknown" in text
    assert yaml.safe_load(text.split("---")[1])["size_categories"] == ["n<1K"]


def test_a_licence_is_text_and_labels_other_than_pass_are_told(tmp_path: Path) -> None:
    first = samples.trajectory(0)
    evil = replace(first.provenance, licence="[MIT](http://evil) <b>")
    labelled = [
        samples.trajectory(n, provenance=evil, metadata={**first.metadata, "label": label})
        for n, label in enumerate(("pass", "near_miss"))
    ]
    text = write_card(samples.write(tmp_path, labelled), CardAbout(title="Labelled")).read_text()
    assert "\n\\[MIT\\](http://evil) \\<b>." in text
    assert "whose `metadata.label` is `pass`" in text and "| near\\_miss | 1 | 50.0 % |" in text


def test_what_rows_hold_stays_in_its_cell(tmp_path: Path) -> None:
    evil = "a|b\n\n# Owned <script>alert(1)</script> `x` \u202e $\\frac12$ \ud800"
    about = {**samples.trajectory(0).metadata, "persona": evil, "tags": [evil, "act"]}
    made = [samples.trajectory(n, metadata={**about, "persona": f"{evil}{n}"}) for n in range(3)]
    text = write_card(samples.write(tmp_path, made), CardAbout(title="Evil")).read_text(encoding="utf-8")
    assert "\n# Owned" not in text and "\u202e" not in text and "⟦U+202E⟧" in text and "⟦U+D800⟧" in text
    assert not re.search(r"(?<!\\)<script", text)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"worlds.png", "dialogues.png", "users.png"}


@pytest.mark.parametrize("count", [1, 16, 17, 40])
def test_tables_are_short_and_lose_nothing(count: int) -> None:
    values = {f"value {n:02}": n + 1 for n in range(count)}
    table = short_table("Values", values)
    assert len(table.rows) <= 16 and sum(row[1] for row in table.rows) == sum(values.values())
    assert (f"{count - 15} more" in {row[0] for row in table.rows}) is (count > 16)


def test_numbers_stand_to_the_right() -> None:
    text = markdown(Table("", ("what", "n", "share"), (("a", 1200, 0.5), ("b", 3, None))))
    assert text == "| what | n | share |\n| --- | ---: | ---: |\n| a | 1,200 | 50.0 % |\n| b | 3 |  |"


def test_a_card_written_again_replaces_the_first_and_its_pictures(tmp_path: Path) -> None:
    samples.write(tmp_path, samples.five())
    write_card(tmp_path, ABOUT)
    assert (tmp_path / "figures" / "worlds.png").is_file()
    for made in tmp_path.glob("data/*.parquet"):
        made.unlink()
    (tmp_path / "train.manifest.json").unlink()
    samples.write(tmp_path, [])
    write_card(tmp_path, replace(ABOUT, title="Now empty"))
    assert not list((tmp_path / "figures").iterdir()) and "# Now empty" in (tmp_path / "README.md").read_text()


def test_many_worlds_are_drawn_by_category(tmp_path: Path) -> None:
    counts = Counts()
    for number in range(60):
        counts.axes["world"][f"cat{number % 4}/w{number}"] += 1
        counts.axes["category"][f"cat{number % 4}"] += 1
        counts.categories[f"cat{number % 4}/w{number}"] = f"cat{number % 4}"
        counts.cells[f"cat{number % 4}/w{number}", "act"] += 1
    counts.axes["family"] = Counter(act=60)
    assert "category of worlds (4 of them)" in draw_pictures(added([counts]), tmp_path)["worlds.png"]


@pytest.mark.parametrize(("rows", "word"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M")])
def test_sizes_are_the_hubs_words(rows: int, word: str) -> None:
    assert size_category(rows) == word


def test_other_licences_are_named(tmp_path: Path) -> None:
    made = samples.trajectory(0)
    made = replace(made, provenance=replace(made.provenance, licence="EUPL-1.2"))
    head = yaml.safe_load(write_card(samples.write(tmp_path, [made]), CardAbout(title="x")).read_text().split("---")[1])
    assert head["license"] == "other" and head["license_name"] == "eupl-1.2"


def test_a_title_is_needed() -> None:
    with pytest.raises(ValueError, match="title: a data set has one"):
        CardAbout(title=" ")
