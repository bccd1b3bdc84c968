"""What is counted of a data set's rows, one row at a time; counts of two parts add up to those of the whole.

Columns that a row does not have are not counted, so a reader of the figures can tell "none" from "not said".
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final

import numpy as np
import xxhash

from trajectories.card.dialogue import arguments_of, as_object, called_tools, text_of

__all__ = ["AXES", "LENGTHS", "Counts", "added", "category_of", "families_of", "verdict_of", "world_label"]

Row = Mapping[str, Any]

AXES: Final = {
    "verdict": "Verdicts",
    "label": "Labels (all that judged taken together)",
    "attribution": "Who is to blame for a failure",
    "ending": "Endings",
    "world": "Worlds",
    "category": "Categories of worlds",
    "family": "Families of sub-goals (a task may have several)",
    "operation": "Operations that tasks are about",
    "difficulty": "Sub-goals per task",
    "language": "Languages of users",
    "persona": "Personas of users",
    "policy": "Who plays the agent",
    "competence": "Competence of the agent",
    "teacher_error": "Errors that the agent made on purpose",
    "model": "Models by role",
    "licence": "Licences",
    "structure": "Structures (tools in the order of calls)",
    "trouble": "Tools that misbehaved on purpose (calls)",
    "fault": "Faults",
}
"""What rows are told apart by, with a heading each. A row counts once for each of its values."""

LENGTHS: Final = {
    "agent_turns": "messages of the agent",
    "user_turns": "messages of the user",
    "messages": "messages",
    "calls": "tool calls",
    "tools": "tools that the agent has",
    "characters": "characters (messages, reasoning and arguments of calls)",
    "tokens": "tokens",
    "loss_tokens": "tokens that the agent wrote",
}
"""Whole numbers per dialogue, in words. Tokens only where rows have segments."""

SHIPPED: Final = "shipped with Orrery"
"""Category of a world that is known by a name instead of a path."""
OTHER: Final = "other files"
"""Category of a path that is no grown world's."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts over rows; memory grows with distinct values, and by eight bytes a row."""

    axes: dict[str, Counter[str]] = field(default_factory=lambda: {axis: Counter() for axis in AXES})
    """Axis to value to rows."""
    lengths: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in LENGTHS})
    """Quantity to number to rows."""
    sums: Counter[str] = field(default_factory=Counter)
    """``rows``, ``calls``, ``failed_calls`` (answered by an error), ``undeclared_calls``, ``multi_turn`` (rows with several
    messages of the user), ``outcomes``, ``certificates``, ``certified``."""
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(world, family) to rows."""
    categories: dict[str, str] = field(default_factory=dict)
    """World to its category."""
    declared: set[str] = field(default_factory=set)
    """Tools, as ``world: name``, that some row declares."""
    called: Counter[str] = field(default_factory=Counter)
    """Such a tool to calls of it, by any row."""
    fingerprints: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(world, digest of its specification) to rows."""
    cheats: Counter[str] = field(default_factory=Counter)
    """Cheat to certificates that tried it."""
    run_seeds: Counter[int] = field(default_factory=Counter)
    task_hashes: "array[int]" = field(default_factory=lambda: array("Q"))

    @property
    def rows(self) -> int:
        return self.sums["rows"]

    @property
    def tasks(self) -> int:
        """Distinct tasks."""
        return len(np.unique(np.frombuffer(self.task_hashes, dtype=np.uint64))) if self.task_hashes else 0

    @property
    def coverage(self) -> float | None:
        """Share of the declared tools that are called at least once; None where none is declared."""
        return sum(tool in self.called for tool in self.declared) / len(self.declared) if self.declared else None

    def add(self, row: Row) -> None:
        """Count a row as `trajectories.card.reading.lean_rows` yields it."""
        self.sums["rows"] += 1
        if row.get("task_id"):
            self.task_hashes.append(xxhash.xxh3_64_intdigest(str(row["task_id"]).encode("utf-8", "surrogatepass")))
        world, families = row.get("world") or "", families_of(row)
        self._add_about(row, world, families)
        self._add_dialogue(row, world_label(world))
        self._add_outcome(row)
        self._add_certificate(row.get("certificate"))

    def _add_about(self, row: Row, world: str, families: Iterable[str]) -> None:
        axes, about = self.axes, as_object(row.get("metadata"))
        if (verdict := verdict_of(row)) is not None:
            axes["verdict"][verdict] += 1
        if world:
            label = world_label(world)
            self.categories[label] = category_of(world)
            axes["world"][label] += 1
            axes["category"][self.categories[label]] += 1
            if row.get("world_fingerprint"):
                self.fingerprints[label, row["world_fingerprint"]] += 1
            for family in families:
                self.cells[label, family] += 1
        for axis, values in (
            ("family", families),
            ("operation", [tag.removeprefix("op:") for tag in _texts(about.get("tags")) if tag.startswith("op:")]),
            ("teacher_error", _texts(about.get("errors"))),
            ("model", [f"{role}: {name}" for role, name in as_object(row.get("models")).items()]),
        ):
            for value in values:
                axes[axis][value] += 1
        for axis in ("label", "attribution", "difficulty", "language", "persona", "policy", "competence"):
            if about.get(axis) is not None:
                axes[axis][str(about[axis])] += 1
        if row.get("licence"):
            axes["licence"][row["licence"]] += 1
        if row.get("run_seed") is not None:
            self.run_seeds[row["run_seed"]] += 1

    def _add_dialogue(self, row: Row, world: str) -> None:
        messages, tools, lengths = row["messages"], row["tool_names"], self.lengths
        roles = [message["role"] for message in messages]
        calls = called_tools(messages)
        users = roles.count("user")
        prefix = f"{world}: " if world else ""
        self.declared.update([prefix + tool for tool in tools])
        for tool in calls:
            self.called[prefix + tool] += 1
            self.sums["undeclared_calls"] += tool not in tools
        self.sums["calls"] += len(calls)
        self.sums["multi_turn"] += users > 1
        self.axes["structure"][" → ".join(calls) or "no call"] += 1
        lengths["agent_turns"][roles.count("assistant")] += 1
        lengths["user_turns"][users] += 1
        lengths["messages"][len(messages)] += 1
        lengths["calls"][len(calls)] += 1
        lengths["tools"][len(tools)] += 1
        lengths["characters"][sum(map(_characters, messages))] += 1
        for name in ("tokens", "loss_tokens"):
            if row.get(name) is not None:
                lengths[name][row[name]] += 1

    def _add_outcome(self, row: Row) -> None:
        if not (outcome := as_object(row.get("outcome"))):
            return
        self.sums["outcomes"] += 1
        self.axes["ending"][outcome["ending"]] += 1
        for fault in outcome["faults"]:
            self.axes["fault"][fault["source"]] += 1
        for call in outcome["calls"]:
            self.sums["failed_calls"] += call["is_error"]
            if call.get("trouble"):
                self.axes["trouble"][call["trouble"]["kind"]] += 1

    def _add_certificate(self, certificate: Any) -> None:
        if certificate := as_object(certificate):
            self.sums["certificates"] += 1
            self.sums["certified"] += bool(certificate["certified"])
            for cheat in certificate["cheats"]:
                self.cheats[cheat] += 1


