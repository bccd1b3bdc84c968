"""Statistics of a data set folder: one pass over its files, a row group in memory at a time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from trajectories.card.balance import balance, spread
from trajectories.card.counts import AXES, LENGTHS, Counts, added
from trajectories.card.folder import configurations, pick_splits
from trajectories.card.reading import lean_rows

__all__ = ["Statistics", "statistics"]

_SHOWN: Final = 200
"""Values of an axis that the JSON form lists; structures may be as many as rows."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of every split, and of all together."""

    splits: Mapping[str, Counts] = field(default_factory=dict)
    total: Counts = field(default_factory=Counts)

    def to_json(self) -> dict[str, Any]:
        """Figures as JSON values: per split and in total, with balance measures per axis and spreads per length."""
        return {"total": _figures(self.total), "splits": {split: _figures(counts) for split, counts in self.splits.items()}}


def statistics(directory: str | Path, splits: Sequence[str] | None = None) -> Statistics:
    """Count the rows of a folder's own data, whatever format it has (of the first configuration where it has none).

    Memory holds a row group, and grows with the distinct structures, tools and worlds, and by eight bytes a row.

    Args:
        splits: only these; None for all.

    Raises:
        ValueError: no such folder, no data in it, or no such split.
        ShardError: a damaged file, by name.
    """
    files = next(iter(configurations(directory).values()))
    names: dict[int, str] = {}
    counted = {split: _counts(paths, names) for split, paths in pick_splits(files, splits).items()}
    return Statistics(counted, added(counted.values()))


def _counts(paths: Iterable[Path], names: dict[int, str]) -> Counts:
    counts = Counts()
    for path in paths:
        for row in lean_rows(path, names):
            counts.add(row)
    return counts


def _figures(counts: Counts) -> dict[str, Any]:
    return {
        **dict(sorted({"rows": counts.rows, **counts.sums}.items())),
        "tasks": counts.tasks,
        "tools": {"declared": len(counts.declared), "called": len(counts.called), "coverage": counts.coverage},
        "axes": {axis: _axis(counts.axes[axis]) for axis in AXES if counts.axes[axis]},
        "lengths": {name: asdict(found) for name in LENGTHS if (found := spread(counts.lengths[name]))},
        "cheats": dict(sorted(counts.cheats.items())),
        "run_seeds": sorted(counts.run_seeds),
        "world_fingerprints": sorted(map(list, counts.fingerprints)),
    }


def _axis(values: Counter[str]) -> dict[str, Any]:
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return {"counts": dict(ordered[:_SHOWN]), "more": max(0, len(ordered) - _SHOWN), "balance": asdict(balance(values))}
