"""The objects of a JSON or JSON Lines file, one at a time, whatever the suffix says.

JSON Lines is streamed: one line is in memory. A JSON document (a list, one object, or ``{"tasks": [...]}``) is parsed whole. What
cannot be an item is an error that names file and item: no exception of a parser leaves this module.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from trajectories.decontamination.benchmark import BenchmarkError

__all__ = ["DEEPEST", "LONGEST_LINE", "WIDEST_DOCUMENT", "kind_of", "objects"]

LONGEST_LINE: Final = 2**26
"""Bytes of one line of JSON Lines."""
WIDEST_DOCUMENT: Final = 2**30
"""Bytes of a file that is one JSON document."""
DEEPEST: Final = 100
"""Levels of lists and objects within one item."""


def objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object with its place (``file: item 3``), counted from 1.

    Raises:
        BenchmarkError: unreadable, not UTF-8, not JSON, an item that is no object, or one beyond the limits above.
    """
    try:
        with path.open("rb") as file:
            yield from _objects(path, file)
    except OSError as error:
        raise BenchmarkError(f"{path}: {error.strerror or error}") from error


def _objects(path: Path, file: io.BufferedReader) -> Iterator[tuple[str, dict[str, Any]]]:
    if file.read(3) != b"\xef\xbb\xbf":
        file.seek(0)
    start = file.tell()
    line = file.readline(LONGEST_LINE + 1)
    while line and not line.strip():
        line = file.readline(LONGEST_LINE + 1)
    if not line:
        raise BenchmarkError(f"{path}: is empty")
    if not _is_whole_object(line):
        file.seek(start)
        yield from _document(path, file)
        return
    number = 0
    while line:
        if len(line) > LONGEST_LINE:
            raise BenchmarkError(f"{path}: item {number + 1}: has more than {LONGEST_LINE:,} bytes")
        if line.strip():
            value = _parse(line, f"{path}: item {number + 1}")
            values = _items(value)
            yield from _numbered(path, values, number + 1)
            number += len(values)
        line = file.readline(LONGEST_LINE + 1)


def _is_whole_object(line: bytes) -> bool:
    """Whether a line stands for itself: JSON Lines, though maybe a bad line of it."""
    return line.lstrip()[:1] == b"{" and (line.rstrip()[-1:] == b"}" or len(line) > LONGEST_LINE)


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict) and isinstance(value.get("tasks"), list):
        return list(value["tasks"])
    return value if isinstance(value, list) else [value]


def _document(path: Path, file: io.BufferedReader) -> Iterator[tuple[str, dict[str, Any]]]:
    if (size := path.stat().st_size) > WIDEST_DOCUMENT:
        raise BenchmarkError(f"{path}: one document of {size:,} bytes; at most {WIDEST_DOCUMENT:,}, write it as JSON Lines")
    yield from _numbered(path, _items(_parse(file.read(), str(path))), 1)


def _numbered(path: Path, values: list[Any], start: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if not values:
        raise BenchmarkError(f"{path}: holds no items")
    for number, value in enumerate(values, start):
        place = f"{path}: item {number}"
        if not isinstance(value, dict):
            raise BenchmarkError(f"{place}: is {kind_of(value)}, not an object")
        if _deeper_than(value, DEEPEST):
            raise BenchmarkError(f"{place}: is nested more than {DEEPEST} levels deep")
        yield place, value


def _parse(text: bytes, place: str) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{place}: is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise BenchmarkError(f"{place}: is not JSON: {error}") from error
    except RecursionError as error:
        raise BenchmarkError(f"{place}: is nested too deeply to be parsed") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise BenchmarkError(f"{place}: {error}") from error


def _deeper_than(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            child
            for parent in layer
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not layer:
            return False
    return True


def kind_of(value: Any) -> str:
    """The name of a JSON value's type, for errors."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
