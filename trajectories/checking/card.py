"""Whether the card (README.md) and ``summary.json`` speak of the files that lie beside them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from trajectories.checking.folder import manifests
from trajectories.shard_files import Manifest

__all__ = ["card_problems", "front_matter", "licences"]


def card_problems(directory: Path) -> Iterator[tuple[str, str]]:
    """(file, what is wrong) of card and summary; the card must be there, a summary may be missing."""
    if not (directory / "README.md").is_file():
        yield "README.md", "is missing; `orrery export` writes one"
    else:
        try:
            yield from (("README.md", problem) for problem in _configs(directory, front_matter(directory)))
        except ValueError as error:
            yield "README.md", str(error)
    yield from (("summary.json", problem) for problem in _summary(directory))


def front_matter(directory: Path) -> Mapping[str, Any]:
    """The YAML at the head of the card; empty where there is no card.

    Raises:
        ValueError: a card without it, or with something that is none.
    """
    path = directory / "README.md"
    if not path.is_file():
        return {}
    head, _, rest = path.read_text(encoding="utf-8", errors="replace").partition("---\n")
    text, closing, _ = rest.partition("\n---")
    if head or not closing:
        raise ValueError("has no YAML between --- at its head")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"the YAML at its head cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, Mapping):
        raise ValueError("the YAML at its head is no mapping")
    return found


def licences(directory: Path) -> frozenset[str]:
    """What the card names, in small letters; empty where it names nothing in particular."""
    try:
        found = front_matter(directory).get("license", ())
    except ValueError:
        return frozenset()
    named = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(str(name).casefold() for name in named) - {"other", "unknown"}


def _configs(directory: Path, head: Mapping[str, Any]) -> Iterator[str]:
    configs = head.get("configs")
    if not isinstance(configs, list) or not configs:
        yield "names no configs; loaders would guess the files"
        return
    named: set[Path] = set()
    for config in configs:
        where = f"config {config.get('config_name', '(no name)') if isinstance(config, Mapping) else config}"
        for pattern in _patterns(config):
            found = {path for path in directory.glob(pattern) if path.is_file()} if pattern else set()
            if not found:
                yield f"{where}: no file is called {pattern or '(nothing)'}"
            named |= found
    for path in sorted({*directory.glob("data/*.parquet"), *directory.glob("tasks/data/*.parquet")} - named):
        if _has_rows(path):  # a split without rows cannot be loaded, so cards leave it out
            yield f"no config names {path.relative_to(directory)}"


def _has_rows(path: Path) -> bool:
    try:
        return pq.read_metadata(path).num_rows > 0
    except (pa.ArrowException, OSError):
        return True


def _patterns(config: Any) -> list[str]:
    files = config.get("data_files") if isinstance(config, Mapping) else None
    entries = files if isinstance(files, list) else [files]
    found = []
    for entry in entries:
        paths = entry.get("path") if isinstance(entry, Mapping) else entry
        found += [str(path) if path else "" for path in (paths if isinstance(paths, list) else [paths])]
    # Patterns that leave the folder name no file of it.
    return ["" if pattern.startswith("/") or ".." in Path(pattern).parts else pattern for pattern in found]


def _summary(directory: Path) -> Iterator[str]:
    path = directory / "summary.json"
    if not path.is_file():
        return
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"is no JSON: {error}"
        return
    digests = {split: found.fingerprint() for split, found in manifests(directory).items() if isinstance(found, Manifest)}
    for name in ("dataset_digest", "digest"):
        said = summary.get(name) if isinstance(summary, Mapping) else None
        for digest in said.values() if isinstance(said, Mapping) else [said] if said else []:
            if digests and digest not in digests.values():
                yield f"{name}: says {str(digest)[:16]}..., the manifests give {_short(digests)}"


def _short(digests: Mapping[str, str]) -> str:
    return ", ".join(f"{digest[:16]}... ({split})" for split, digest in digests.items())
