"""Keys: what comes twice is found, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from trajectories.checking.keys import KeyColumn, key, repeated, shared

names = st.lists(st.integers(0, 12), max_size=40)


def column(values: list[int]) -> KeyColumn:
    made = KeyColumn()
    for value in values:
        made.add(key("a name", value))
    return made


@given(names)
def test_a_key_is_repeated_where_an_earlier_one_is_equal(values: list[int]) -> None:
    expected = [(n, values.index(value)) for n, value in enumerate(values) if value in values[:n]]
    assert list(repeated(column(values).array())) == expected


@given(names, names)
def test_keys_are_shared_with_the_first_equal_one_of_the_others(values: list[int], others: list[int]) -> None:
    expected = [(n, others.index(value)) for n, value in enumerate(values) if value in others]
    assert list(shared(column(values).array(), column(others).array())) == expected


def test_a_key_tells_values_apart_by_what_they_mean() -> None:
    assert key(1, "2") == key(1.0, "2") and len({key(1, "2"), key("1", 2), key("12"), key(1, "2", None)}) == 4
    assert len(key("\ud800")) == 16 and len(column([1, 2])) == 2
