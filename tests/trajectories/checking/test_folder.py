"""Files: every changed byte is found, and rows are read in parts whatever their state."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trajectories.checking.folder import manifests, of_folder, of_shard, parts, split_names
from trajectories.checking.reading import read_part
from trajectories.shard_files import Manifest
from trajectories.shards import write

SCHEMA = pa.schema({"id": pa.string(), "value": pa.json_()})
ROWS = [{"id": f"row {number}", "value": {"number": number}} for number in range(3000)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("set")
    write(ROWS, directory, schema=SCHEMA, rows_per_shard=1700)
    return directory


def test_parts_hold_every_row_once_and_in_order(folder: Path) -> None:
    assert split_names(folder) == ("train",) and not list(of_folder(folder, folder))
    found = list(parts(folder, "train", folder))
    assert [(part.shard[-14:-8], part.first_row, part.rows) for part in found] == [
        ("-00002", 0, 1024), ("-00002", 1024, 676), ("-00002", 0, 1024), ("-00002", 1024, 276),
    ]  # fmt: skip
    read = [(part.shard, number, row) for part in found for batch in read_part(part, SCHEMA) for number, row in batch.rows]
    assert [row for _, _, row in read] == ROWS
    assert [number for _, number, _ in read] == [*range(1700), *range(1300)]


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_and_any_cut_is_found(folder: Path, data: st.DataObject) -> None:
    known = manifests(folder)["train"]
    assert isinstance(known, Manifest)
    shard = known.shards[0]
    content = (folder / "data" / shard.name).read_bytes()
    assert not list(of_shard(folder / "data" / shard.name, shard, known.columns))
    spoilt = bytearray(content)
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        spoilt[place] ^= data.draw(st.integers(1, 255))
    else:
        del spoilt[place:]
    path = folder / "spoilt"
    path.write_bytes(spoilt)
    assert list(of_shard(path, shard, known.columns))


def test_damage_costs_the_rows_behind_it_and_is_named(folder: Path, tmp_path: Path) -> None:
    write(ROWS, tmp_path, schema=SCHEMA, rows_per_shard=3000)
    path = next(tmp_path.glob("data/*"))
    offset = pq.read_metadata(path).row_group(2).column(1)
    content = bytearray(path.read_bytes())
    content[(offset.dictionary_page_offset or offset.data_page_offset) + 60] ^= 1
    path.write_bytes(content)
    batches = [batch for part in parts(tmp_path, "train", tmp_path) for batch in read_part(part, SCHEMA)]
    damage = [batch.damage for batch in batches if batch.damage is not None]
    assert len(damage) == 1 and "is damaged from here on" in damage[0][1] and 0 <= damage[0][0] <= 512
    numbers = [number for batch in batches for number, _ in batch.rows]
    assert numbers == [*range(damage[0][0]), *range(1024, 3000)]
