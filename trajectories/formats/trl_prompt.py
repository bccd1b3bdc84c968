"""TRL's conversational prompt-only type: ``prompt`` and ``tools``, for trainers that generate, with what a reward needs.

One row a task: all its dialogues have the same prompt, and the first is taken. `GRPOTrainer` hands every further column
to its reward functions; ``task`` is the whole task (rubric and gold), as ``from_row(Task, task)`` takes it.
"""

import pyarrow as pa

from trajectories.formats.format import Format, Group, Made
from trajectories.formats.prompts import opening
from trajectories.formats.settings import FormatSettings

__all__ = ["FORMAT"]

SCHEMA = pa.schema(
    {
        "prompt": pa.list_(pa.json_()),
        "tools": pa.list_(pa.json_()),
        "task_id": pa.string(),
        "world": pa.string(),
        "task": pa.json_(),
    }
)


def _make(group: Group, settings: FormatSettings) -> Made:
    row = group.rows[0]
    made = {"prompt": opening(row["messages"]), "tools": row["tools"], "task_id": row["task_id"]}
    return Made(rows=[{**made, "world": row["world"], "task": group.task}])


FORMAT = Format(
    name="trl_prompt",
    make=_make,
    columns=("task_id", "messages", "tools", "world"),
    typed=SCHEMA,
    per="task",
    needs_task=True,
)
