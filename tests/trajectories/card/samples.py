"""Small data sets whose every figure is known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from trajectories import shards
from trajectories.codec import TASK_SCHEMA, to_row
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.outcomes import CallRecord, Fault, Outcome, ToolTrouble
from trajectories.rewards import Reward
from trajectories.tasks import Certificate, Gold, Ledger, Persona, Rubric, Task
from trajectories.trajectory import Provenance, Segment, Trajectory

GROWN = "runs/7/worlds/healthcare/hospital_wards.json"
TOOLS = tuple(ToolSpec(name, f"Does {name}.") for name in ("look", "act", "decline"))
CERTIFICATE = Certificate(oracle=1.0, cheats={"null": 0.0, "echo": 0.0}, certified=True)


def trajectory(number: int, *, world: str = "order_desk", calls: tuple[str, ...] = ("look", "act"), **changes: Any) -> Trajectory:
    """A dialogue that passed: system prompt, one message of the user, each call with its answer, a last word."""
    messages = [Message("system", "Be quick."), Message("user", "Please do it.")]
    for index, name in enumerate(calls):
        call = ToolCall(f"functions.{name}:{index}", name, '{"id":1}')
        messages += [Message("assistant", "", (call,)), Message("tool", "{}", tool_call_id=call.id, name=name)]
    made = Trajectory(
        id=f"task{number}-0",
        task_id=f"task{number}",
        messages=(*messages, Message("assistant", "Done.")),
        tools=TOOLS,
        outcome=Outcome("completed", calls=tuple(CallRecord(name, {"id": 1}, False, "{}") for name in calls)),
        reward=Reward(1.0, components={"pass": 1.0}),
        provenance=Provenance(
            world=world, world_fingerprint=f"digest of {world}", certificate=CERTIFICATE, run_seed=7, licence="Apache-2.0"
        ),
        metadata={
            "difficulty": 1,
            "tags": ["act", "op:act"],
            "persona": "plain",
            "language": "en",
            "policy": "oracle",
            "competence": 1.0,
            "errors": [],
            "attribution": None,
        },
    )
    return replace(made, **changes)


def five() -> list[Trajectory]:
    """Two passes, a failure, a fault, and one that nobody judged; three worlds' names for two worlds."""
    passed = trajectory(0)
    failed = trajectory(
        1,
        calls=("look",),
        reward=Reward(0.0, components={"pass": 0.0}),
        metadata={**passed.metadata, "attribution": "agent", "language": "zh", "tags": ["refuse", "op:act"], "errors": ["wrong"]},
    )
    grown = trajectory(2, world=GROWN, segments=(Segment("context", (1, 2, 3)), Segment("policy", (4, 5), (-0.1, -0.2))))
    broken = trajectory(
        3,
        calls=("look", "unknown"),
        reward=Reward.invalid("a judge"),
        outcome=Outcome(
            "fault",
            calls=(CallRecord("look", {}, True, "late", ToolTrouble("timeout")), CallRecord("unknown", {}, True, "none")),
            faults=(Fault("judge", "no answer"),),
        ),
    )
    unjudged = trajectory(4, calls=(), reward=None, outcome=None)
    return [passed, failed, grown, broken, unjudged]


def task(number: int) -> Task:
    return Task(
        id=f"task{number}",
        world="order_desk",
        seed=number,
        split="train",
        difficulty=1,
        persona=Persona(),
        ledger=Ledger("Please do it.", goal=f"goal of task {number}"),
        rubric=Rubric(),
        gold=Gold(),
        certificate=CERTIFICATE,
        tags=("act",),
    )


def write(directory: Path, made: list[Trajectory], *, split: str = "train", tasks: int = 0) -> Path:
    shards.write(map(to_row, made), directory, rows_per_shard=2, split=split)
    if tasks:
        shards.write([to_row(task(number)) for number in range(tasks)], directory / "tasks", schema=TASK_SCHEMA, split=split)
    return directory
