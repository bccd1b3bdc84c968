"""Whether two model directories have one tokenizer and one chat format, by their files alone; what differs has a name.

JSON is compared by what it says, everything else byte by byte, and chat templates by their text, wherever it is kept.
"""

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rl.policy.presets import ModelDirectoryError

__all__ = ["TEMPLATES", "check_same_tokenizer"]

_JSON = ("tokenizer.json", "vocab.json", "added_tokens.json", "orrery_policy.json", "tokenizer_config.json")
_BYTES = ("tokenizer.model", "tiktoken.model", "merges.txt", "vocab.txt", "tokenization_*.py")
_CONFIG, _SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
TEMPLATES = "additional_chat_templates"
"""Folder of the templates that have names of their own."""
_UNIMPORTANT = (
    "_name_or_path", "backend", "chat_template", "is_local", "local_files_only", "model_max_length", "name_or_path",
    "padding_side", "processor_class", "special_tokens_map_file", "tokenizer_file", "transformers_version", "truncation_side",
)  # fmt: skip
"""Keys of tokenizer_config.json that change neither a token nor a dialogue; chat templates are compared apart."""


def check_same_tokenizer(one: Path, other: Path) -> None:
    """
    Raises:
        ModelDirectoryError: the two differ; names the file and, in it, the first thing that does.
    """
    for what, difference in _differences(one, other):
        raise ModelDirectoryError(f"{other} and {one} have different {what}: {difference}")


def _differences(one: Path, other: Path) -> Iterator[tuple[str, str]]:
    for name in _names(one, other):
        here, there = one / name, other / name
        if not (here.is_file() and there.is_file()):
            if name != _SPECIAL and here.is_file() != there.is_file():  # tokenizer_config.json says that one's content too
                yield "tokenizers", f"{name} is in one of them alone"
        elif name.endswith(".json"):
            first, second = (_content(path) for path in (here, there))
            for found in _unlike(first, second, ""):
                yield "tokenizers", f"{name} differs: {found}"
        elif here.read_bytes() != there.read_bytes():
            yield "tokenizers", f"{name} differs"
    ours, theirs = _templates(one), _templates(other)
    for name in sorted(ours.keys() | theirs.keys()):
        (first_file, first), (second_file, second) = ours.get(name, ("", "")), theirs.get(name, ("", ""))
        if first != second:
            yield "chat templates", f"{second_file or first_file} differs: {_line(first, second)}"


def _names(one: Path, other: Path) -> list[str]:
    found = {path.name for directory in (one, other) for pattern in _BYTES for path in directory.glob(pattern)}
    return [*_JSON, _SPECIAL, *sorted(found)]


def _content(path: Path) -> Any:
    said = _read(path)
    known = isinstance(said, dict) and path.name == _CONFIG
    return {key: value for key, value in said.items() if key not in _UNIMPORTANT} if known else said


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelDirectoryError(f"{path} is not JSON: {error}") from error


def _unlike(first: Any, second: Any, place: str) -> Iterator[str]:
    """Where `first` and `second` are not the same, with the value of the second before that of the first."""
    if first == second:
        return
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(first.keys() | second.keys()):
            yield from _unlike(first.get(key), second.get(key), f"{place}.{key}" if place else key)
    elif isinstance(first, list) and isinstance(second, list):
        for number, (left, right) in enumerate(zip_longest(first, second)):
            yield from _unlike(left, right, f"{place}[{number}]")
    else:
        yield f"{place} is {_shown(second)} and {_shown(first)}"


def _templates(directory: Path) -> dict[str, tuple[str, str]]:
    """Name to the file that holds it and its text; a file of its own is read before the configuration, as transformers does."""
    found: dict[str, tuple[str, str]] = {}
    for name in ("chat_template.json", _CONFIG):
        said = _read(directory / name) if (directory / name).is_file() else {}
        told = said.get("chat_template") if isinstance(said, dict) else None
        if isinstance(told, list):
            told = {each["name"]: each["template"] for each in told}
        named = {"default": told} if isinstance(told, str) else told or {}
        found = {key: (name, text) for key, text in named.items()} | found
    files = [("default", directory / "chat_template.jinja")]
    files += [(path.stem, path) for path in sorted((directory / TEMPLATES).glob("*.jinja"))]
    return found | {name: (path.name, path.read_text(encoding="utf-8")) for name, path in files if path.is_file()}


def _line(first: str, second: str) -> str:
    pairs = zip_longest(first.splitlines(), second.splitlines())
    for number, (left, right) in enumerate(pairs, start=1):
        if left != right:
            return f"line {number} is {_shown(right)} and {_shown(left)}"
    return "its line ends"


def _shown(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
