"""Merge patches by the rules of RFC 7396, on random documents."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from simulators.played.answers import merge_patch

# The cases of the RFC's appendix A whose document and patch are objects.
CASES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

keys = st.sampled_from("abc")
leaves = st.integers(0, 3) | st.booleans() | st.text("xy", max_size=2) | st.lists(st.integers(0, 3), max_size=2)
documents = st.dictionaries(keys, st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=3)), max_size=3)


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The patch from one document to another, by the definition."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        if isinstance(value, dict) and isinstance(before.get(key), dict):
            patch[key] = difference(before[key], value)
        elif key not in before or before[key] != value or type(before[key]) is not type(value):
            patch[key] = value
    return patch


def test_the_cases_of_the_rfc() -> None:
    for document, patch, expected in CASES:
        assert merge_patch(document, patch) == expected


@given(documents, documents)
def test_every_document_is_reached_by_a_patch_that_changes_neither(before: dict[str, Any], after: dict[str, Any]) -> None:
    patch = difference(before, after)
    kept = copy.deepcopy((before, patch))
    reached = merge_patch(before, patch)
    assert reached == after and (before, patch) == kept
    assert merge_patch(reached, patch) == reached
    assert merge_patch(before, {}) == before
