"""Trajectories and tasks as rows of a Parquet data set: lossless, and readable by `datasets` and TRL as they are.

``messages`` and ``tools`` are lists in OpenAI's chat shapes. What we wrote ourselves is a JSON column; the outcome is
JSON text in a string column, because it holds what a policy wrote (integers of any size, lone surrogates) and no row
may be unreadable for that.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, overload

import pyarrow as pa

from trajectories.json_text import CodecError, plain_json_text
from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Outcome
from trajectories.records import from_json, to_json
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import SCHEMA_VERSION, Provenance, Segment, Trajectory, Verdict

__all__ = ["TASK_SCHEMA", "TRAJECTORY_SCHEMA", "CodecError", "from_row", "to_row"]

_SEGMENT = pa.struct(
    {
        "origin": pa.string(),
        "token_ids": pa.list_(pa.int32()),
        "log_probs": pa.list_(pa.float64()),
        "sampling": pa.struct(
            {
                "temperature": pa.float64(),
                "top_p": pa.float64(),
                "top_k": pa.int32(),
                "seed": pa.int64(),
                "grammar": pa.string(),
            }
        ),
        "policy_version": pa.int32(),
        "stale_cache_version": pa.int32(),
    }
)

_VERDICT = pa.struct({name: pa.string() for name in ("judge", "criterion", "verdict", "reasons", "evidence")})

TRAJECTORY_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "task_id": pa.string(),
        "rollout": pa.int32(),
        "branch": pa.int32(),
        "seed": pa.int64(),
        "messages": pa.list_(pa.json_()),
        "tools": pa.list_(pa.json_()),
        "tool_extras": pa.json_(),
        "segments": pa.list_(_SEGMENT),
        "outcome": pa.string(),
        "reward": pa.float64(),
        "reward_valid": pa.bool_(),
        "reward_detail": pa.string(),
        "verdicts": pa.list_(_VERDICT),
        "world": pa.string(),
        "world_fingerprint": pa.string(),
        "tool_fingerprints": pa.list_(pa.string()),
        "certificate": pa.json_(),
        "run_seed": pa.int64(),
        "parents": pa.list_(pa.string()),
        "models": pa.json_(),
        "licence": pa.string(),
        "metadata": pa.json_(),
        "schema_version": pa.int32(),
    }
)
"""Columns of a trajectory. `tool_extras` holds what MCP says of each tool beyond OpenAI's shape (null where nothing);
`reward` is null where there is no verdict, and `reward_valid` is null where nobody has judged yet."""

TASK_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "world": pa.string(),
        "seed": pa.int64(),
        "split": pa.string(),
        "difficulty": pa.int32(),
        "tags": pa.list_(pa.string()),
        "persona": pa.json_(),
        "ledger": pa.json_(),
        "rubric": pa.json_(),
        "gold": pa.json_(),
        "certificate": pa.json_(),
        "agent": pa.json_(),
        "domain": pa.string(),
        "key": pa.json_(),
    }
)


@overload
def to_row(record: Trajectory) -> dict[str, Any]: ...
@overload
def to_row(record: Task) -> dict[str, Any]: ...
def to_row(record: Trajectory | Task) -> dict[str, Any]:
    """The row of a record, with the columns of `TRAJECTORY_SCHEMA` or `TASK_SCHEMA`.

    Raises:
        CodecError: a field holds something that is not a JSON value (a tuple in metadata, say).
    """
    if isinstance(record, Trajectory):
        return _trajectory_row(record)
    if isinstance(record, Task):
        return to_json(record)
    raise TypeError(f"{type(record).__name__} has no row; Trajectory and Task have")


@overload
def from_row(kind: type[Trajectory], row: Mapping[str, Any]) -> Trajectory: ...
@overload
def from_row(kind: type[Task], row: Mapping[str, Any]) -> Task: ...
def from_row(kind: type[Trajectory] | type[Task], row: Mapping[str, Any]) -> Trajectory | Task:
    """The record that `to_row` made `row` from; columns that the record does not have are an error.

    Raises:
        CodecError: a missing, unknown or misshapen column.
    """
    if kind is Trajectory:
        return _trajectory(row)
    if kind is Task:
        return from_json(kind, row)
    raise TypeError(f"{kind.__name__} has no row; Trajectory and Task have")


def _trajectory_row(trajectory: Trajectory) -> dict[str, Any]:
    reward = trajectory.reward
    extras = [_extras(tool) for tool in trajectory.tools]
    outcome = None if trajectory.outcome is None else plain_json_text(to_json(trajectory.outcome), "outcome")
    detail = (
        None
        if reward is None
        else plain_json_text({"cause": reward.cause, "components": dict(reward.components), "grader": reward.grader}, "reward")
    )
    return {
        "id": trajectory.id,
        "task_id": trajectory.task_id,
        "rollout": trajectory.rollout,
        "branch": trajectory.branch,
        "seed": trajectory.seed,
        "messages": [message.to_openai() for message in trajectory.messages],
        "tools": [tool.to_openai() for tool in trajectory.tools],
        "tool_extras": extras if any(extras) else None,
        "segments": [to_json(segment) for segment in trajectory.segments],
        "outcome": outcome,
        "reward": None if reward is None else reward.value,
        "reward_valid": None if reward is None else reward.valid,
        "reward_detail": detail,
        "verdicts": [to_json(verdict) for verdict in trajectory.verdicts],
        **to_json(trajectory.provenance),
        "metadata": dict(trajectory.metadata),
        "schema_version": SCHEMA_VERSION,
    }


def _trajectory(row: Mapping[str, Any]) -> Trajectory:
    if row.keys() != set(TRAJECTORY_SCHEMA.names):
        missing, unknown = (
            sorted(set(TRAJECTORY_SCHEMA.names) - row.keys()),
            sorted(row.keys() - set(TRAJECTORY_SCHEMA.names)),
        )
        raise CodecError(f"Trajectory: columns missing {missing}, unknown {unknown}")
    if row["schema_version"] != SCHEMA_VERSION:
        raise CodecError(f"Trajectory: schema_version is {row['schema_version']}; this code reads {SCHEMA_VERSION}")
    extras = row["tool_extras"] or [{}] * len(row["tools"])
    return Trajectory(
        id=row["id"],
        task_id=row["task_id"],
        rollout=row["rollout"],
        branch=row["branch"],
        seed=row["seed"],
        segments=tuple(from_json(Segment, segment) for segment in row["segments"]),
        messages=tuple(Message.from_openai(message) for message in row["messages"]),
        tools=tuple(_tool(tool["function"], extra) for tool, extra in zip(row["tools"], extras, strict=True)),
        outcome=None if row["outcome"] is None else from_json(Outcome, json.loads(row["outcome"])),
        reward=_reward(row),
        verdicts=tuple(from_json(Verdict, verdict) for verdict in row["verdicts"]),
        provenance=from_json(Provenance, {item.name: row[item.name] for item in fields(Provenance)}),
        metadata=row["metadata"],
    )


def _extras(tool: ToolSpec) -> dict[str, Any]:
    return {key: value for key in ("title", "outputSchema", "annotations") if (value := getattr(tool, key)) is not None}


def _tool(function: dict[str, Any], extra: dict[str, Any]) -> ToolSpec:
    return ToolSpec(
        name=function["name"], description=function["description"], inputSchema=function["parameters"], **extra
    )


def _reward(row: Mapping[str, Any]) -> Reward | None:
    if row["reward_valid"] is None:
        return None
    return Reward(value=row["reward"], valid=row["reward_valid"], **json.loads(row["reward_detail"]))
