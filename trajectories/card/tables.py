"""The statistics as short tables, for a card, a console and a page alike; and tables as Markdown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trajectories.card.balance import balance, spread
from trajectories.card.counts import AXES, LENGTHS, Counts
from trajectories.card.totals import Statistics

__all__ = ["TOP", "Marked", "Table", "escaped", "markdown", "short_table", "shown", "statistics_tables"]

TOP: Final = 15
"""Rows of a table of values; the others are summed up in one line."""
_LONG_TAILS: Final = {"operation": 5, "structure": 5}
"""Axes of which most values are rare, and fewer rows say as much."""

_SHOWN: Final = (
    "verdict", "label", "attribution", "ending", "world", "category", "family", "operation", "difficulty", "language", "persona",
    "policy", "competence", "teacher_error", "model", "structure", "trouble", "fault", "licence",
)  # fmt: skip


class Marked(str):
    """A cell that is Markdown already."""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Text, whole numbers, shares (floats, shown as per cent) or None."""


def statistics_tables(found: Statistics, *, top: int = TOP) -> list[Table]:
    """Overview, lengths, balance, then each axis that has more than one value to tell apart."""
    counts = found.total
    axes = [axis for axis in _SHOWN if counts.axes[axis]]
    told = [axis for axis in axes if len(counts.axes[axis]) > 1]
    return [
        _overview(found),
        _lengths(counts),
        _balances(counts, told),
        *(
            short_table(AXES[axis], counts.axes[axis], _LONG_TAILS.get(axis, top), "calls" if axis == "trouble" else "rows")
            for axis in told
        ),
        *([short_table("Tools called most often", counts.called, 5, "calls")] if counts.called else []),
    ]


def markdown(table: Table) -> str:
    """A Markdown table without its title; numbers to the right. Whatever a cell holds stays in the cell, as text."""
    if not table.rows:
        return ""
    columns = range(len(table.headers))
    right = [all(_is_number(row[column]) for row in table.rows) for column in columns]
    lines = [[*table.headers], ["---:" if numeric else "---" for numeric in right]]
    lines += [[_cell(value) for value in row] for row in table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(value: Any) -> str:
    """A cell as text: 12,345; 4.2 %; empty for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.1%}".replace("%", " %")
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _overview(found: Statistics) -> Table:
    headers = ("", *found.splits, *(["together"] if len(found.splits) > 1 else []))
    parts = [*found.splits.values(), *([found.total] if len(found.splits) > 1 else [])]
    verdicts = [part.axes["verdict"] for part in parts]
    lines: list[tuple[str, list[Any]]] = [
        ("dialogues", [part.rows for part in parts]),
        ("distinct tasks", [part.tasks or None for part in parts]),
        ("passed", [part["passed"] for part in verdicts]),
        ("failed", [part["failed"] for part in verdicts]),
        ("without a verdict, because something broke", [part["fault"] for part in verdicts]),
        ("not judged", [part["unjudged"] for part in verdicts]),
        ("with several messages of the user", [part.sums["multi_turn"] for part in parts]),
        ("worlds", [len(part.axes["world"]) for part in parts]),
        ("tools declared", [len(part.declared) for part in parts]),
        ("... of them called at least once", [part.coverage for part in parts]),
        ("tool calls", [part.sums["calls"] for part in parts]),
        ("... answered by an error", [part.sums["failed_calls"] for part in parts]),
        ("... of tools that were not declared", [part.sums["undeclared_calls"] for part in parts]),
        ("distinct structures (tools in the order of calls)", [len(part.axes["structure"]) for part in parts]),
    ]
    return Table("Overview", headers, tuple((name, *cells) for name, cells in lines if any(cells)))


def _lengths(counts: Counts) -> Table:
    rows = [
        (words, round(found.mean, 1), found.least, found.median, found.p95, found.most, found.total)
        for name, words in LENGTHS.items()
        if (found := spread(counts.lengths[name])) and found.most
    ]
    headers = ("per dialogue", "mean", "least", "median", "95 % have at most", "most", "together")
    return Table("Lengths", headers, tuple((row[0], f"{row[1]:,}", *row[2:]) for row in rows))


def _balances(counts: Counts, axes: Iterable[str]) -> Table:
    rows = []
    for axis in axes:
        found = balance(counts.axes[axis])
        entropy, gini = ("" if value is None else f"{value:.2f}" for value in (found.entropy, found.gini))
        rows.append((AXES[axis], found.values, entropy, gini, found.smallest_share, found.largest_share))
    return Table("Balance", ("axis", "values", "entropy", "Gini", "smallest share", "largest share"), tuple(rows))


def short_table(title: str, values: Mapping[str, int], top: int = TOP, unit: str = "rows") -> Table:
    """Values by how often they occur, the most frequent first; beyond `top` they are one line."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    total, rest = sum(values.values()), ordered[top:]
    rows: list[tuple[Any, ...]] = [(name, number, number / total) for name, number in ordered[:top]]
    if len(rest) == 1:
        rows.append((rest[0][0], rest[0][1], rest[0][1] / total))
    elif rest:
        number = sum(number for _, number in rest)
        rows.append((f"{len(rest):,} more", number, number / total))
    return Table(title, ("", unit, "share"), tuple(rows))


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and not value.strip("0123456789.,"))


def escaped(text: str) -> str:
    """Text that anybody wrote, on one line, so that Markdown shows it as it is."""
    return _escaped(text, "\\`*_[]|<~$#")


def _cell(value: Any) -> str:
    return _escaped(value, "|") if isinstance(value, Marked) else escaped(shown(value))


def _escaped(text: str, characters: str) -> str:
    for character in characters:
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
