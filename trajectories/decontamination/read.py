"""A benchmark file to a `Benchmark`, by what its first item looks like; a file that is none is refused, with its place."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from trajectories.decontamination.benchmark import MOST_CHARACTERS, Benchmark, BenchmarkError, BenchmarkItem
from trajectories.decontamination.bfcl import BfclReader
from trajectories.decontamination.json_items import kind_of, objects
from trajectories.decontamination.plain import plain_item
from trajectories.decontamination.tau2 import Tau2Reader

__all__ = ["read_benchmark"]

ItemReader = Callable[[Mapping[str, Any], str, str], BenchmarkItem]

_PROJECTS: Final[dict[str, type[BfclReader] | type[Tau2Reader]]] = {"question": BfclReader, "user_scenario": Tau2Reader}


def read_benchmark(path: str | os.PathLike[str], name: str | None = None) -> Benchmark:
    """The benchmark in a JSON or JSON Lines file, in the shape of BFCL, tau2-bench or plain texts and chats.

    Args:
        path: the file with the questions or tasks; what belongs to it is found beside it (see `bfcl` and `tau2`).
        name: what leaks are reported under; the file's name without its suffix where it is left out.

    Raises:
        BenchmarkError: unreadable, no JSON, or of another shape; names file, item and key.
    """
    file = Path(path)
    items = tuple(_items(file))
    return Benchmark(name if name is not None else file.stem, items)


def _items(path: Path) -> Iterator[BenchmarkItem]:
    shape = ""
    project: BfclReader | Tau2Reader | None = None
    reader: ItemReader | None = None
    for number, (place, value) in enumerate(objects(path), 1):
        if reader is None:
            shape = _shape(value, place)
            if shape in _PROJECTS:
                project = _PROJECTS[shape](path)
            reader = plain_item if project is None else project.item
        elif _shape(value, place) != shape:
            raise BenchmarkError(f"{place}.{shape}: is missing, which the items before it have")
        yield _checked(reader(value, _identity(value, number, place), place), place)
    if isinstance(project, BfclReader):
        project.finish()
    if isinstance(project, Tau2Reader) and (policy := project.policy()) is not None:
        yield _checked(policy, f"{path.parent / 'policy.md'}")


def _shape(value: Mapping[str, Any], place: str) -> str:
    """The key that tells the format."""
    for key in _PROJECTS:
        if key in value:
            return key
    if "text" in value or "messages" in value:
        return "text or messages"
    if "ground_truth" in value:
        raise BenchmarkError(f"{place}.question: is missing; this is a file of answers, name the questions that they belong to")
    keys = ", ".join(sorted(value)[:8]) or "none"
    raise BenchmarkError(
        f"{place}: has no key question (BFCL), user_scenario (tau2-bench), text or messages (plain); its keys: {keys[:200]}"
    )


def _identity(value: Mapping[str, Any], number: int, place: str) -> str:
    identity = value.get("id")
    if identity is None:
        return str(number)
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        raise BenchmarkError(f"{place}.id: is {kind_of(identity)}, neither text nor a whole number")
    return str(identity)


def _checked(item: BenchmarkItem, place: str) -> BenchmarkItem:
    if not (any(part.strip() for part in (*item.texts, *item.prompts)) or item.calls or item.tools):
        raise BenchmarkError(f"{place}: holds no text, no calls and no tools, so nothing can be compared with it")
    if (size := sum(map(len, (*item.texts, *item.prompts)))) > MOST_CHARACTERS:
        raise BenchmarkError(f"{place}: has {size:,} characters of text; at most {MOST_CHARACTERS:,}")
    return item
