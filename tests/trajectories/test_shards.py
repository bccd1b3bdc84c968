"""Shards are whole or absent, resume where they stopped, and have the same bytes however they came about."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajectories import shards
from trajectories.columns import to_batch
from trajectories.json_text import CodecError
from trajectories.shards import ShardError, ShardWriter

SCHEMA = pa.schema({"id": pa.int64(), "blob": pa.json_(), "tokens": pa.list_(pa.int32())})


def rows(count, start=0):
    return [
        {"id": i, "blob": {"i": i, "x": [i / 7]}, "tokens": list(range(i % 5))} for i in range(start, start + count)
    ]


def write(directory, count, rows_per_shard=10, split="train"):
    return shards.write(rows(count), directory, schema=SCHEMA, rows_per_shard=rows_per_shard, split=split)


def writer(directory, **settings):
    return ShardWriter(directory, schema=SCHEMA, rows_per_shard=10, **settings)


def files(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*.parquet"))}


def test_names_counts_and_order(tmp_path):
    manifest = write(tmp_path, 25)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == [
        "data", "train-00000-of-00003.parquet", "train-00001-of-00003.parquet", "train-00002-of-00003.parquet",
        "train.manifest.json",
    ]  # fmt: skip
    assert [shard.rows for shard in manifest.shards] == [10, 10, 5]
    assert list(shards.read(tmp_path)) == rows(25)
    assert shards.resume(tmp_path) == 25
    assert shards.manifest(tmp_path) == manifest


def test_rows_are_read_by_column(tmp_path):
    write(tmp_path, 3)
    assert list(shards.read(tmp_path, columns=["id"])) == [{"id": 0}, {"id": 1}, {"id": 2}]


def test_an_empty_split_is_written_and_read(tmp_path):
    assert write(tmp_path, 0).rows == 0
    assert list(shards.read(tmp_path)) == []


def test_splits_share_a_directory_and_may_be_open_together(tmp_path):
    with writer(tmp_path) as train, writer(tmp_path, split="held_out") as held_out:
        for row in rows(12):
            train.append(row)
            held_out.append(row)
    assert list(shards.read(tmp_path, "held_out")) == list(shards.read(tmp_path)) == rows(12)
    assert not (tmp_path / ".writing").exists()


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 17), st.sampled_from(["flush", "crash", "close", "drop"])), max_size=5),
    total=st.integers(0, 45),
)
def test_bytes_do_not_tell_how_often_a_run_was_flushed_interrupted_or_resumed(steps, total, tmp_path_factory):
    directory, plain = tmp_path_factory.mktemp("eventful"), tmp_path_factory.mktemp("plain")
    done = 0
    for count, event in steps:
        until = min(total, done + count)
        try:
            with writer(directory, resume=True) as out:
                assert out.rows_written == shards.resume(directory) == done
                for row in rows(until - done, done):
                    out.append(row)
                    if event == "flush":
                        assert out.flush() == out.rows_written
                if event == "crash":
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        done = until
        if event == "drop" and done:  # a checkpoint lies behind what was written
            done -= done // 3
            with writer(directory, resume=True, keep_rows=done) as out:
                assert out.rows_written == done
    with writer(directory, resume=True) as out:
        for row in rows(total - done, done):
            out.append(row)
    write(plain, total)
    assert files(directory) == files(plain)
    assert shards.manifest(directory).fingerprint() == shards.manifest(plain).fingerprint()


def test_a_second_run_in_the_same_directory_is_refused(tmp_path):
    write(tmp_path, 5)
    before = files(tmp_path)
    with pytest.raises(ShardError, match="holds split train already"):
        write(tmp_path, 5)
    assert files(tmp_path) == before and shards.resume(tmp_path) == 5


def test_an_unfinished_run_is_refused_too_and_is_no_data_set_yet(tmp_path):
    with pytest.raises(KeyboardInterrupt), writer(tmp_path) as out:
        out.append(rows(1)[0])
        raise KeyboardInterrupt
    with pytest.raises(ShardError, match="choose another directory, or resume"):
        writer(tmp_path)
    with pytest.raises(ShardError, match="not finished"):
        list(shards.read(tmp_path))


def test_two_writers_at_once_are_refused(tmp_path):
    with writer(tmp_path) as out:
        with pytest.raises(ShardError, match="another run is writing"):
            writer(tmp_path, resume=True)
        out.append(rows(1)[0])
    assert list(shards.read(tmp_path)) == rows(1)


@pytest.mark.parametrize("kept_bytes", [0, 3, 0.5, 0.99])
def test_a_truncated_shard_is_named_by_every_reader(tmp_path, kept_bytes):
    write(tmp_path, 25)
    path = tmp_path / "data" / "train-00001-of-00003.parquet"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept_bytes * len(content)) if kept_bytes < 1 else kept_bytes])
    for reader in (
        lambda: list(shards.read(tmp_path)),
        lambda: shards.resume(tmp_path),
        lambda: writer(tmp_path, resume=True),
    ):
        with pytest.raises(ShardError, match=r"train-00001-of-00003\.parquet"):
            reader()
    (tmp_path / "train.manifest.json").unlink()  # without sizes to compare, the content tells
    with pytest.raises(ShardError, match=r"train-00001-of-00003\.parquet is truncated or damaged"):
        list(shards.read(tmp_path))


def test_one_flipped_bit_in_the_data_is_found(tmp_path):
    write(tmp_path, 25)
    path = tmp_path / "data" / "train-00000-of-00003.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 4
    path.write_bytes(content)
    with pytest.raises(ShardError, match="train-00000-of-00003"):
        list(shards.read(tmp_path))


def test_after_removing_a_damaged_shard_and_those_after_it_the_run_goes_on_to_the_same_bytes(tmp_path):
    write(tmp_path / "plain", 35)
    write(tmp_path / "damaged", 35)
    for index in (1, 2, 3):
        (tmp_path / "damaged" / "data" / f"train-0000{index}-of-00004.parquet").unlink()
    with pytest.raises(ShardError, match=r"train-00001-of-00004\.parquet is missing"):
        list(shards.read(tmp_path / "damaged"))
    assert shards.resume(tmp_path / "damaged") == 10
    with writer(tmp_path / "damaged", resume=True) as out:
        for row in rows(25, 10):
            out.append(row)
    assert files(tmp_path / "damaged") == files(tmp_path / "plain")


def test_a_missing_shard_in_the_middle_is_named(tmp_path):
    write(tmp_path, 35)
    (tmp_path / "data" / "train-00001-of-00004.parquet").unlink()
    with pytest.raises(ShardError, match="shard 00001 of split train is missing"):
        shards.resume(tmp_path)


def test_a_data_set_without_its_manifest_still_reads_as_a_download_would(tmp_path):
    write(tmp_path, 25)
    (tmp_path / "train.manifest.json").unlink()
    assert list(shards.read(tmp_path)) == rows(25)
    with pytest.raises(ShardError, match=r"train\.manifest\.json is not there"):
        shards.manifest(tmp_path)


def test_an_absent_data_set_has_no_rows_and_cannot_be_read(tmp_path):
    assert shards.resume(tmp_path / "nowhere") == 0
    with pytest.raises(ShardError, match="split train is not there"):
        list(shards.read(tmp_path / "nowhere"))


def test_resuming_with_other_columns_or_another_shard_size_is_refused(tmp_path):
    write(tmp_path, 25)
    with pytest.raises(ShardError, match="other columns"):
        ShardWriter(tmp_path, schema=pa.schema({"id": pa.int64()}), rows_per_shard=10, resume=True)
    with pytest.raises(ShardError, match="rows_per_shard=7"):
        ShardWriter(tmp_path, schema=SCHEMA, rows_per_shard=7, resume=True)
    assert list(shards.read(tmp_path)) == rows(25)


def test_a_checkpoint_that_claims_more_rows_than_there_are_is_refused(tmp_path):
    write(tmp_path, 25)
    with pytest.raises(ShardError, match="25 rows, which does not allow keep_rows=26"):
        writer(tmp_path, resume=True, keep_rows=26)


def test_a_row_that_does_not_fit_is_named_and_the_rows_before_it_are_kept(tmp_path):
    with pytest.raises(CodecError, match="row 13, column id"), writer(tmp_path) as out:
        for row in [*rows(13), {**rows(1)[0], "id": "thirteen"}, *rows(1, 14)]:
            out.append(row)
    assert shards.resume(tmp_path) == 13


def test_a_closed_writer_takes_no_more_rows(tmp_path):
    with writer(tmp_path) as out:
        first = out.close()
        with pytest.raises(ValueError, match="closed"):
            out.append(rows(1)[0])
    assert shards.manifest(tmp_path) == first


def test_a_long_split_is_written_in_row_groups_of_bounded_size(tmp_path):
    write(tmp_path, 600, rows_per_shard=600)
    metadata = pq.read_metadata(tmp_path / "data" / "train-00000-of-00001.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [256, 256, 88]


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=6))
def test_rows_that_come_as_arrow_give_the_same_bytes(tmp_path_factory, parts):
    directory, total = tmp_path_factory.mktemp("arrow"), sum(size for size, _ in parts)
    with writer(directory / "mixed") as mixed:
        start = 0
        for size, is_arrow in parts:
            found = rows(size, start)
            start += size
            if is_arrow:
                mixed.extend(to_batch(found, SCHEMA))
            else:
                for row in found:
                    mixed.append(row)
    write(directory / "plain", total)
    assert files(directory / "mixed") == files(directory / "plain")


def test_a_batch_of_other_columns_is_refused(tmp_path):
    with writer(tmp_path) as open_writer, pytest.raises(CodecError, match=r"a batch has the columns \['id'\]"):
        open_writer.extend(pa.RecordBatch.from_pydict({"id": [1]}))
