"""What workers bring back from a part of a data set: findings, counts, and the keys by which rows are compared with others."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from trajectories.checking.findings import Finding
from trajectories.checking.keys import key
from trajectories.checking.reading import Batch
from trajectories.deduplication import DedupConfig, features
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["ROW_KEYS", "TASK_KEYS", "Looked"]

ROW_KEYS: Final = ("id", "task", "rollout", "dialogue")
TASK_KEYS: Final = ("id", "instance")


class Looked:
    """What was found in one part.

    Args:
        shard: as findings name it.
        checks: whose findings are kept; None for all.
    """

    def __init__(self, shard: str, checks: frozenset[str] | None = None) -> None:
        self._shard, self._checks = shard, checks
        self.findings: list[Finding] = []
        self.rows: Counter[str] = Counter()
        """By check, how many rows were looked at."""
        self.left_out: Counter[tuple[str, str]] = Counter()
        """(check, why something could not be looked at): in how many rows."""
        self.numbers: list[int] = []
        """Of the rows, in their shard."""
        self.ids: list[str] = []
        self.keys: dict[str, bytearray] = {}
        """By name, one key a row; see `trajectories.checking.keys`."""
        self.parents: list[tuple[int, bytes]] = []
        """(place of the row among `ids`, key of the parent's id)."""
        self.features: list[tuple[int, bytes]] = []
        """(place of the row among `ids`, what duplicates are found by)."""

    def find(self, check: str, number: int | None, row_id: Any, what: str) -> None:
        if self._checks is None or check in self._checks:
            self.findings.append(Finding(check, self._shard, number, row_id if isinstance(row_id, str) else "", what))

    def note_damage(self, batch: Batch) -> None:
        """Findings about what cannot be read, and why the rest of the part is missing."""
        for number, what in batch.unreadable:
            self.find("schema", number, "", what)
        if batch.damage is not None:
            self.find("files", batch.damage[0], "", batch.damage[1])

    def add_row(self, number: int, row: Mapping[str, Any]) -> None:
        """The keys of a trajectory."""
        try:
            said = [message for message in row["messages"] if message["role"] != "system"]
            keys = [row["id"]], [row["task_id"]], [row["task_id"], row["rollout"], row["branch"]], said
            self._add(number, row["id"], dict(zip(ROW_KEYS, [key(*parts) for parts in keys], strict=True)))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            pass  # such a row has no good shape, which the checks of schema and messages say

    def add_features(self, trajectory: Trajectory, task: Task | None, config: DedupConfig) -> None:
        """What duplicates of the row that was added last are found by."""
        try:
            self.features.append((len(self.ids) - 1, features(trajectory, task, config).to_bytes()))
        except (ValueError, TypeError, RecursionError):
            self.left_out["duplicates", "have no features to compare: their tools or calls are no JSON"] += 1

    def add_task(self, number: int, row: Mapping[str, Any]) -> None:
        """The keys of a task."""
        self._add(number, row["id"], {"id": key(row["id"]), "instance": key(row["world"], row["seed"])})

    def _add(self, number: int, row_id: Any, keys: Mapping[str, bytes]) -> None:
        self.numbers.append(number)
        self.ids.append(str(row_id))
        for name, value in keys.items():
            self.keys.setdefault(name, bytearray()).extend(value)
