"""The order in which wishes are told and done: in the opening, or as follow-ups once the agent has handed over.

What was done is told to the user each time, so the oracle's words after each part say what they must about that part.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from simulators.tasks import wording
from simulators.tasks.draft import SubGoal
from trajectories.tasks import Checkpoint, GoldCall, Ledger, Persona

__all__ = ["Script", "arrange"]

_MEANING = {
    "act": "to be done", "refuse": "to be declined", "keep": "not confirmed when asked", "lookup": "to be answered",
    "branch": "one or the other, by what is so", "reach": "by the steps that lead there",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Script:
    """A dialogue's plan."""

    ledger: Ledger
    calls: tuple[GoldCall, ...]
    reply: str
    """The last words of the oracle."""
    checkpoints: tuple[Checkpoint, ...]
    """In the order of the calls that reach them."""


def arrange(goals: Sequence[SubGoal], later: Sequence[bool], persona: Persona, rng: random.Random) -> Script:
    """Opening and follow-ups of these sub-goals.

    Args:
        later: which of them the user mentions only when those before are done; never the first.
    """
    style, language = persona.style, persona.language
    first = [goal for goal, waits in zip(goals, later, strict=True) if not waits]
    rest = [goal for goal, waits in zip(goals, later, strict=True) if waits]
    opening = wording.opening([(_form(goal), goal.request) for goal in first], style, rng, language)
    calls = [call for goal in first for call in goal.calls]
    reply = " ".join(dict.fromkeys(goal.reply for goal in first))
    checkpoints = [checkpoint for goal in first for checkpoint in goal.checkpoints]
    words: list[str] = []
    for goal in rest:
        words.append(wording.follow_up(_form(goal), goal.request, rng, style, language))
        calls += [GoldCall(None, say=reply), *goal.calls]
        checkpoints += goal.checkpoints
        reply = goal.reply
    changes = [goal.change for goal in (*first, *rest) if goal.change is not None]
    for number, change in enumerate(changes, start=len(goals) + 1):
        words.append(change.words)
        calls += [GoldCall(None, say=reply), change.call]
        checkpoints.append(Checkpoint(f"changed_{number}", None, change.before, said=change.words))
        reply = wording.reply("act", language)
    facts = tuple(fact for goal in goals for fact in goal.facts)
    return Script(Ledger(opening, facts, _goal_text(goals), tuple(words)), tuple(calls), reply, tuple(checkpoints))


def _form(goal: SubGoal) -> wording.Form:
    return "question" if goal.verdict == "lookup" else "branch" if goal.verdict == "branch" else "request"


def _goal_text(goals: Sequence[SubGoal]) -> str:
    told = [f"{goal.request} ({goal.entity} {goal.key}, {_MEANING[goal.verdict]})" for goal in goals]
    changes = [goal.change.words for goal in goals if goal.change is not None]
    return "; ".join([*told, *changes])
