"""Agents that follow a plan, and the oracle, whose plan is the task's gold.

An agent here is a pure function of the dialogue so far: which turn comes next follows from how many turns there were,
so a dialogue can be cut and continued anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from simulators.tasks import wording
from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolCall
from trajectories.tasks import GoldCall, Task

__all__ = ["Agent", "OracleAgent", "Plan", "PlannedAgent", "calling", "spoken_words"]


class Agent(Protocol):
    """Whoever plays the assistant."""

    def act(self, messages: Sequence[Message]) -> Message:
        """The next assistant message, given the dialogue so far (system prompt included)."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, turn by turn, and what to say at the end."""

    turns: tuple[tuple[GoldCall, ...], ...]
    """Each is one assistant message: tool calls made at once, or one question to the user."""
    reply: str

    @staticmethod
    def one_by_one(calls: Sequence[GoldCall], reply: str) -> "Plan":
        return Plan(tuple((call,) for call in calls), reply)


class PlannedAgent:
    """Does one turn of its plan after the other, then says the reply, again and again if it must."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def act(self, messages: Sequence[Message]) -> Message:
        turn = sum(message.role == "assistant" for message in messages)
        if turn >= len(self.plan.turns):
            return Message("assistant", self.plan.reply)
        calls = self.plan.turns[turn]
        return Message("assistant", words) if (words := spoken_words(calls)) is not None else calling(calls, messages)


class OracleAgent(PlannedAgent):
    """Does what the task's gold says: one act a turn, then the gold's reply."""

    def __init__(self, task: Task) -> None:
        super().__init__(Plan.one_by_one(task.gold.calls, task.gold.reply))


def spoken_words(calls: Sequence[GoldCall]) -> str | None:
    """What a turn says to the user; None where it calls tools."""
    if not calls or calls[0].tool is not None:
        return None
    first = calls[0]
    return wording.reply("ask", slot=first.ask) if first.say is None and first.ask is not None else first.say


def calling(calls: Sequence[GoldCall], messages: Sequence[Message]) -> Message:
    """A message with these tool calls; ids are ``functions.{name}:{index}``, the index counted over the dialogue."""
    start = sum(len(message.tool_calls) for message in messages)
    made = (
        ToolCall(f"functions.{call.tool}:{start + offset}", call.tool or "", canonical_json(dict(call.arguments)))
        for offset, call in enumerate(calls)
    )
    return Message("assistant", tool_calls=tuple(made))
