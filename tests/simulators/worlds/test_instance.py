"""A record's hash is that of its canonical JSON, whoever writes it; patches are found again only where they mean the same."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.worlds import load
from simulators.worlds.instance import record_hash
from trajectories.canonical import canonical_json
from trajectories.tasks import RecordPatch

VALUES = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WORLD = load("travel")
KEY = next(iter(WORLD.instantiate(1).keys("booking")))


@given(NAMES, NAMES, st.dictionaries(NAMES, VALUES, max_size=6), st.frozensets(NAMES, max_size=2))
def test_a_records_hash_is_that_of_its_canonical_json(
    entity: str, key: str, fields: dict[str, Any], volatile: frozenset[str]
) -> None:
    volatile |= frozenset(list(fields)[::3])
    counted = {name: value for name, value in fields.items() if name not in volatile}
    expected = hashlib.sha256(canonical_json([entity, key, counted]).encode()).hexdigest()
    assert f"{record_hash(entity, key, fields, volatile):064x}" == expected
    assert record_hash(entity, key, dict(reversed(fields.items())), volatile) == record_hash(entity, key, fields, volatile)


def patched(value: Any) -> Any:
    return WORLD.instantiate(1, (RecordPatch("booking", KEY, {"bags": value}),)).records("booking")[KEY]["bags"]


@pytest.mark.parametrize("first", [1, 1.0, True])
def test_equal_values_that_do_not_mean_the_same_are_told_apart(first: Any) -> None:
    """Whichever was asked for first."""
    for value in (first, 1, 1.0, True):
        if value is True:
            with pytest.raises(ValueError, match=f"booking {KEY}: bags must be an integer"):
                patched(value)
        else:
            assert patched(value) == 1 and type(patched(value)) is int


@pytest.mark.parametrize("value", [[1], {"a": 1}, "\ud83d", float("nan"), float("inf"), 1.5, "1", None])
def test_a_patch_that_no_field_may_hold_is_refused(value: Any) -> None:
    for _ in range(2):
        with pytest.raises(ValueError):
            patched(value)
    with pytest.raises(ValueError):
        WORLD.instantiate(1, (RecordPatch("booking", KEY, {"city": value}),)).digest()


def test_a_patch_that_is_no_json_at_all_is_the_callers_mistake() -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match="is not a JSON value"):
            patched(object())
