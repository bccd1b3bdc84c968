"""Shards and their parts, handed to Ray workers, and answers in the order of the parts."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trajectories.checking import Finding
from trajectories.checking.folder import Part, manifests, of_shard, parts, shards, split_names
from trajectories.checking.reading import plain_columns, schema_problems
from trajectories.shard_files import Manifest, Shard

__all__ = ["ShardItem", "ShardProblems", "all_parts", "shard_items", "shard_problems"]


@dataclass(frozen=True)
class ShardItem:
    """A shard that is there, and what its manifest says of it."""

    path: Path
    shard: str
    """As findings name it."""
    expected: Shard | None
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ShardProblems:
    findings: tuple[Finding, ...]
    readable: bool
    """Whether its rows can be looked at."""
    text_form: bool
    """Whether it holds JSON as plain strings."""


def shard_items(directory: Path, root: Path) -> list[ShardItem]:
    """All shards that are there, in order of splits and numbers."""
    known = {split: found for split, found in manifests(directory).items() if isinstance(found, Manifest)}
    items = []
    for split in split_names(directory):
        lines = {shard.name: shard for shard in known[split].shards} if split in known else {}
        columns = known[split].columns if split in known else ()
        for path in shards(directory, split):
            items.append(ShardItem(path, str(path.relative_to(root)), lines.get(path.name), columns))
    return items


def all_parts(directory: Path, root: Path, unreadable: Collection[str] = ()) -> Iterator[Part]:
    """The parts of all splits, in order, but for those of shards that are named."""
    for split in split_names(directory):
        yield from (part for part in parts(directory, split, root) if part.shard not in unreadable)


def shard_problems(schema: pa.Schema, item: ShardItem) -> ShardProblems:
    """What is wrong with one shard as a file, and with its columns."""
    found = [Finding("files", item.shard, None, "", what) for what in of_shard(item.path, item.expected, item.columns)]
    try:
        columns = pq.read_schema(item.path)
    except (pa.ArrowException, OSError):
        return ShardProblems(tuple(found), False, False)
    wrong = [Finding("schema", item.shard, None, "", what) for what in schema_problems(columns, schema)]
    return ShardProblems((*found, *wrong), not wrong, not wrong and bool(plain_columns(columns, schema)))
