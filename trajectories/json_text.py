"""JSON text that every reader of a shard reads back as exactly the same value.

A JSON column is read by Python's `json`, which is exact, and by the `datasets` library, whose reader (pandas' ujson) is
not: it takes the text ``0.3`` for another double than Python does, and fails on integers beyond 64 bits. So each number
is written in a spelling that both readers take for the same double, and what no spelling can say is refused here, where
the value is known, and not by whoever loads the data set.
"""

import functools
import json
import marshal
import math
import re
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any

__all__ = ["CodecError", "JsonText", "json_text", "plain_json_text"]


class CodecError(ValueError):
    """A value that a shard cannot hold without loss; the message names the place."""


class JsonText(str):
    """The text of a JSON value that nobody has read, from a JSON column; it is written as it is."""

    __slots__ = ()


def json_text(value: Any, where: str = "value") -> str:
    """`value` as JSON text that Python's `json` and `datasets` read back equal.

    Lone surrogates (no Unicode text, but legal in JSON) are kept as escapes: Python reads them back, `datasets` drops
    them.

    Args:
        value: a JSON value: None, bool, int, float, str, list, or dict with string keys; or a `JsonText`.
        where: the name of the place, for errors.

    Raises:
        CodecError: not a JSON value, not finite, an integer beyond 64 bits, or a magnitude near the smallest doubles.
    """
    if type(value) is JsonText:
        return value
    try:
        key = marshal.dumps(value, _MARSHAL_VERSION)
    except ValueError:  # a subclass of str, say
        key = b""
    if (known := _written.get(key)) is not None:  # at once: another thread may clear it
        return known
    try:
        text = _encode(value)
        # Reading gives what was written: so nothing in it was a tuple, or a key that is no string.
        if (back := _datasets_reads(text)) != value:
            if (back := json.loads(text)) != value:
                raise ValueError
            text = _respelled(text)
    except (TypeError, ValueError):  # no JSON, not finite, a lone surrogate, or a number out of reach
        text = plain_json_text(value, where, allow_nan=False)
        try:
            text = _respelled(text)
        except ValueError:
            _refuse_numbers(value, where)
            raise
        back = None
    if len(text) >= _WORTH_KEEPING and marshal.dumps(back, _MARSHAL_VERSION) == key:
        _keep(key, text)
    return text


_MARSHAL_VERSION = 2  # without references, so that the bytes are a function of the value and its types alone
_WORTH_KEEPING = 128
_MEMORY = 16 * 2**20
_written: dict[bytes, str] = {}
"""Texts of large values, for the same tools are in row after row; by the marshalled value, which keeps 1, 1.0 and True
apart and costs a fifth of writing and reading back."""


def _keep(key: bytes, text: str) -> None:
    global _kept
    _kept += len(key) + len(text)
    if _kept > _MEMORY:
        _written.clear()
        _kept = len(key) + len(text)
    _written[key] = text


_kept = 0
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_encode_any = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def plain_json_text(value: Any, where: str = "value", allow_nan: bool = True) -> str:
    """`value` as JSON text for Python's `json`: integers of any size, lone surrogates and (by default) NaN.

    Raises:
        CodecError: not a JSON value; tuples are none, for they would come back as lists.
    """
    _check_json(value, where, allow_nan)
    text = _encode_any(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def _check_json(value: Any, where: str, allow_nan: bool) -> None:
    # Without recursion: a hostile policy may nest its arguments as deeply as the JSON parser let through.
    stack = [(value, where)]
    while stack:
        item, place = stack.pop()
        if isinstance(item, float) and not allow_nan and not math.isfinite(item):
            raise CodecError(f"{place}: JSON has no {item}")
        if item is None or isinstance(item, str | bool | int | float):
            continue
        if isinstance(item, dict):
            for key, child in item.items():
                if not isinstance(key, str):
                    raise CodecError(f"{place}: the key {key!r} is {type(key).__name__}; JSON keys are strings")
                stack.append((child, key if len(place) > 200 else f"{place}.{key}"))
        elif isinstance(item, list):
            stack.extend((child, place) for child in item)
        else:
            raise CodecError(
                f"{place}: {type(item).__name__} is not a JSON value; use None, bool, int, float, str, list or dict"
            )


@functools.lru_cache(maxsize=1)
def _datasets_reader() -> Any:
    import pandas  # slow to import, and needed only where JSON columns are written

    return pandas.io.json.ujson_loads


def _datasets_reads(text: str) -> Any:
    return _datasets_reader()(text)


_STRING_OR_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*')


def _respelled(text: str) -> str:
    """Exact JSON text with each number in a spelling that both readers take for the same value.

    Raises:
        ValueError: a number has none.
    """
    return _STRING_OR_NUMBER.sub(_respelled_token, text)


def _respelled_token(match: re.Match[str]) -> str:
    token = match[0]
    return token if token[0] == '"' or (len(token) < 19 and token.lstrip("-").isdigit()) else _number_text(token)


@functools.lru_cache(maxsize=4096)
def _number_text(text: str) -> str:
    """The spelling of a number that both readers take for the same value; ValueError where there is none."""
    if text.lstrip("-").isdigit():
        if -(2**63) <= int(text) < 2**64:
            return text
        raise ValueError(text)
    value = float(text)
    for spelling in _spellings(value):
        if json.loads(spelling) == value == _datasets_reads(spelling):
            return spelling
    raise ValueError(text)


def _refuse_numbers(value: Any, where: str) -> None:
    """Raises for the first number that has no such spelling, with its place."""
    stack = [(value, where)]
    while stack:
        item, place = stack.pop()
        if isinstance(item, dict):
            stack.extend((child, f"{place}.{key}") for key, child in item.items())
        elif isinstance(item, list):
            stack.extend((child, f"{place}[{index}]") for index, child in enumerate(item))
        elif isinstance(item, int | float) and not isinstance(item, bool):
            try:
                _number_text(_encode_any(item))
            except ValueError as error:
                problem = (
                    "has no spelling that readers of JSON columns take for the same double; round it"
                    if isinstance(item, float)
                    else "is beyond 64 bits, which readers of JSON columns cannot hold; write it as a string"
                )
                raise CodecError(f"{place}: {item!r} {problem}") from error


def _spellings(value: float) -> Iterator[str]:
    """Decimal texts near or at `value`, plain ones first.

    ujson reads an integer part, 15 decimals and a power of ten, each rounded on its own. Moving the decimal point, and
    the mantissa by one unit in the last place, reaches all doubles but the smallest, mostly at the second try.
    """
    yield repr(value)
    exponent = int(f"{value:e}".split("e")[1])
    context = Context(prec=800)
    for leading_digits in (*range(1, 18), 0, -1, -2):
        shift = exponent - leading_digits
        mantissa = float(context.scaleb(Decimal(value), -shift))
        for near in (mantissa, math.nextafter(mantissa, math.inf), math.nextafter(mantissa, -math.inf)):
            yield f"{Decimal(near):.15f}" + (f"e{shift}" if shift else "")
