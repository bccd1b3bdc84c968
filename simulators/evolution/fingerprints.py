"""Which tools are the same: two tools are, when a renaming of entities, fields, arguments and tools turns one into the
other.

The fingerprint of a tool is the digest of its definition without words, names replaced by the order in which they first
appear, each field by what it may hold. With shapes, an entity counts as what its records hold; without, tools that do the
same to different things are alike: that is how near-duplicates across domains are found.
"""

import re
from collections.abc import Mapping
from typing import Any

from trajectories.canonical import digest

__all__ = ["tool_fingerprint"]

_WORDS = ("draw", "max_length")
_NAMED = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)")


def tool_fingerprint(document: Mapping[str, Any], tool: str, *, shapes: bool) -> str:
    """Fingerprint of a tool of a world document.

    Args:
        shapes: whether what else the records hold makes a difference.
    """
    return _Namer(document, shapes).print(document["operations"][tool])


class _Namer:
    def __init__(self, document: Mapping[str, Any], shapes: bool) -> None:
        self._entities, self._shapes = document["entities"], shapes
        self._names: dict[str, str] = {}
        self._records: dict[str, str] = {}

    def print(self, tool: Mapping[str, Any]) -> str:
        self._records = {name: name for name in self._entities}
        self._records |= {name: part["entity"] for name, part in tool.get("records", {}).items()}
        for effect in tool.get("effects", []):
            if "create" in effect:
                self._records[effect["create"]["record"]] = effect["create"]["entity"]
        own = {**tool.get("arguments", {}), **tool.get("returns", {}), **tool.get("totals", {})}
        self._own = set(own) | set(self._records)
        parts = {key: value for key, value in tool.items() if key != "description"}
        return digest(self._plain(parts))

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return [[self._key(key), self._plain(item)] for key, item in value.items() if key not in ("description", "error")]
        if isinstance(value, list):
            return [self._plain(item) for item in value]
        if isinstance(value, str):
            return self._text(value)
        return value

    def _key(self, key: str) -> str:
        return self._name(key) if key in self._own or any(key in e["fields"] for e in self._entities.values()) else key

    def _text(self, text: str) -> Any:
        found = _NAMED.fullmatch(text)
        if found and found[1] in self._records:
            entity = self._records[found[1]]
            field = self._entities[entity]["fields"].get(found[2])
            if field is not None:
                return [self._name(found[1]), self._name(found[2]), self._held(field), *self._shape(entity)]
        if text in self._entities:
            return [self._name(text), *self._shape(text)]
        return self._name(text) if text in self._own else text

    def _held(self, field: Mapping[str, Any]) -> Any:
        kept = {key: value for key, value in field.items() if key not in _WORDS}
        return kept | ({"entity": self._name(field["entity"])} if "entity" in field else {})

    def _shape(self, entity: str) -> list[Any]:
        if not self._shapes:
            return []
        fields = self._entities[entity]["fields"].values()
        return [sorted(digest({k: v for k, v in field.items() if k not in (*_WORDS, "entity")})[:8] for field in fields)]

    def _name(self, name: str) -> str:
        return self._names.setdefault(name, f"n{len(self._names)}")
