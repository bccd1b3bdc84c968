"""Which data sets a folder holds: configurations, their splits, and the files of each, found by looking.

    DIR/data/<split>-00000-of-000NN.parquet      the default configuration (``.jsonl`` too, and DIR/train.parquet)
    DIR/<name>/data/<split>-...                  the configuration <name>; ``tasks`` is one

A card names them as patterns, so `datasets.load_dataset(DIR)` loads what is here, and nothing else that lies beside it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Files", "configurations", "pick_splits"]

_ORDER = ("train", "validation", "test", "held_out")
_SHARD = re.compile(rf"(?:(?P<numbered>\w+)-\d{{5}}-of-\d{{5}}|(?P<whole>{'|'.join(_ORDER)}))\.(?P<kind>parquet|jsonl)")
"""Of a file; without a number it must have a usual split's name, for run directories hold other files as well."""
_NOT_DATA = ("figures", "logs")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one configuration."""

    kind: str
    """``parquet`` or ``jsonl``."""
    patterns: Mapping[str, str]
    """Split to the pattern of its files, relative to the folder, as a card's ``data_files`` has it."""
    paths: Mapping[str, tuple[Path, ...]]
    """Split to its files in order."""


def configurations(directory: str | Path) -> dict[str, Files]:
    """Name to files: ``""`` for the folder's own data (first, where there is any), then its subfolders' in alphabetical order.

    Raises:
        ValueError: no such folder, it holds no data, one split in two forms, or lacks a shard that others' names promise.
    """
    root = Path(directory)
    if not root.is_dir():
        raise ValueError(f"{root} is not a directory")
    found: dict[str, Files] = {}
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir() and path.name not in ("data", *_NOT_DATA))):
        if folder.name.startswith(".") and folder is not root:
            continue
        files = _files(root, folder / "data") or _files(root, folder)
        if files is not None:
            found["" if folder is root else folder.name] = files
    if not found:
        raise ValueError(f"{root} holds no data set: no data/<split>-*.parquet or .jsonl, and none in its subfolders")
    return found


def pick_splits(files: Files, splits: Sequence[str] | None) -> dict[str, tuple[Path, ...]]:
    """The files of these splits; None for all.

    Raises:
        ValueError: names a split that is not there, and those that are.
    """
    unknown = [split for split in splits or () if split not in files.paths]
    if unknown:
        raise ValueError(f"there is no split {', '.join(unknown)}; there are {', '.join(files.paths)}")
    return {split: paths for split, paths in files.paths.items() if splits is None or split in splits}


def _files(root: Path, folder: Path) -> Files | None:
    shards = list(_shards(folder))
    if not shards:
        return None
    kinds = {kind for _, kind, _ in shards}
    if len(kinds) > 1:
        raise ValueError(f"{folder} holds both .parquet and .jsonl; a configuration has one form")
    kind = kinds.pop()
    paths: dict[str, tuple[Path, ...]] = {}
    for split in sorted({split for split, _, _ in shards}, key=lambda split: (_rank(split), split)):
        paths[split] = tuple(path for name, _, path in shards if name == split)
        _check_whole(paths[split])
    patterns = {split: _pattern(held[0].relative_to(root), split) for split, held in paths.items()}
    return Files(kind, patterns, paths)


def _shards(folder: Path) -> Iterator[tuple[str, str, Path]]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and (match := _SHARD.fullmatch(path.name)):
            yield match["numbered"] or match["whole"], match["kind"], path


def _check_whole(paths: tuple[Path, ...]) -> None:
    promised = {int(path.stem.rsplit("-", 1)[1]) for path in paths if "-of-" in path.stem}
    if promised and promised != {len(paths)}:
        raise ValueError(f"{paths[0].parent}: {paths[0].name} has {len(paths)} files of its split beside it, not {max(promised)}")


def _pattern(path: Path, split: str) -> str:
    return str(path if "-of-" not in path.stem else path.with_name(f"{split}-*{path.suffix}"))


def _rank(split: str) -> int:
    return _ORDER.index(split) if split in _ORDER else len(_ORDER)
