"""Tasks of tau2-bench: what the user is told, what the agent must do, and the policy and tools that lie beside them.

A task has ``user_scenario`` (``persona``; ``instructions``: one text, or an object of texts), ``evaluation_criteria``
(``actions``, ``nl_assertions``), and sometimes ``ticket``. A policy (``policy.md``) beside the file is an item of its own; tools
are code in that project, so they count where somebody wrote them down as ``tools.json``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trajectories.decontamination.benchmark import MOST_CHARACTERS, BenchmarkError, BenchmarkItem, GoldCallSpec, ToolSignature
from trajectories.decontamination.json_items import objects
from trajectories.decontamination.shapes import items_of, mapping, text, tool_signature

__all__ = ["Tau2Reader"]


class Tau2Reader:
    """Reads the tasks of one file."""

    def __init__(self, path: Path) -> None:
        tools, self._policy = path.parent / "tools.json", path.parent / "policy.md"
        self._tools: tuple[ToolSignature, ...] = ()
        if tools.is_file() and tools != path:
            self._tools = tuple(tool_signature(value, place) for place, value in objects(tools))

    def item(self, value: Mapping[str, Any], identity: str, place: str) -> BenchmarkItem:
        scenario = mapping(value["user_scenario"], f"{place}.user_scenario")
        criteria = value.get("evaluation_criteria")
        criteria = mapping(criteria, f"{place}.evaluation_criteria") if criteria is not None else {}
        assertions = items_of(criteria.get("nl_assertions"), f"{place}.evaluation_criteria.nl_assertions")
        return BenchmarkItem(
            identity,
            texts=(
                *_strings(scenario, f"{place}.user_scenario"),
                text(value.get("ticket"), f"{place}.ticket"),
                *(text(said, f"{place}.evaluation_criteria.nl_assertions[{i}]") for i, said in enumerate(assertions)),
            ),
            calls=tuple(_actions(criteria.get("actions"), f"{place}.evaluation_criteria.actions")),
            tools=self._tools,
        )

    def policy(self) -> BenchmarkItem | None:
        """The policy as an item of its own."""
        if not self._policy.is_file():
            return None
        try:
            with self._policy.open(encoding="utf-8-sig") as file:
                content = file.read(MOST_CHARACTERS + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise BenchmarkError(f"{self._policy}: {error}") from error
        return BenchmarkItem("policy", prompts=(content,), tools=self._tools)


def _strings(value: Mapping[str, Any], place: str) -> Iterator[str]:
    """Every text in nested objects and lists: the keys differ from domain to domain."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _strings(inner, f"{place}.{key}")
        elif isinstance(inner, list):
            yield from (text(item, f"{place}.{key}[{i}]") for i, item in enumerate(inner))
        elif key != "domain":
            yield text(inner, f"{place}.{key}")


def _actions(value: Any, place: str) -> Iterator[GoldCallSpec]:
    for i, action in enumerate(items_of(value, place)):
        wire, here = mapping(action, f"{place}[{i}]"), f"{place}[{i}]"
        if "name" not in wire:
            raise BenchmarkError(f"{here}.name: is missing")
        arguments = wire.get("arguments")
        given = mapping(arguments, f"{here}.arguments") if arguments is not None else {}
        if wire.get("requestor") == "user":
            continue  # the user's own device, which no assistant calls
        yield GoldCallSpec(text(wire["name"], f"{here}.name"), {key: (inner,) for key, inner in given.items()})
