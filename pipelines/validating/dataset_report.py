"""The findings of a validation, all of them on disk, and what each check has to say for itself.

A check that did not look at anything says why; it never counts as passed.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from rich.console import Console
from rich.table import Table

from pipelines.validating.dataset_looked import Looked
from trajectories.checking import CHECKS, FINDING_SCHEMA, Finding
from trajectories.shards import ShardWriter

__all__ = ["Report", "show"]

_SHOWN: Final = 3
"""Findings of each check in the summary and on the screen."""
_WIDTH: Final = 120
"""Of a table that no terminal shows."""
_UNITS: Final = {"files": "files", "certificates": "tasks", "card": "files"}
"""What a check looks at, where it is not rows."""


class Report:
    """Takes findings as they come; a context manager, at whose end ``data/findings-*.parquet`` is whole.

    Args:
        directory: of the run.
        checks: that were asked for; findings of others are dropped.
    """

    def __init__(self, directory: Path, checks: Iterable[str]) -> None:
        self._checks = frozenset(checks)
        self._writer = ShardWriter(
            directory, schema=FINDING_SCHEMA, rows_per_shard=20_000, split="findings", resume=True, keep_rows=0
        )
        self._found: Counter[str] = Counter()
        self._looked: Counter[str] = Counter()
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._skipped: dict[str, str] = {}
        self._notes: dict[str, list[str]] = {}
        self._first: dict[str, list[Finding]] = {}

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._writer.__exit__(*raised)

    def asks_for(self, check: str) -> bool:
        return check in self._checks

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if finding.check in self._checks:
                self._found[finding.check] += 1
                self._writer.append(finding.to_row())
                if len(shown := self._first.setdefault(finding.check, [])) < _SHOWN:
                    shown.append(finding)

    def take(self, looked: Looked) -> None:
        """What a worker brought back."""
        self.add(looked.findings)
        self._looked.update(looked.rows)
        self._left_out.update(looked.left_out)

    def count(self, check: str, number: int) -> None:
        """So many more were looked at."""
        self._looked[check] += number

    def leave_out(self, left_out: Mapping[tuple[str, str], int]) -> None:
        """(check, why): so many rows were not looked at."""
        self._left_out.update(left_out)

    def skip(self, check: str, why: str) -> None:
        """The check could not run."""
        self._skipped[check] = why

    def note(self, check: str, what: str) -> None:
        """Something that the check takes for granted, or leaves out for all rows."""
        self._notes.setdefault(check, []).append(what)

    def summary(self) -> dict[str, Any]:
        """``passed``, ``checks`` by name, and the first findings of each in words."""
        return {
            "passed": not self._found,
            "findings": self._found.total(),
            "checks": {check: self._summary(check) for check in CHECKS},
            "first_findings": [str(finding) for check in CHECKS for finding in self._first.get(check, ())],
        }

    def _summary(self, check: str) -> dict[str, Any]:
        looked, found = self._looked[check], self._found[check]
        left_out = [f"{number:,} rows {why}" for (name, why), number in self._left_out.items() if name == check]
        skipped = None if check in self._checks else "not among checks=[...]"
        if skipped is None and not found:
            skipped = self._skipped.get(check) or (None if looked else "; ".join(left_out) or "there was nothing to look at")
        return {
            "looked_at": 0 if skipped else looked,
            "unit": _UNITS.get(check, "rows"),
            "findings": found,
            "skipped": skipped,
            "notes": [*self._notes.get(check, []), *(left_out if skipped is None else [])],
        }


def show(summary: Mapping[str, Any]) -> None:
    """The checks as a table, and the first findings of each."""
    table = Table("check", "looked at", "findings", "result", box=None, pad_edge=False, header_style="bold")
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, check in summary["checks"].items():
        result = f"skipped: {check['skipped']}" if check["skipped"] else "failed" if check["findings"] else "passed"
        looked = f"{check['looked_at']:,} {check['unit']}" if check["looked_at"] else "-"
        table.add_row(name, looked, f"{check['findings']:,}", "; ".join([result, *check["notes"]]))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    with console.capture() as drawn:
        console.print(table)
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()))
    if summary["first_findings"]:
        print("\n" + "\n".join(summary["first_findings"]))
