"""What an output format is: a pure mapping from the rows of one task to output rows, with the schema of those.

A format that has no word for something refuses the row by name; nothing is dropped or bent in silence.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from trajectories.formats.settings import FormatSettings

__all__ = ["STANDING_COLUMNS", "Format", "Group", "Keep", "Made", "Row", "Standing", "UnsayableError", "standing"]

Row = Mapping[str, Any]
"""A source row, of the columns that the format asked for. `messages` and `tools` are lists of `JsonText`."""
Keep = Literal["passes", "failures", "all"]
Standing = Literal["pass", "failure", "fault", "unjudged"]


class UnsayableError(ValueError):
    """The format has no word for something in a row; says what, and which setting helps."""

    def __init__(self, message: str, row: int = 0) -> None:
        super().__init__(message)
        self.row = row
        """Which of the group's rows."""


@dataclass(frozen=True, slots=True)
class Group:
    """What one call of a format sees."""

    rows: Sequence[Row]
    """One dialogue; of a format with ``per="task"`` the dialogues of one task, in their order."""
    number: int
    """Number of the first of them in its source split."""
    split: str
    """The output split."""
    task: Mapping[str, Any] | None = None
    """The task's row, with the columns of `TASK_SCHEMA`, where the format needs it."""
    plain: bool = False
    """Whether the output has the plain types of ``json=text``."""


@dataclass(slots=True)
class Made:
    rows: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    """Dialogues that are in no output row, by reason."""


@dataclass(frozen=True, kw_only=True)
class Format:
    name: str
    make: Callable[[Group, FormatSettings], Made]
    """Raises `UnsayableError`."""
    columns: tuple[str, ...]
    """Of the source rows, that `make` reads."""
    typed: pa.Schema | None
    """Arrow schema with JSON columns (``json=typed``); None where the format has none."""
    text: pa.Schema | None = None
    """The same in plain types (``json=text``); None where the format has none. JSONL has neither."""
    per: Literal["dialogue", "task"] = "dialogue"
    keep: Keep = "all"
    """Which dialogues, unless the user says otherwise."""
    most: Callable[[FormatSettings], int] = lambda settings: 1
    """How many dialogues of one task are looked at."""
    surplus: str = "same_task"
    """The reason why the others are left out."""
    needs_task: bool = False

    @property
    def suffix(self) -> Literal["parquet", "jsonl"]:
        return "jsonl" if self.typed is None and self.text is None else "parquet"


STANDING_COLUMNS = ("reward", "reward_valid", "reward_detail", "verdicts", "metadata")
"""That `standing` reads."""


def standing(row: Row) -> Standing:
    """A pass solved its task (by the `pass` component, or without one by a reward of 1 or more), and nobody speaks against it:
    no other label, and no failed verdict. In a row that is labelled a pass, the judge's rubric does not insist on what failed."""
    if row["reward_valid"] is None:
        return "unjudged"
    if not row["reward_valid"]:
        return "fault"
    solved = json.loads(row["reward_detail"])["components"].get("pass")
    if (solved if solved is not None else row["reward"]) < 1.0:
        return "failure"
    about = row["metadata"]
    label = (json.loads(about) if isinstance(about, str) else about or {}).get("label")
    failed = {verdict["judge"] for verdict in row["verdicts"] or () if verdict["verdict"] == "fail"}
    against = failed & {"rubric", "rules"} if label == "pass" else failed
    return "failure" if against or label not in (None, "pass") else "pass"
