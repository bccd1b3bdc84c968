"""SkyRL's rows: ``data_source``, ``prompt``, ``env_class``, ``reward_spec`` (``method``, ``ground_truth``) and
``extra_info``, as its *Dataset Preparation* has them. One row a task; the ground truth is the task as JSON text.

``reward_spec.method`` is ``rule``: the environment computes the reward from the ground truth. All columns are plain
Arrow types, which every version of `datasets` reads.
"""

import pyarrow as pa

from trajectories.formats.format import Format, Group, Made
from trajectories.formats.settings import FormatSettings
from trajectories.formats.verl import PROMPT, data_source, ground_truth, text_prompt, tools_text

__all__ = ["FORMAT"]

SCHEMA = pa.schema(
    {
        "data_source": pa.string(),
        "prompt": PROMPT,
        "env_class": pa.string(),
        "reward_spec": pa.struct({"method": pa.string(), "ground_truth": pa.string()}),
        "extra_info": pa.struct(
            {
                "split": pa.string(),
                "index": pa.int64(),
                "task_id": pa.string(),
                "world": pa.string(),
                "tools": pa.string(),
            }
        ),
    }
)


def _make(group: Group, settings: FormatSettings) -> Made:
    row = group.rows[0]
    return Made(
        rows=[
            {
                "data_source": data_source(group, settings),
                "prompt": text_prompt(row),
                "env_class": settings.skyrl.env_class,
                "reward_spec": {"method": "rule", "ground_truth": ground_truth(group)},
                "extra_info": {
                    "split": group.split,
                    "index": group.number,
                    "task_id": row["task_id"],
                    "world": row["world"],
                    "tools": tools_text(group),
                },
            }
        ]
    )


FORMAT = Format(
    name="skyrl",
    make=_make,
    columns=("task_id", "messages", "tools", "world"),
    typed=None,
    text=SCHEMA,
    per="task",
    needs_task=True,
)
