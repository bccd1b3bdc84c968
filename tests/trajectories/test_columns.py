"""Columns that nobody reads pass through as they are, and those that are read are read exactly."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trajectories import strategies
from tests.trajectories.test_json_text import _same
from trajectories.columns import from_batch, to_batch
from trajectories.json_text import JsonText

SCHEMA = pa.schema({"one": pa.json_(), "many": pa.list_(pa.json_()), "text": pa.string()})
rows = st.fixed_dictionaries(
    {
        "one": st.none() | strategies.json_objects(),
        "many": st.none() | st.lists(strategies.json_objects(), max_size=3),
        "text": st.none() | strategies.text,
    }
)


@settings(max_examples=60)
@given(st.lists(rows, max_size=5))
def test_unread_columns_give_the_same_batch_again(drawn):
    batch = to_batch(drawn, SCHEMA)
    unread = list(from_batch(batch, unread={"one", "many"}))
    assert all(type(row["one"]) in (JsonText, type(None)) for row in unread)
    assert to_batch(unread, SCHEMA).equals(batch)
    assert all(map(_same, from_batch(batch), drawn))


@pytest.mark.parametrize("text", [' {"a": 1}', '{"a": 1}\n', "\t[1, 2] "])
def test_white_space_around_json_of_others_is_no_trouble(text):
    storage = pa.array([text])
    batch = pa.RecordBatch.from_arrays([storage.cast(pa.json_())], schema=pa.schema({"one": pa.json_()}))
    assert [row["one"] for row in from_batch(batch)] == [json.loads(text)]


@pytest.mark.parametrize("text", ["{", '{"a": 1} {"b": 2}', ""])
def test_text_that_is_no_json_is_an_error(text):
    batch = pa.RecordBatch.from_arrays([pa.array([text]).cast(pa.json_())], schema=pa.schema({"one": pa.json_()}))
    with pytest.raises(ValueError):
        list(from_batch(batch))
