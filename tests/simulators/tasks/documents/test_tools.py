"""Tools tell what stands in the bytes; whatever is wrong with a call is told to the agent, and never breaks the episode."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.tasks.documents.recipe import Recipe
from simulators.tasks.documents.tools import documents_world

STATE = documents_world().instantiate(0, (Recipe("clinic", 77, 2, "budget_left", "en").patch(),))
LEDGER = {"file": "ledger.xlsx", "sheet": "Ledger", "header_row": 3}
NUMBER = {"type": "integer"}


def told(tool: str, **arguments: Any) -> dict[str, Any]:
    result = STATE.call(tool, arguments)
    assert not result.isError, result.content
    return json.loads(result.content)


def test_a_query_adds_up_exactly_the_rows_that_meet_every_condition() -> None:
    everything = told("query_sheet", **LEDGER)
    assert everything["matching"] == len(everything["rows"]) == 56
    first = everything["rows"][0]
    asked = [{"column": "Department", "op": "eq", "value": first["Department"]}, {"column": "Amount", "op": "gt", "value": 500}]
    found = told("query_sheet", **LEDGER, where=asked, aggregate={"function": "sum", "column": "Amount"})
    rows = [row for row in everything["rows"] if row["Department"] == first["Department"] and row["Amount"] > 500]
    assert found["rows"] == rows
    assert round(sum(row["Amount"] for row in rows) * 100) == round(found["aggregate"]["value"] * 100)
    assert found["aggregate"]["cells"] == [f"F{row['row']}" for row in rows]
    cells = told("read_range", file="ledger.xlsx", sheet="Ledger", cells="F4:F59")["cells"]
    assert [cells[at] for at in found["aggregate"]["cells"]] == [row["Amount"] for row in rows]


@pytest.mark.parametrize(
    ("op", "value", "holds"),
    [
        ("ne", "Nobody", True), ("eq", "Nobody", False), ("contains", "", True), ("in", ["Nobody", 5], False), ("lt", 5, False),
        ("le", "~", True), ("ge", "", True), ("gt", "~", False), ("eq", ["x"], False), ("contains", 3.5, False),
    ],
)  # fmt: skip
def test_every_operator_takes_every_value(op: str, value: Any, holds: bool) -> None:
    found = told("query_sheet", **LEDGER, where=[{"column": "Supplier", "op": op, "value": value}])
    assert (found["matching"] == 56) is holds and (found["matching"] == 0) is not holds


@pytest.mark.parametrize("function", ["sum", "count", "min", "max", "mean"])
def test_an_aggregate_over_nothing_is_no_error(function: str) -> None:
    asked = {"where": [{"column": "Entry", "op": "eq", "value": "none"}], "aggregate": {"function": function, "column": "Amount"}}
    assert told("query_sheet", **LEDGER, **asked)["aggregate"] == {"value": 0 if function == "count" else None, "cells": []}


def test_a_search_names_places_in_every_kind_of_file() -> None:
    files = {item["file"]: item for item in told("list_files")["files"]}
    for name, about in files.items():
        if name.endswith(".png"):
            text = told("read_image_text", file=name)["text"]
            assert any(
                hit["file"] == name and hit["place"] == "text" for hit in told("search_files", words=text.split()[-2])["hits"]
            )
        if "lines" in about:
            assert told("read_text", file=name, first_line=2, last_line=2)["lines"][0]["line"] == 2
    supplier = told("query_sheet", **LEDGER)["rows"][0]["Supplier"]
    hits = told("search_files", words=supplier.upper())["hits"]
    assert {"ledger.xlsx"} <= {hit["file"] for hit in hits}
    assert all(supplier in hit["text"] for hit in hits)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_pages", {"file": "../../etc/passwd", "first": 1, "last": 1}),
        ("read_pages", {"file": "/etc/passwd", "first": 1, "last": 1}),
        ("read_pages", {"file": "ledger.xlsx", "first": 1, "last": 1}),
        ("read_pages", {"file": "handbook.docx", "first": 0, "last": 1}),
        ("read_pages", {"file": "handbook.docx", "first": 2, "last": 1}),
        ("read_pages", {"file": "handbook.docx", "first": 1, "last": 999999}),
        ("read_pages", {"file": "handbook.docx", "first": 1, "last": 10**30}),
        ("read_pages", {"file": "handbook.docx", "first": True, "last": 1}),
        ("read_pages", {"file": None, "first": 1, "last": 1}),
        ("read_text", {"file": "budget.xlsx\x00", "first_line": 1, "last_line": 1}),
        ("read_text", {"file": "ledger.xlsx", "first_line": 1, "last_line": 1}),
        ("read_range", {"file": "ledger.xlsx", "sheet": "Ledger", "cells": "A1:ZZ99999"}),
        ("read_range", {"file": "ledger.xlsx", "sheet": "Ledger", "cells": "B4:A1"}),
        ("read_range", {"file": "ledger.xlsx", "sheet": "Ledger", "cells": "A0"}),
        ("read_range", {"file": "ledger.xlsx", "sheet": "Ledger", "cells": "=SUM(A1:A9)"}),
        ("read_range", {"file": "ledger.xlsx", "sheet": "Ledger", "cells": "A1" * 4000}),
        ("read_range", {"file": "ledger.xlsx", "sheet": "../People", "cells": "A1"}),
        ("read_range", {"file": "handbook.docx", "sheet": "Ledger", "cells": "A1"}),
        ("query_sheet", {**LEDGER, "header_row": 2}),
        ("query_sheet", {**LEDGER, "header_row": 5000}),
        ("query_sheet", {**LEDGER, "select": ["Nothing"]}),
        ("query_sheet", {**LEDGER, "select": [""]}),
        ("query_sheet", {**LEDGER, "where": [{"column": "Amount", "op": "__class__", "value": 1}]}),
        ("query_sheet", {**LEDGER, "where": [{"column": "Amount", "op": "eq", "value": {"$gt": 1}}]}),
        ("query_sheet", {**LEDGER, "aggregate": {"function": "sum", "column": "Supplier"}}),
        ("query_sheet", {**LEDGER, "code": "import os"}),
        ("search_files", {"words": "   "}),
        ("search_files", {"words": "x" * 100_000}),
        ("read_image_text", {"file": "ledger.xlsx"}),
        ("delete_files", {}),
    ],
)
def test_hostile_arguments_are_tool_errors(tool: str, arguments: dict[str, Any]) -> None:
    result = STATE.call(tool, arguments)
    assert result.isError and len(result.content) < 2000


def test_whole_numbers_may_be_written_with_a_point() -> None:
    pages = next(item for item in told("list_files")["files"] if "pages" in item)
    assert told("read_pages", file=pages["file"], first=1.0, last=1.0)["pages"][0]["page"] == 1
    assert told("query_sheet", **{**LEDGER, "header_row": 3.0})["matching"] == 56


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(["ledger.xlsx", "staff.xlsx", "minutes.txt", "handbook.docx", "nowhere"])
_arguments = st.dictionaries(
    st.sampled_from(
        ["file", "sheet", "first", "last", "cells", "words", "where", "select", "header_row", "first_line", "last_line"]
    ),
    st.one_of(_names, st.integers(-2, 60), _json),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*documents_world().operations, "unknown"]), _arguments)
def test_no_call_raises(tool: str, arguments: dict[str, Any]) -> None:
    assert isinstance(STATE.call(tool, arguments).content, str)
