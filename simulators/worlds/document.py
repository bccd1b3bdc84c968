"""A YAML document that knows where each of its parts stands, so that every complaint names file, line and path.

Only plain data: no tags, no anchors, no duplicate keys.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

__all__ = ["Section", "WorldSpecError", "read_document", "read_json"]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same nodes and marks, ten times faster
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
PLAIN_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null"))


class WorldSpecError(ValueError):
    """A world spec that cannot be used; the text names the file, the line where known, the path and what to do."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document, with typed access that complains by itself."""

    value: Any
    source: str
    """File name, or a name for where a mapping came from."""
    path: str = ""
    """Keys and indices from the top, e.g. ``operations.cancel_order.effects[0]``."""
    lines: Mapping[str, int] | None = None

    def fail(self, message: str) -> NoReturn:
        """Raise `WorldSpecError` about this part."""
        line = (self.lines or {}).get(self.path)
        place = f"{self.source}:{line}" if line else self.source
        raise WorldSpecError(f"{place}: {self.path or 'top level'}: {message}")

    def child(self, key: str | int) -> "Section":
        """The part under a key or index that is known to be there."""
        path = f"{self.path}[{key}]" if isinstance(key, int) else f"{self.path}.{key}" if self.path else key
        return Section(self.value[key], self.source, path, self.lines)

    def check_keys(self, required: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Complain unless this is a mapping with all required and no unknown keys."""
        mapping = self.mapping()
        allowed = (*required, *optional)
        for key in mapping:
            if key not in allowed:
                self.child(key).fail(f"unknown key; allowed here: {', '.join(allowed) or 'none'}")
        for key in required:
            if key not in mapping:
                self.fail(f"missing key {key}")

    def mapping(self) -> dict[str, Any]:
        if not isinstance(self.value, dict) or not all(isinstance(key, str) for key in self.value):
            self.fail(f"must be a mapping with string keys, not {_describe(self.value)}")
        return self.value

    def named(self) -> Iterator[tuple[str, "Section"]]:
        """The members of a mapping whose keys are names (lower-case, digits and underscores)."""
        for key in self.mapping():
            self.child(key)._check_name(key)
            yield key, self.child(key)

    def name(self) -> str:
        """A string that is a name."""
        self._check_name(self.text())
        return self.text()

    def _check_name(self, text: str) -> None:
        if not NAME.fullmatch(text):
            self.fail(f"{text!r} is no name: lower-case letters, digits and underscores, a letter first, 64 at most")

    def elements(self) -> list["Section"]:
        if not isinstance(self.value, list):
            self.fail(f"must be a list, not {_describe(self.value)}")
        return [self.child(index) for index in range(len(self.value))]

    def get(self, key: str) -> "Section | None":
        return self.child(key) if key in self.mapping() else None

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            self.fail(f"must be a string that is not empty, not {_describe(self.value)}")
        return " ".join(self.value.split())

    def integer(self, minimum: int | None = None, maximum: int | None = None) -> int:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail(f"must be an integer, not {_describe(value)}")
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            self.fail(f"must be from {minimum} to {'any' if maximum is None else maximum}, not {value}")
        return value

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            self.fail(f"must be true or false, not {_describe(self.value)}")
        return self.value

    def one_of(self, options: Sequence[str], what: str) -> str:
        """A string that is one of `options`; `what` says what they are, for the complaint."""
        value = self.text()
        if value not in options:
            self.fail(f"unknown {what} {value!r}; known: {', '.join(options) or 'none'}")
        return value


def read_document(path: Path) -> Section:
    """The whole document of a file.

    Raises:
        WorldSpecError: when the file cannot be read, or is not plain YAML.
    """
    source = str(path)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except OSError as error:
        raise WorldSpecError(f"{source}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WorldSpecError(f"{source}: not UTF-8 at byte {error.start}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise WorldSpecError(f"{source}{line}: not YAML: {getattr(error, 'problem', None) or error}") from error
    if node is None:
        raise WorldSpecError(f"{source}: the file is empty")
    lines: dict[str, int] = {}
    value = _plain(node, Section(None, source, "", lines), lines, set())
    return Section(value, source, "", lines)


def read_json(path: Path) -> Section:
    """The same for JSON, as programs write it; complaints name no lines.

    Raises:
        WorldSpecError: when the file cannot be read, or is not JSON.
    """
    try:
        return Section(json.loads(path.read_text(encoding="utf-8")), str(path))
    except OSError as error:
        raise WorldSpecError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise WorldSpecError(f"{path}: not JSON: {error}") from error


def _plain(node: yaml.Node, here: Section, lines: dict[str, int], seen: set[int]) -> Any:
    lines[here.path] = node.start_mark.line + 1
    if id(node) in seen:
        here.fail("anchors and aliases are not allowed; write the part out")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, here, lines, seen)
    if isinstance(node, yaml.SequenceNode):
        parts = [Section(None, here.source, f"{here.path}[{index}]", lines) for index in range(len(node.value))]
        return [_plain(item, part, lines, seen) for item, part in zip(node.value, parts, strict=True)]
    if node.tag not in PLAIN_TAGS:
        here.fail(f"only plain strings, numbers, true and false are allowed, not {node.tag}; quote a string")
    value = yaml.SafeLoader("").construct_object(node)
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        here.fail("holds half of a surrogate pair, which is not a character")
    return value


def _plain_mapping(node: yaml.MappingNode, here: Section, lines: dict[str, int], seen: set[int]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None or key_node.tag != "tag:yaml.org,2002:str":
            here.fail(f"keys must be strings, not {key!r}; quote it")
        part = Section(None, here.source, f"{here.path}.{key}" if here.path else key, lines)
        if key in mapping:
            lines[part.path] = key_node.start_mark.line + 1
            part.fail("this key is already given above")
        mapping[key] = _plain(value_node, part, lines, seen)
        lines[part.path] = key_node.start_mark.line + 1
    return mapping


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value)
