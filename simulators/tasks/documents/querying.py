"""A table filtered and added up by a description of what is wanted: nothing of it is ever run as code."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from openpyxl.utils import get_column_letter

from simulators.playable import ToolError

__all__ = ["AGGREGATES", "MOST_ROWS", "OPERATORS", "query"]

MOST_ROWS: Final = 100
"""That are told; more are only counted and aggregated."""

_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
OPERATORS: Final = ("eq", "ne", *_ORDERED, "contains", "in")
AGGREGATES: Final = ("sum", "count", "min", "max", "mean")


def query(rows: Sequence[Sequence[Any]], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The rows below the header that meet every condition, with their numbers in the file, and an aggregate over them.

    Raises:
        ToolError: there is no such header row or column, or a column is added up that holds words.
    """
    header = int(arguments.get("header_row", 1))
    if header > len(rows):
        raise ToolError(f"there is no row {header}; the sheet has {len(rows)}")
    names = [str(name) if name is not None else "" for name in rows[header - 1]]
    if not any(names):
        raise ToolError(f"row {header} is empty; name the row with the column names as header_row")
    conditions = [(_column(item["column"], names), item["op"], item["value"]) for item in arguments.get("where", ())]
    shown = [_column(name, names) for name in arguments.get("select", [name for name in names if name])]
    matching = [
        (number, row)
        for number, row in enumerate(rows[header:], header + 1)
        if any(value is not None for value in row) and all(_meets(row[at], op, value) for at, op, value in conditions)
    ]
    result: dict[str, Any] = {
        "matching": len(matching),
        "rows": [{"row": number, **{names[at]: row[at] for at in shown}} for number, row in matching[:MOST_ROWS]],
    }
    if "aggregate" in arguments:
        wanted = arguments["aggregate"]
        at = _column(wanted["column"], names)
        used = [(number, row[at]) for number, row in matching if row[at] is not None]
        result["aggregate"] = {
            "value": _aggregate(wanted["function"], [value for _, value in used], names[at]),
            "cells": [f"{get_column_letter(at + 1)}{number}" for number, _ in used[:MOST_ROWS]],
        }
    return result


def _column(name: str, names: Sequence[str]) -> int:
    if name not in names or not name:
        raise ToolError(f"there is no column {name[:100]!r}; there are: {', '.join(filter(None, names))}")
    return names.index(name)


def _meets(cell: Any, op: str, value: Any) -> bool:
    if op == "in":
        return isinstance(value, list) and any(_same(cell, item) for item in value)
    if op == "contains":
        return cell is not None and str(value).casefold() in str(cell).casefold()
    if op in ("eq", "ne"):
        return _same(cell, value) is (op == "eq")
    comparable = (_is_number(cell) and _is_number(value)) or (isinstance(cell, str) and isinstance(value, str))
    return comparable and _ORDERED[op](cell, value)


def _same(cell: Any, value: Any) -> bool:
    if isinstance(cell, str) and isinstance(value, str):
        return cell.casefold() == value.casefold()
    return type(cell) is not bool and type(value) is not bool and cell == value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _aggregate(function: str, values: list[Any], name: str) -> int | float | str | None:
    """Numbers are added up as the decimals they are written as."""
    if function == "count":
        return len(values)
    if not values:
        return None
    if function in ("min", "max"):
        if len({isinstance(value, str) for value in values}) > 1:
            raise ToolError(f"column {name!r} holds both words and numbers")
        return min(values) if function == "min" else max(values)
    if not all(map(_is_number, values)):
        raise ToolError(f"column {name!r} holds words, which cannot be added up")
    total = sum(Decimal(str(value)) for value in values)
    return float(total) if function == "sum" else float(total / len(values))
