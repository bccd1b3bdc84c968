"""Where a stopped run goes on: behind what is wholly on disk, and before what ended by a fault."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.synthesis.journal import JOURNAL_SCHEMA, Entry, SafePoint, safe_point, totals
from trajectories.shards import ShardWriter

_NUMBER = pa.schema({"number": pa.int64()})


def entry(number: int, rollout: int, reason: str | None) -> Entry:
    label = None if reason and reason.startswith("fault:") else "pass"
    return Entry(number, rollout, f"t{number}-{rollout}", f"t{number}", reason, None, label, None)


def lay(directory: Path, reasons: list[list[str | None]], tasks: int, rows: int, entries: int) -> None:
    """Sealed shards of a run that was killed with so many of each on disk."""
    all_entries = [entry(n, r, reason) for n, found in enumerate(reasons) for r, reason in enumerate(found)]
    kept = [item.number for item in all_entries if item.reason is None]
    parts = {
        directory / "tasks": (_NUMBER, [{"number": n} for n in range(tasks)]),
        directory: (_NUMBER, [{"number": n} for n in kept[:rows]]),
        directory / "journal": (JOURNAL_SCHEMA, [item.row() for item in all_entries[:entries]]),
    }
    for place, (schema, found) in parts.items():
        if found:
            with pytest.raises(KeyboardInterrupt), ShardWriter(place, schema=schema, rows_per_shard=7) as writer:
                for row in found:
                    writer.append(row)
                raise KeyboardInterrupt


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_everything_before_the_safe_point_is_there_and_nothing_after_it_is_lost(tmp_path_factory, data) -> None:
    samples = data.draw(st.integers(1, 3), "samples")
    reason = st.sampled_from([None, None, None, "failed", "rule:long_turn", "fault:judge"])
    reasons = data.draw(st.lists(st.lists(reason, min_size=samples, max_size=samples), max_size=25), "reasons")
    kept = [n for n, found in enumerate(reasons) for one in found if one is None]
    on_disk = [data.draw(st.integers(0, most)) for most in (len(reasons), len(kept), len(reasons) * samples)]
    directory = tmp_path_factory.mktemp("run")
    lay(directory, reasons, *on_disk)
    tasks, rows, entries = on_disk
    point = safe_point(directory, "train", samples)
    assert point.numbers <= tasks and point.numbers * samples <= entries and point.rows <= rows
    assert point.rows == sum(number < point.numbers for number in kept)
    journalled = [one for found in reasons for one in found][:entries]
    assert not any((one or "").startswith("fault:") for one in journalled[: point.numbers * samples])
    # One number more would want a task, an entry or a row that is not there, or would keep a fault.
    more = point.numbers + 1
    assert (
        more > tasks
        or more * samples > entries
        or sum(number < more for number in kept) > rows
        or any((one or "").startswith("fault:") for one in reasons[point.numbers])
    )


def test_nothing_on_disk_is_a_beginning(tmp_path: Path) -> None:
    assert safe_point(tmp_path, "train", 1) == SafePoint(0, 0)


def test_the_journal_counts_what_was_dropped_and_why(tmp_path: Path) -> None:
    reasons = [None, "failed", "fault:judge", "rule:long_turn", "failed", None]
    with ShardWriter(tmp_path / "journal", schema=JOURNAL_SCHEMA) as writer:
        for number, reason in enumerate(reasons):
            found = entry(number, 0, reason)
            found.attribution = "agent" if reason == "failed" else None
            writer.append(found.row())
    assert totals(tmp_path, "train") == {
        "passes": 5,
        "dropped": {"failed": 2, "fault:judge": 1, "rule:long_turn": 1},
        "faults": {"judge": 1},
        "labels": {"pass": 2},
        "failed_by": {"agent": 2},
    }