def added(parts: Iterable[Counts]) -> Counts:
    """The counts of the parts together."""
    whole = Counts()
    for part in parts:
        for axis, values in part.axes.items():
            whole.axes[axis].update(values)
        for name, histogram in part.lengths.items():
            whole.lengths[name].update(histogram)
        for name in ("sums", "cells", "categories", "declared", "called", "fingerprints", "cheats", "run_seeds"):
            getattr(whole, name).update(getattr(part, name))
        whole.task_hashes.extend(part.task_hashes)
    return whole


def verdict_of(row: Row) -> str | None:
    """``passed``, ``failed``, ``fault`` (something else broke) or ``unjudged``; None where rows have no such column."""
    if "reward_valid" not in row:
        return None
    if row["reward_valid"] is None:
        return "unjudged"
    if not row["reward_valid"]:
        return "fault"
    components = as_object(as_object(row.get("reward_detail")).get("components"))
    return "passed" if components.get("pass", row.get("reward")) >= 1.0 else "failed"


def families_of(row: Row) -> list[str]:
    """The tags that are no operation's name."""
    return [tag for tag in _texts(as_object(row.get("metadata")).get("tags")) if ":" not in tag]


@lru_cache(maxsize=4096)
def world_label(world: str) -> str:
    """A shipped world's name, ``<category>/<name>`` of a grown world's path, else the file's name: no paths of a machine."""
    path = PurePath(world.replace("\\", "/"))
    if path.suffix != ".json" and len(path.parts) <= 1:
        return world
    grown = len(path.parts) >= 3 and path.parts[-3] == "worlds"
    return f"{path.parts[-2]}/{path.stem}" if grown else path.stem


def category_of(world: str) -> str:
    """The folder of a grown world; `SHIPPED` for a name; `OTHER` for any other path."""
    label = world_label(world)
    return label.partition("/")[0] if "/" in label else SHIPPED if label == world else OTHER


def _texts(value: Any) -> list[str]:
    """The texts of a list; metadata is anybody's."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _characters(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    number = len(content if isinstance(content, str) else text_of(content)) + len(message.get("reasoning_content") or "")
    for call in message.get("tool_calls") or ():
        number += len(arguments_of(call))
    return number
