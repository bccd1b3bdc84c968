"""How hard a task is, counted: what there is to do, to ask, to listen to, and to choose from.

Nothing is weighed here. What the counts are worth is for pass rates to say.
"""

from dataclasses import dataclass

from simulators.tasks.equipping import nearness, needed_tools
from simulators.worlds import WorldSpec
from trajectories.tasks import Task

__all__ = ["Difficulty", "count_difficulty"]

NEAR = 1.0
"""Nearness from which a distractor is about what the task is about."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Counts of one task."""

    sub_goals: int
    calls: int
    """Tool calls of the gold, refusals among them."""
    changes: int
    """Records that the gold leaves different."""
    user_turns: int
    """Messages of the user that the gold hears, the opening among them."""
    withheld: int
    """Facts that the user says only when asked, confirmations among them."""
    slips: int
    """Wrong answers that the user gives first."""
    tools: int
    """Tools that the assistant has."""
    distractors: int
    """Those of them that the task does not need (see `needed_tools`)."""
    near_distractors: int
    """Those of these that are about a record the needed ones are about, or take one."""


def count_difficulty(task: Task, world: WorldSpec) -> Difficulty:
    """The counts of `task`, a function of its arguments; faults of tools are an episode's, and stand in its outcome."""
    needed = needed_tools(task, world)
    tools = tuple(world.operations) if task.agent is None else task.agent.tools
    distractors = [name for name in tools if name not in needed]
    calls, facts = task.gold.calls, task.ledger.facts
    return Difficulty(
        sub_goals=task.difficulty,
        calls=sum(call.tool is not None for call in calls),
        changes=len(task.gold.changes),
        user_turns=1 + sum(call.tool is None for call in calls),
        withheld=len(facts),
        slips=sum(len(fact.slips) for fact in facts),
        tools=len(tools),
        distractors=len(distractors),
        near_distractors=sum(nearness(world, name, needed) >= NEAR for name in distractors),
    )
