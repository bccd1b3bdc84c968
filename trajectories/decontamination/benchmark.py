"""What is kept of a benchmark: of each item its texts, prompts, gold calls and tool signatures, and nothing else.

An item keeps at most `MOST_CHARACTERS` characters of text and prompts, and of each tool only names and types, so that memory is
bounded by the number of items: about 2 bytes per character (4 where it leaves the Basic Multilingual Plane), 200 per call and
150 per argument of a tool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["MOST_CHARACTERS", "Benchmark", "BenchmarkError", "BenchmarkItem", "GoldCallSpec", "ToolSignature"]

MOST_CHARACTERS: Final = 1_000_000
"""Of the texts and prompts of one item; more is refused."""


class BenchmarkError(ValueError):
    """A file is no benchmark that can be read; the message names file, item and key."""


@dataclass(frozen=True, slots=True)
class GoldCallSpec:
    """A call that an item's answer makes, with every spelling of its arguments that the benchmark accepts."""

    name: str
    arguments: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Name to accepted JSON values."""
    optional: frozenset[str] = frozenset()
    """Arguments that may be left out."""


@dataclass(frozen=True, slots=True)
class ToolSignature:
    """Name of a tool, and name and JSON type of each argument, as declared; what is inside nested objects is not kept."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BenchmarkItem:
    """One item of a benchmark, or its policy."""

    id: str
    texts: tuple[str, ...] = ()
    """What a user says or is told to say, and what the item is judged by; one passage each."""
    prompts: tuple[str, ...] = ()
    """System prompts and policies."""
    calls: tuple[GoldCallSpec, ...] = ()
    """Gold calls of the assistant, in order."""
    tools: tuple[ToolSignature, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    name: str
    items: tuple[BenchmarkItem, ...]
