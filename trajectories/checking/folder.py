"""The files of a data set: what its manifests promise, what lies there, and the parts in which it is read.

A folder without manifests (one that was downloaded, say) is a data set too; then only what the files say of themselves can be
checked.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from trajectories.checking.findings import Finding
from trajectories.shard_files import Manifest, Shard, ShardError
from trajectories.shards import manifest

__all__ = ["Part", "manifests", "of_folder", "of_shard", "parts", "shards", "split_names"]

_SHARD: Final = re.compile(r"(?P<split>\w+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.parquet")
_GROUPS: Final = 4
"""Row groups of a part: about a thousand rows."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some row groups of one shard: what a worker reads at a time."""

    path: str
    shard: str
    """The file as findings name it."""
    split: str
    groups: tuple[int, ...]
    first_row: int
    rows: int


def split_names(directory: Path) -> tuple[str, ...]:
    """Splits that have a manifest or a shard, sorted."""
    held = {match["split"] for path in directory.glob("data/*") if (match := _SHARD.fullmatch(path.name))}
    promised = {path.name.removesuffix(".manifest.json") for path in directory.glob("*.manifest.json")}
    return tuple(sorted(held | promised))


def shards(directory: Path, split: str) -> list[Path]:
    """The split's files that are there, in order."""
    return sorted(path for path in directory.glob(f"data/{split}-*") if _SHARD.fullmatch(path.name))


def manifests(directory: Path) -> dict[str, Manifest | ShardError]:
    """By split; an error where one is unreadable."""
    found: dict[str, Manifest | ShardError] = {}
    for path in sorted(directory.glob("*.manifest.json")):
        split = path.name.removesuffix(".manifest.json")
        try:
            found[split] = manifest(directory, split)
        except (ShardError, OSError) as error:
            found[split] = ShardError(str(error))
    return found


def of_folder(directory: Path, root: Path) -> Iterator[Finding]:
    """Shards that are missing, left over or unfinished, and manifests that contradict themselves.

    Args:
        directory: holds ``data/``.
        root: of the data set, to which findings name files.
    """

    def finding(path: Path, what: str) -> Finding:
        return Finding("files", str(path.relative_to(root)), None, "", what)

    promised = manifests(directory)
    for split, found in promised.items():
        place = directory / f"{split}.manifest.json"
        if isinstance(found, ShardError):
            yield finding(place, str(found))
            continue
        if found.split != split:
            yield finding(place, f"is of split {found.split}")
        if (rows := sum(shard.rows for shard in found.shards)) != found.rows:
            yield finding(place, f"says {found.rows} rows, and its shards have {rows}")
        yield from (
            finding(directory / "data" / shard.name, "is missing; the manifest has it")
            for shard in found.shards
            if not (directory / "data" / shard.name).is_file()
        )
    known = {shard.name for found in promised.values() if isinstance(found, Manifest) for shard in found.shards}
    for path in sorted(directory.glob("data/*")):
        match = _SHARD.fullmatch(path.name)
        if match is None or (isinstance(promised.get(match["split"]), Manifest) and path.name not in known):
            yield finding(path, "does not belong to the data set; no manifest has it")
    yield from (finding(path, "is of a split that was not finished") for path in sorted(directory.glob(".writing/*/*")))
    for split in split_names(directory):
        if split not in promised:
            yield from _gaps(directory, split, finding)


def of_shard(path: Path, expected: Shard | None, columns: tuple[str, ...] = ()) -> Iterator[str]:
    """What is wrong with a file that is there.

    Args:
        expected: what its manifest says; None where there is none.
        columns: of the manifest.
    """
    if expected is not None and (size := path.stat().st_size) != expected.bytes:
        yield f"has {size} bytes, the manifest says {expected.bytes}"
    elif expected is not None:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != expected.sha256:
            yield f"has SHA-256 {sha256[:16]}..., the manifest says {expected.sha256[:16]}...; its bytes were changed"
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        yield f"is truncated or damaged ({str(error).splitlines()[0]})"
        return
    if expected is None:
        return
    if footer.num_rows != expected.rows:
        yield f"has {footer.num_rows} rows, the manifest says {expected.rows}"
    if tuple(footer.schema.to_arrow_schema().names) != columns:
        yield "has other columns than the manifest says"


def parts(directory: Path, split: str, root: Path) -> Iterator[Part]:
    """All parts of a split, in order; shards without a readable footer, which `of_shard` finds, are left out."""
    for path in shards(directory, split):
        try:
            footer = pq.read_metadata(path)
        except (pa.ArrowException, OSError):
            continue
        rows = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
        first = [0, *accumulate(rows)]
        for start in range(0, max(1, len(rows)), _GROUPS):
            groups = tuple(range(start, min(start + _GROUPS, len(rows))))
            yield Part(str(path), str(path.relative_to(root)), split, groups, first[start], sum(rows[i] for i in groups))


def _gaps(directory: Path, split: str, finding: Callable[[Path, str], Finding]) -> Iterator[Finding]:
    """Without a manifest, the names say how many shards there are."""
    present = {path.name for path in shards(directory, split)}
    totals = {int(match["total"]) for name in present if (match := _SHARD.fullmatch(name))}
    for total in sorted(totals):
        for index in range(total):
            if (name := f"{split}-{index:05d}-of-{total:05d}.parquet") not in present:
                yield finding(directory / "data" / name, "is missing; its neighbours' names promise it")
