"""One canonical JSON text per value, and the digest of that text.

Two values have the same canonical text if and only if they mean the same JSON: key order does not matter, and a number
is written by its value (25 and 25.0 are equal). Fingerprints of tools, tasks, worlds and shards rest on this.
"""

import hashlib
import json
import math
from typing import Any

__all__ = ["canonical_json", "canonical_text", "canonical_value", "digest"]


def canonical_json(value: Any) -> str:
    """The canonical JSON text of `value`: sorted keys, no white space, numbers by value, Unicode kept.

    Raises:
        ValueError: for NaN or an infinity, which JSON cannot hold.
        TypeError: for a value that is not JSON, or a mapping with keys that are not strings.
    """
    return canonical_text(canonical_value(value))


def canonical_text(value: Any) -> str:
    """As `canonical_json`, for a value that is canonical already: as `canonical_value` leaves it."""
    return _encode(value)


def digest(value: Any) -> str:
    """SHA-256 of `canonical_json(value)`, as 64 hexadecimal digits; lone surrogates count as they are."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def canonical_value(value: Any) -> Any:
    """`value` with floats that are whole numbers turned into integers and tuples into lists, recursively."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict:
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"JSON object keys are strings, not {type(key).__name__}: {key!r}")
        return {key: item if type(item) in _AS_THEY_ARE else canonical_value(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [item if type(item) in _AS_THEY_ARE else canonical_value(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
        return int(value) if value.is_integer() else value
    # Classes derived from these count as what they are derived from.
    if isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return canonical_value(dict(value))
    if isinstance(value, list | tuple):
        return canonical_value(list(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value: {value!r}")


_AS_THEY_ARE = frozenset((str, int, bool, type(None)))
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
