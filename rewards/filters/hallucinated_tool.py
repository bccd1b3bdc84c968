"""Calls of tools that the assistant was not given."""

from rewards.filters.config import FilterConfig
from rewards.filters.finding import Finding, calls
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["hallucinated_tool"]


def hallucinated_tool(trajectory: Trajectory, task: Task | None, config: FilterConfig) -> Finding | None:
    declared = {tool.name for tool in trajectory.tools}
    for where, call in calls(trajectory):
        if call.name not in declared:
            return Finding(where, "no such tool was declared", call.name)
    return None
