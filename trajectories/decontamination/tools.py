"""Whether a row's tools are an item's tools: by names, argument names and types.

Two tools are one where name and arguments agree in `schema_share` of all that either has (Jaccard). An item's tools are in a row
by the share of their weight (one plus the number of arguments) that the row has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trajectories.decontamination.actions import plain_name
from trajectories.decontamination.benchmark import ToolSignature
from trajectories.decontamination.shapes import schema_type
from trajectories.messages import ToolSpec

__all__ = ["ToolIndex", "ToolMatch", "signature_of"]

_MOST_REMEMBERED: Final = 4096

Features = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ToolMatch:
    item: int
    overlap: float
    """Share of the item's tools, by weight."""
    tools: tuple[str, ...]
    """Names of the row's tools that are the item's."""


def signature_of(tool: ToolSpec) -> ToolSignature:
    properties = tool.inputSchema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    return ToolSignature(tool.name, tuple((name, schema_type(schema)) for name, schema in properties.items()))


class ToolIndex:
    """Distinct tool sets of a benchmark's items; items that share one are one."""

    def __init__(self, tools: Mapping[int, Sequence[ToolSignature]], schema_share: float, share: float, least: int) -> None:
        self._schema_share, self._share, self._least = schema_share, share, least
        self._first: dict[frozenset[Features], int] = {}
        for item, signatures in tools.items():
            if signatures:
                self._first.setdefault(frozenset(map(_features, signatures)), item)
        self._known = sorted({tool for tools_of in self._first for tool in tools_of}, key=sorted)
        self._holders: dict[int, list[int]] = {}
        self._sets = [(item, frozenset(tools_of)) for tools_of, item in self._first.items()]
        numbers = {tool: number for number, tool in enumerate(self._known)}
        for place, (_, tools_of) in enumerate(self._sets):
            for tool in tools_of:
                self._holders.setdefault(numbers[tool], []).append(place)
        self._by_feature: dict[tuple[str, str], list[int]] = {}
        for tool, number in numbers.items():
            for feature in tool:
                self._by_feature.setdefault(feature, []).append(number)
        self._matches: dict[tuple[ToolSignature, ...], ToolMatch | None] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_matches": {}}

    def find(self, tools: Iterable[ToolSpec]) -> ToolMatch | None:
        """The item whose tools the row has most of, where that is enough to be a leak."""
        if not self._sets:
            return None
        signatures = tuple(map(signature_of, tools))
        try:
            return self._matches[signatures]  # at once: another thread may clear it
        except KeyError:
            pass
        if len(self._matches) >= _MOST_REMEMBERED:
            self._matches.clear()
        self._matches[signatures] = match = self._best(signatures)
        return match

    def _best(self, signatures: Sequence[ToolSignature]) -> ToolMatch | None:
        same = {number: tool.name for tool in signatures for number in self._same_as(_features(tool))}
        best: ToolMatch | None = None
        for place in sorted({place for number in same for place in self._holders[number]}):
            item, tools_of = self._sets[place]
            common = [number for number in same if self._known[number] in tools_of]
            weight = sum(len(self._known[number]) for number in common)
            overlap = weight / sum(map(len, tools_of))
            if weight >= self._least and overlap >= self._share and (best is None or overlap > best.overlap):
                best = ToolMatch(item, overlap, tuple(sorted({same[number] for number in common})))
        return best

    def _same_as(self, tool: Features) -> Iterable[int]:
        shared: dict[int, int] = {}
        for feature in tool:
            for number in self._by_feature.get(feature, ()):
                shared[number] = shared.get(number, 0) + 1
        for number, count in shared.items():
            if count >= self._schema_share * len(tool | self._known[number]):
                yield number


def _features(tool: ToolSignature) -> Features:
    return frozenset([("", plain_name(tool.name)), *((name.casefold(), kind) for name, kind in tool.arguments)])
