"""Judges replies against every constraint of their turn, the facts they were to give, and the ways to cheat.

Kinds of constraints follow IFEval (arXiv 2311.07911) and its successors; a task passes only as a whole. Where the user came back
with a follow-up, each reply is judged by what held when it was written.
"""

from collections.abc import Mapping
from typing import Any, Final

from rewards.verifiers.instructions.contents import CONTENTS
from rewards.verifiers.instructions.facts import facts, left_out
from rewards.verifiers.instructions.formats import FORMATS
from rewards.verifiers.instructions.hacks import hacks
from rewards.verifiers.instructions.reading import read
from rewards.verifiers.judging import judged
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["CHECKS", "MOST_CHARACTERS", "InstructionsVerifier", "reply_components"]

CHECKS: Final = {**FORMATS, **CONTENTS}
"""By kind: from a reply and the constraint's parameters to whether it holds."""

MOST_CHARACTERS: Final = 20_000
"""Of a reply; nothing asks for a tenth of it. A longer one fails unread."""


class InstructionsVerifier:
    """The verifier of domain ``instructions``."""

    version: int = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        """1.0 where every component of every turn is 1.0.

        Components: ``turns`` (a reply to each turn), and for each turn those of `reply_components`; those of a turn before the
        last begin with ``turn1:``.
        """
        key = task.key or {}

        def components(reply: str) -> Mapping[str, float]:
            replies = [item.content for item in outcome.messages if item.role == "assistant" and not item.tool_calls]
            turns = key["turns"]
            found = {"turns": float(len(replies) == len(turns))}
            if not found["turns"]:
                return found
            for number, (text, turn) in enumerate(zip((*replies[:-1], reply), turns, strict=True), 1):
                before = "" if number == len(turns) else f"turn{number}:"
                found |= {before + name: float(value) for name, value in reply_components(text, turn, key).items()}
            return found

        return judged(outcome, components, grader=f"instructions/{self.version}")


def reply_components(text: str, turn: Mapping[str, Any], key: Mapping[str, Any]) -> dict[str, bool]:
    """Of one reply: ``size``, ``json`` where it does not parse, the facts, each constraint by its kind, and the hack checks.

    Args:
        turn: ``name, facts, left_out, constraints, words, quotes``.
        key: ``language`` of the reply and ``request``.
    """
    if not 0 < len(text.strip()) <= MOST_CHARACTERS:
        return {"size": False}
    as_json = any(asked["kind"] == "json" for asked in turn["constraints"])
    try:
        reply = read(text, key["language"], as_json=as_json)
    except ValueError:
        return {"size": True, "json": False}
    found = {"size": True, **facts(reply, turn), "left_out": left_out(reply, turn)}
    for asked in turn["constraints"]:
        found[asked["kind"]] = CHECKS[asked["kind"]](reply, asked)
    return found | hacks(reply, turn, key["request"])
