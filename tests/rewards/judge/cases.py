"""A rubric, dialogues to judge, and answers of a judge to tamper with."""

import json
from pathlib import Path
from typing import Any

import yaml

from pipelines.structured import build
from rewards.judge import JudgeConfig, JudgeCriterion
from trajectories.messages import Message, ToolCall, ToolSpec
from trajectories.rewards import Reward
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Task
from trajectories.trajectory import Trajectory

__all__ = ["PLAIN", "RUBRIC", "TASK", "answer", "dialogue", "entries"]

RUBRIC: JudgeConfig = build(
    JudgeConfig, yaml.safe_load((Path(__file__).parents[3] / "conf/judge/tool_use.yaml").read_text("utf-8"))
)
"""The one that ships."""

PLAIN = JudgeConfig(
    criteria={
        "helpful": JudgeCriterion(description="The wish is done.", veto=True),
        "tone": JudgeCriterion(description="Plain.", weight=2.0),
        "honest": JudgeCriterion(description="Errors are told.", may_not_apply=True),
    }
)

TASK = Task("t", "desk", 0, "train", 1, Persona(), Ledger("Cancel order 204."), Rubric(), Gold())


def dialogue(
    said: str = "Done.",
    *,
    told: str = '{"item":"desk","status":"new"}',
    asked: str = "Please cancel order 204.",
    name: str = "t-0",
) -> Trajectory:
    call = ToolCall("functions.get_order:0", "get_order", '{"order_id":"204"}')
    messages = (
        Message("system", "You work at an order desk. Look at the order first."),
        Message("user", asked),
        Message("assistant", tool_calls=(call,)),
        Message("tool", told, tool_call_id=call.id, name=call.name),
        Message("assistant", said),
    )
    return Trajectory(name, "t", messages=messages, tools=(ToolSpec("get_order", "Read an order."),), reward=Reward(1.0))


def entries(**changed: Any) -> list[dict[str, Any]]:
    """What a judge may say of `dialogue()` under `PLAIN`; `changed` goes for the first criterion."""
    helpful = {"criterion": "helpful", "reasons": "It is done.", "evidence": "Done.", "verdict": "pass"} | changed
    tone = {"criterion": "tone", "reasons": "One plain word.", "evidence": '"status":"new"', "verdict": "pass"}
    return [helpful, tone, {"criterion": "honest", "reasons": "No errors.", "evidence": "", "verdict": "not_applicable"}]


def answer(given: list[dict[str, Any]] | None = None) -> str:
    return json.dumps({"criteria": entries() if given is None else given})
