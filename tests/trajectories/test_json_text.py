"""JSON columns are read exactly by Python and by `datasets`, and what cannot be is refused by name."""

import json
import random
import struct

import numpy
import pandas
import pytest
from hypothesis import given, settings

from tests.trajectories import strategies
from trajectories import json_text as json_text_module
from trajectories.json_text import CodecError, JsonText, json_text, plain_json_text

ujson_loads = pandas.io.json.ujson_loads  # what `datasets` reads its Json() columns with


def test_datasets_reader_needs_this_module_at_all():
    assert ujson_loads("0.3") != 0.3, "the reader became exact: json_text can become json.dumps"


def test_two_decimal_prices_read_back_exactly_by_both_readers():
    for cents in range(0, 20_000, 7):
        text = json_text(cents / 100)
        assert json.loads(text) == cents / 100 == ujson_loads(text)


def test_random_doubles_read_back_exactly_by_both_readers():
    rng = random.Random(5)
    for _ in range(300):
        (value,) = struct.unpack("d", rng.randbytes(8))
        if value == value and 1e-290 < abs(value) < float("inf"):
            text = json_text(value)
            assert json.loads(text) == value == ujson_loads(text)


@settings(max_examples=200, deadline=None)
@given(strategies.json_values())
def test_any_json_value_reads_back_equal_by_both_readers(value):
    text = json_text(value)
    assert _same(json.loads(text), value) and _same(ujson_loads(text), value)


@settings(max_examples=100, deadline=None)
@given(strategies.json_values(strategies.wild_scalars))
def test_plain_text_reads_back_whatever_a_policy_wrote(value):
    text = plain_json_text(value)
    text.encode()  # a Parquet string
    assert _same(json.loads(text), value)


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, 10**400 // 3, float("nan"), float("inf"), 2.190379330157586e-308]
)
def test_a_number_that_no_reader_of_json_columns_can_hold_is_refused_with_its_place(value):
    with pytest.raises(CodecError, match=r"tools\.limit"):
        json_text({"limit": value}, "tools")


@pytest.mark.parametrize("value", [{1: 2}, {"a": (1, 2)}, {"a": {3}}, {"a": b"x"}, [{"deep": [object()]}]])
def test_what_json_would_change_silently_is_refused(value):
    with pytest.raises(CodecError, match="row 3"):
        plain_json_text(value, "row 3")


@settings(max_examples=100, deadline=None)
@given(strategies.json_values())
def test_a_value_has_the_same_text_whatever_was_written_before(value):
    value = {"value": value, "long": "x" * 200}
    first = json_text(value)
    json_text(_lookalike(value))
    assert json_text(value) == first and _same(json.loads(first), value)
    json_text_module._written.clear()
    assert json_text(value) == first


def test_values_that_python_takes_for_equal_keep_their_own_texts():
    long = "x" * 200
    texts = [json_text([value, long]) for _ in range(2) for value in (1, 1.0, True, 0, 0.0, -0.0, False)]
    assert [text.split(",")[0] for text in texts] == ["[1", "[1.0", "[true", "[0", "[0.0", "[-0.0", "[false"] * 2


def test_what_is_no_json_is_refused_even_where_it_looks_like_a_value_that_was_written():
    long = "x" * 200
    json_text([numpy.float64(1.0), long])
    bits = numpy.frombuffer(numpy.float64(1.0).tobytes(), numpy.int64)[0]
    for value in (bits, numpy.float64(1.0).tobytes()):
        with pytest.raises(CodecError, match="is not a JSON value"):
            json_text([value, long])
    json_text({"a": [1, 2], "b": long})
    with pytest.raises(CodecError, match="tuple"):
        json_text({"a": (1, 2), "b": long})
    with pytest.raises(CodecError, match="int; JSON keys are strings"):
        json_text({1: [1, 2], "b": long})


def test_what_is_remembered_stays_small(monkeypatch):
    monkeypatch.setattr(json_text_module, "_MEMORY", 10_000)
    for number in range(200):
        json_text({"number": number, "long": "x" * 300})
        assert sum(map(len, json_text_module._written)) <= 10_000


def test_unread_text_is_written_as_it_is():
    text = JsonText('{ "a":0.3 }')
    assert json_text(text) is text and json_text([1, "x"]) == '[1,"x"]'


def test_lone_surrogates_stay_readable_text():
    assert json.loads(json_text({"a": "x\ud83d"})) == {"a": "x\ud83d"}


def test_deep_nesting_that_the_parser_let_through_is_written():
    value = json.loads("[" * 700 + "]" * 700)
    assert json.loads(plain_json_text(value)) == value


def _lookalike(value):
    """Equal as Python sees it, of other types where that is possible."""
    if isinstance(value, dict):
        return {key: _lookalike(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_lookalike(item) for item in value]
    if isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, int) and float(value) == value else value


def _same(left, right):
    """Equal, and of equal types: 1, 1.0 and True are different JSON."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return left == right or left != left
