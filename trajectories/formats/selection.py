"""Which rows are exported: a verdict and simple conditions, decided on Arrow batches; messages are read only for turns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trajectories.formats.format import STANDING_COLUMNS, Keep, standing
from trajectories.formats.prompts import role_of

__all__ = ["Selection", "Where"]

_LEFT_OUT = {"pass": "passed", "failure": "failed", "fault": "fault", "unjudged": "unjudged"}


@dataclass(frozen=True, kw_only=True)
class Where:
    """Rows must meet every condition that is set."""

    worlds: tuple[str, ...] = ()
    """One of these worlds; empty: any."""
    tags: tuple[str, ...] = ()
    """At least one of these tags; empty: any."""
    without_tags: tuple[str, ...] = ()
    """None of these tags."""
    languages: tuple[str, ...] = ()
    """The user speaks one of these languages; empty: any."""
    personas: tuple[str, ...] = ()
    """The user is one of these personas; empty: any."""
    difficulties: tuple[int, ...] = ()
    """The task has one of these difficulties; empty: any."""
    max_turns: int | None = None
    """Assistant messages at most."""
    max_tools: int | None = None
    """Tools at most."""

    @property
    def of_tasks(self) -> bool:
        """Whether a condition is set that tasks can be asked for, too."""
        return any(getattr(self, item.name) for item in fields(self) if not item.name.startswith("max_"))

    def of_task(self, world: str, tags: Sequence[str], language: str, persona: str, difficulty: int) -> str | None:
        """The first condition that is not met."""
        met = {
            "worlds": not self.worlds or world in self.worlds,
            "tags": not self.tags or any(tag in self.tags for tag in tags),
            "without_tags": not any(tag in self.without_tags for tag in tags),
            "languages": not self.languages or language in self.languages,
            "personas": not self.personas or persona in self.personas,
            "difficulties": not self.difficulties or difficulty in self.difficulties,
        }
        return next((name for name, holds in met.items() if not holds), None)


@dataclass(frozen=True)
class Selection:
    keep: Keep = "all"
    where: Where = field(default_factory=Where)

    @property
    def everything(self) -> bool:
        return self.keep == "all" and self.where == Where()

    def reasons(self, batch: pa.RecordBatch) -> list[str | None]:
        """Per row of a batch of dialogues: None, or why it is left out (``failed``, ``where.worlds``, ...)."""
        found: list[str | None] = [None] * batch.num_rows
        if self.keep != "all":
            wanted = "pass" if self.keep == "passes" else "failure"
            for row, values in enumerate(batch.select(list(STANDING_COLUMNS)).to_pylist()):
                found[row] = None if (name := standing(values)) == wanted else _LEFT_OUT[name]
        for row, condition in self._unmet(batch):
            found[row] = found[row] or f"where.{condition}"
        return found

    def task_reasons(self, batch: pa.RecordBatch) -> list[str | None]:
        """The same for a batch of tasks, which have worlds, tags and personas, and no verdict."""
        if not self.where.of_tasks:
            return [None] * batch.num_rows
        columns = batch.select(["world", "tags", "persona", "difficulty"]).to_pylist()
        unmet = [
            self.where.of_task(
                row["world"], row["tags"], (who := json.loads(row["persona"]))["language"], who["name"], row["difficulty"]
            )
            for row in columns
        ]
        return [condition and f"where.{condition}" for condition in unmet]

    def _unmet(self, batch: pa.RecordBatch) -> Iterator[tuple[int, str]]:
        where = self.where
        if where.of_tasks:
            for row, values in enumerate(batch.select(["world", "metadata"]).to_pylist()):
                about: Mapping[str, Any] = json.loads(values["metadata"] or "{}")
                known = (about.get("tags", ()), about.get("language", ""), about.get("persona", ""))
                if condition := where.of_task(values["world"], *known, about.get("difficulty", 0)):
                    yield row, condition
        if where.max_tools is not None:
            for row, tools in enumerate(pc.list_value_length(batch.column("tools")).to_pylist()):
                if tools > where.max_tools:
                    yield row, "max_tools"
        if where.max_turns is not None:
            for row, messages in enumerate(batch.column("messages").to_pylist()):
                if sum(role_of(text) == "assistant" for text in messages) > where.max_turns:
                    yield row, "max_turns"
