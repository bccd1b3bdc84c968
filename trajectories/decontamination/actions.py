"""Calls in one form, and which items' gold calls a dialogue makes: with equal arguments, or with other values.

Tool names are compared without case and punctuation, scalars by their text ("204" equals 204, "Paris" equals "paris "). Gold
calls count as made when they occur in their order, whatever else is called between them.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Final

import xxhash

from trajectories.decontamination.benchmark import GoldCallSpec
from trajectories.decontamination.words import plain
from trajectories.messages import Message

__all__ = ["ActionIndex", "GoldCalls", "MadeCall", "calls_of", "plain_name", "planned_call", "scalars", "value_text"]

_MOST_SPELLINGS: Final = 64
"""Accepted spellings of one gold call under which it is looked up."""


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A call of a dialogue."""

    name: str
    arguments: Mapping[str, str]
    """Name to the canonical text of the value."""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.arguments.items())})"

    def key(self) -> int:
        return _key(self.name, sorted(self.arguments.items()))


@dataclass(frozen=True, slots=True)
class GoldCalls:
    """Gold calls of one item, in one form."""

    calls: tuple[tuple[str, Mapping[str, frozenset[str]], frozenset[str]], ...]
    """Name, accepted texts of each argument, and arguments that may be left out."""

    @staticmethod
    def of(calls: Sequence[GoldCallSpec]) -> "GoldCalls":
        return GoldCalls(
            tuple(
                (
                    plain_name(call.name),
                    {key: frozenset(map(value_text, values)) for key, values in call.arguments.items()},
                    call.optional,
                )
                for call in calls
            )
        )

    @property
    def weight(self) -> int:
        """Calls plus their arguments."""
        return sum(1 + len(arguments) for _, arguments, _ in self.calls)

    def made_by(self, made: Sequence[MadeCall], *, any_values: bool) -> bool:
        """Whether `made` holds the gold calls in order."""
        rest = iter(made)
        return all(any(_is(call, gold, any_values) for call in rest) for gold in self.calls)

    def rarest_keys(self) -> set[int]:
        """Keys of the call with most arguments, in every accepted spelling (the first 64)."""
        name, arguments, optional = max(self.calls, key=lambda call: len(call[1]))
        choices = [
            [(key, value) for value in sorted(values)] + ([None] if key in optional else [])
            for key, values in sorted(arguments.items())
        ]
        spellings = islice(product(*choices), _MOST_SPELLINGS)
        return {_key(name, [pair for pair in spelling if pair is not None]) for spelling in spellings}


class ActionIndex:
    """Items by their gold calls."""

    def __init__(self, gold: Mapping[int, GoldCalls], least_weight: int) -> None:
        self._gold = {item: calls for item, calls in gold.items() if calls.calls and calls.weight >= least_weight}
        self._items: dict[int, list[int]] = {}
        for item, calls in self._gold.items():
            for key in sorted(calls.rarest_keys()):
                self._items.setdefault(key, []).append(item)

    def find(self, made: Sequence[MadeCall]) -> int | None:
        """The first item whose gold calls `made` holds with equal arguments."""
        candidates = {item for call in made for item in self._items.get(call.key(), ())}
        return next((item for item in sorted(candidates) if self._gold[item].made_by(made, any_values=False)), None)


def calls_of(messages: Sequence[Message]) -> list[MadeCall]:
    """Every call of the assistant, in order; arguments that are no JSON object are one argument of that text."""
    return [_made(call.name, call.arguments) for m in messages if m.role == "assistant" for call in m.tool_calls]


def _made(name: str, text: str) -> MadeCall:
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        arguments = {"": text}
    return planned_call(name, arguments)


def planned_call(name: str, arguments: Mapping[str, Any]) -> MadeCall:
    """A call that is an object already."""
    return MadeCall(plain_name(name), {key: value_text(value) for key, value in arguments.items()})


def _is(call: MadeCall, gold: tuple[str, Mapping[str, frozenset[str]], frozenset[str]], any_values: bool) -> bool:
    name, accepted, optional = gold
    if call.name != name or not accepted.keys() - optional <= call.arguments.keys() <= accepted.keys():
        return False
    return any_values or all(value in accepted[key] for key, value in call.arguments.items())


def _key(name: str, arguments: Sequence[tuple[str, str]]) -> int:
    return xxhash.xxh3_64_intdigest(repr((name, list(arguments))).encode("utf-8", "surrogatepass"))


@functools.lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """Dots and dashes are underscores: models' formats allow no others."""
    return "".join(character if character.isalnum() else "_" for character in plain(name).casefold())


def value_text(value: Any) -> str:
    """A value's canonical text; equal for values that a user would call equal."""
    try:
        return _text(value)
    except RecursionError:
        return "(nested too deeply)"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return plain(value).casefold().strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) if abs(value) < 2**63 else repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(value[key])}" for key in sorted(value, key=str)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    return str(value).casefold()


def scalars(value: Any) -> Iterator[str]:
    """The texts in a value, without recursion."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)
