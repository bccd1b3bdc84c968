"""NeMo Gym's lines: ``responses_create_params`` with ``input`` and ``tools``, beside the fields of its verifier.

As in NeMo Gym's *Prepare and Validate Data*; the parameters follow the OpenAI Responses API, whose function tools are
flat (``type``, ``name``, ``description``, ``parameters``, ``strict``). One line a task. ``verifier_metadata`` holds the
task; ``agent_ref`` is written where the agent server is named, and else added by NeMo Gym's own data preparation.
"""

import json
from typing import Any

from trajectories.formats.format import Format, Group, Made
from trajectories.formats.prompts import plain_opening
from trajectories.formats.settings import FormatSettings

__all__ = ["FORMAT"]


def _make(group: Group, settings: FormatSettings) -> Made:
    row = group.rows[0]
    line: dict[str, Any] = {
        "responses_create_params": {
            "input": plain_opening(row["messages"]),
            "tools": [_flat(json.loads(text)) for text in row["tools"]],
        },
        "verifier_metadata": {"task_id": row["task_id"], "world": row["world"], "task": group.task},
    }
    if settings.nemo_gym.agent is not None:
        line["agent_ref"] = {"type": "responses_api_agents", "name": settings.nemo_gym.agent}
    return Made(rows=[line])


def _flat(tool: dict[str, Any]) -> dict[str, Any]:
    # Not strict: strict schemas are a subset of JSON Schema that tools of the world need not keep to.
    return {"type": "function", **tool["function"], "strict": False}


FORMAT = Format(
    name="nemo_gym",
    make=_make,
    columns=("task_id", "messages", "tools", "world"),
    typed=None,
    per="task",
    needs_task=True,
)
