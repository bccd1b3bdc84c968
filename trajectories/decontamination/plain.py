"""Items of no particular benchmark: ``{"text": ...}``, or ``{"messages": [...], "tools": [...]}`` as chats are stored."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trajectories.decontamination.benchmark import BenchmarkError, BenchmarkItem, GoldCallSpec
from trajectories.decontamination.shapes import content_text, items_of, mapping, text, tool_signatures

__all__ = ["plain_item"]


def plain_item(value: Mapping[str, Any], identity: str, place: str) -> BenchmarkItem:
    said = list(_said(value.get("messages"), f"{place}.messages"))
    return BenchmarkItem(
        identity,
        texts=(text(value.get("text"), f"{place}.text"), *(content for role, content, _ in said if role == "user")),
        prompts=tuple(content for role, content, _ in said if role == "system"),
        calls=tuple(call for role, _, calls in said if role == "assistant" for call in calls),
        tools=tool_signatures(value.get("tools"), f"{place}.tools"),
    )


def _said(value: Any, place: str) -> Iterator[tuple[str, str, list[GoldCallSpec]]]:
    for i, message in enumerate(items_of(value, place)):
        here = f"{place}[{i}]"
        wire = mapping(message, here)
        if "role" not in wire:
            raise BenchmarkError(f"{here}.role: is missing")
        calls = [
            _call(call, f"{here}.tool_calls[{j}]")
            for j, call in enumerate(items_of(wire.get("tool_calls"), f"{here}.tool_calls"))
        ]
        yield text(wire["role"], f"{here}.role"), content_text(wire.get("content"), f"{here}.content"), calls


def _call(value: Any, place: str) -> GoldCallSpec:
    wire = mapping(value, place)
    if "function" in wire:
        wire, place = mapping(wire["function"], f"{place}.function"), f"{place}.function"
    if "name" not in wire:
        raise BenchmarkError(f"{place}.name: is missing")
    arguments = wire.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise BenchmarkError(f"{place}.arguments: is not JSON: {error}") from error
    given = mapping(arguments, f"{place}.arguments") if arguments is not None else {}
    return GoldCallSpec(text(wire["name"], f"{place}.name"), {key: (inner,) for key, inner in given.items()})
