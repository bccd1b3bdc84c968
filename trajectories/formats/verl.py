"""verl's rows: what `RLHFDataset` and the tool agent loop read.

``data_source``, ``prompt``, ``ability``, ``reward_model`` (``style``, ``ground_truth``) and ``extra_info`` are the five
fields of verl's *Prepare Data for Post-Training*; ``agent_name`` is what its *Agentic RL Training* asks for; ``split``,
``index``, ``need_tools_kwargs``, ``tools_kwargs[tool].create_kwargs`` and ``interaction_kwargs`` stand in
``extra_info`` as in its example ``gsm8k_tool_agent_loop``. One row a task.

The ground truth is the task as JSON text. A tool's ``create_kwargs`` say which world to open. As an Arrow struct
``tools_kwargs`` would have every tool of the data set in every row, null where it is not meant; so ``extra_info`` is a
JSON column, and with ``json=text``, where it is a struct, ``need_tools_kwargs`` is false and ``tools_kwargs`` absent.
"""

import json
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from trajectories.formats.format import Format, Group, Made, Row, UnsayableError
from trajectories.formats.prompts import plain_opening
from trajectories.formats.settings import FormatSettings
from trajectories.json_text import plain_json_text

__all__ = ["FORMAT", "PROMPT", "data_source", "domain_of", "ground_truth", "text_prompt", "tools_text"]

PROMPT = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
_PLAIN_INFO = pa.struct(
    {
        "split": pa.string(),
        "index": pa.int64(),
        "task_id": pa.string(),
        "world": pa.string(),
        "need_tools_kwargs": pa.bool_(),
        "tools": pa.string(),
    }
)


def _schema(extra_info: pa.DataType) -> pa.Schema:
    return pa.schema(
        {
            "data_source": pa.string(),
            "agent_name": pa.string(),
            "prompt": PROMPT,
            "ability": pa.string(),
            "reward_model": pa.struct({"style": pa.string(), "ground_truth": pa.string()}),
            "extra_info": extra_info,
        }
    )


def domain_of(group: Group) -> str:
    """The domain of the group's task."""
    return str((group.task or {}).get("domain") or "tool_use")


def data_source(group: Group, settings: FormatSettings) -> str:
    """``orrery/order_desk``, where a world that is a file goes by its name; of other domains than tool_use, ``orrery/maths``."""
    domain = domain_of(group)
    return f"{settings.data_source}/{PurePath(group.rows[0]['world']).stem if domain == 'tool_use' else domain}"


def ground_truth(group: Group) -> str:
    """The task as JSON text: ``from_row(Task, json.loads(text))``."""
    return plain_json_text(group.task)


def text_prompt(row: Row) -> list[dict[str, str]]:
    """The prompt, for `PROMPT`.

    Raises:
        UnsayableError: as `plain_opening`, or no column of text can hold a message.
    """
    prompt = plain_opening(row["messages"])
    for message in prompt:
        try:
            message["content"].encode()
        except UnicodeEncodeError as error:
            raise UnsayableError(f"a {message['role']} message of the prompt holds half of a surrogate pair") from error
    return prompt


def tools_text(group: Group) -> str:
    """The tools list as one JSON text."""
    return f"[{','.join(group.rows[0]['tools'])}]"


def _make(group: Group, settings: FormatSettings) -> Made:
    row = group.rows[0]
    prompt = text_prompt(row)
    info: dict[str, Any] = {
        "split": group.split,
        "index": group.number,
        "task_id": row["task_id"],
        "world": row["world"],
        "need_tools_kwargs": not group.plain,
        "tools": tools_text(group),
    }
    if not group.plain:
        info["tools_kwargs"] = _tools_kwargs(group)
    if settings.verl.interaction is not None and not group.plain:
        info["interaction_kwargs"] = {
            "name": settings.verl.interaction,
            "query": prompt[-1]["content"],
            "ground_truth": ground_truth(group),
        }
    return Made(
        rows=[
            {
                "data_source": data_source(group, settings),
                "agent_name": settings.verl.agent_name,
                "prompt": prompt,
                "ability": domain_of(group),
                "reward_model": {"style": "rule", "ground_truth": ground_truth(group)},
                "extra_info": info,
            }
        ]
    )


def _tools_kwargs(group: Group) -> dict[str, Any]:
    assert group.task is not None
    task = group.task
    arguments = {"world": task["world"], "seed": task["seed"], "initialise": task["gold"]["initialise"]}
    names = [json.loads(tool)["function"]["name"] for tool in group.rows[0]["tools"]]
    return {name: {"create_kwargs": arguments} for name in names}


FORMAT = Format(
    name="verl",
    make=_make,
    columns=("task_id", "messages", "tools", "world"),
    typed=_schema(pa.json_()),
    text=_schema(_PLAIN_INFO),
    per="task",
    needs_task=True,
)
