"""Small data sets to export: real dialogues with several rollouts a task, and rows with tools of anybody's making."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rewards.verifiers import verifier_for
from simulators.synthesis import ScriptedPolicy, demonstrate
from simulators.tasks.stream import TaskStream
from trajectories import shards
from trajectories.codec import TASK_SCHEMA, to_row
from trajectories.formats import Group
from trajectories.json_text import JsonText, json_text
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Provenance, Trajectory

TEACHER = ScriptedPolicy("teacher", competence=0.6)


@lru_cache(maxsize=4)
def played(tasks: int, rollouts: int) -> tuple[tuple[Task, ...], tuple[Trajectory, ...]]:
    """Tasks, and their judged dialogues: the rollouts of a task side by side."""
    verify = verifier_for("tool_use").verify
    stream = TaskStream(worlds=("order_desk", "travel"))
    made, dialogues = [], []
    for number in range(tasks):
        task = stream.task(number, run_seed=0, split="train", verify=verify)
        made.append(task)
        for rollout in range(rollouts):
            dialogue = demonstrate(task, TEACHER, run_seed=0, rollout=rollout)
            assert dialogue.outcome is not None
            judged = verify(task, dialogue.outcome)
            about = replace(dialogue.provenance, licence="Apache-2.0")
            dialogues.append(replace(dialogue, reward=judged, provenance=about))
    return tuple(made), tuple(dialogues)


def write(
    directory: Path,
    dialogues: Iterable[Trajectory],
    tasks: Iterable[Task] = (),
    *,
    split: str = "train",
    rows_per_shard: int = 1000,
) -> Path:
    """A data set as `orrery synthesize` leaves it."""
    shards.write(map(to_row, dialogues), directory, split=split, rows_per_shard=rows_per_shard)
    if tasks := list(tasks):
        shards.write(map(to_row, tasks), directory / "tasks", schema=TASK_SCHEMA, split=split, rows_per_shard=rows_per_shard)
    return directory


def dialogue(
    *turns: Message, tools: Iterable[ToolSpec] = (), passed: bool | None = True, number: int = 0, task: str = "task"
) -> Trajectory:
    """A row of one's own; `passed` None for a fault."""
    reward = Reward.invalid("the tool broke") if passed is None else Reward(float(passed), components={"pass": float(passed)})
    return Trajectory(
        id=f"{task}-{number}",
        task_id=task,
        rollout=number,
        messages=turns,
        tools=tuple(tools),
        reward=reward,
        provenance=Provenance(world="order_desk", licence="Apache-2.0"),
    )


def call(arguments: str, name: str = "get_order", index: int = 0, content: str = "") -> Message:
    return Message("assistant", content, (ToolCall(f"functions.{name}:{index}", name, arguments),))


def answer(content: str, name: str = "get_order", index: int = 0) -> Message:
    return Message("tool", content, tool_call_id=f"functions.{name}:{index}", name=name)


def group(*dialogues: Trajectory, task: Mapping[str, Any] | None = None, plain: bool = False) -> Group:
    """As the exporter hands them over: messages and tools unread."""
    rows = [to_row(item) for item in dialogues]
    for row in rows:
        for name in ("messages", "tools"):
            row[name] = [JsonText(json_text(value)) for value in row[name]]
    return Group(rows, 0, "train", task, plain)
