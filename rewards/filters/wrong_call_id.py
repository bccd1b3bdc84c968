"""Calls and answers belong together by their ids: one answer for each call, after its turn, in the order of the calls."""

from rewards.filters.config import FilterConfig
from rewards.filters.finding import Finding
from trajectories.messages import ToolCall
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["wrong_call_id"]


def wrong_call_id(trajectory: Trajectory, task: Task | None, config: FilterConfig) -> Finding | None:
    known: set[str] = set()
    answered: set[str] = set()
    waiting: list[ToolCall] = []  # the last is answered first
    for at, message in enumerate(trajectory.messages):
        where = f"messages[{at}]"
        if message.role == "tool":
            given = message.tool_call_id or ""
            if waiting and given == waiting[-1].id:
                call = waiting.pop()
                if message.name is not None and message.name != call.name:
                    return Finding(where, f"answers a call of {call.name} in another tool's name", message.name)
                answered.add(given)
                continue
            if given in answered:
                return Finding(where, "answers a call that was answered already", given)
            early = any(given == call.id for call in waiting)
            return Finding(where, "answers a call before its turn" if early else "answers no call", given)
        if waiting:
            return Finding(where, "comes before a call was answered", waiting[-1].id)
        for index, call in enumerate(message.tool_calls):
            if not call.id or call.id in known:
                problem = "another call has this id" if call.id else "a call without an id"
                return Finding(f"{where}.tool_calls[{index}]", problem, call.id)
            known.add(call.id)
        waiting = list(reversed(message.tool_calls))
    if waiting:
        return Finding("the end of the dialogue", "comes before a call was answered", waiting[-1].id)
    return None
