"""TRL's conversational language modeling type: ``messages`` and ``tools``, for `SFTTrainer`.

Columns as in TRL's *Dataset formats and types* (``messages``; ``tools``: "list of available tools", JSON schemas;
``tool_calls[].function.arguments`` an object). Both are JSON columns, because Arrow structs would fill the keys that a
tool does not have with null. Content is text in every message, never null: an assistant message that only calls has "".
"""

import pyarrow as pa

from trajectories.formats.arguments import with_object_arguments
from trajectories.formats.format import Format, Group, Made
from trajectories.formats.settings import FormatSettings

__all__ = ["FORMAT"]

SCHEMA = pa.schema(
    {"id": pa.string(), "task_id": pa.string(), "messages": pa.list_(pa.json_()), "tools": pa.list_(pa.json_())}
)


def _make(group: Group, settings: FormatSettings) -> Made:
    (row,) = group.rows
    messages = with_object_arguments(row["messages"], settings.arguments)
    return Made(rows=[{"id": row["id"], "task_id": row["task_id"], "messages": messages, "tools": row["tools"]}])


FORMAT = Format(
    name="trl_sft", make=_make, columns=("id", "task_id", "messages", "tools"), typed=SCHEMA, keep="passes"
)
