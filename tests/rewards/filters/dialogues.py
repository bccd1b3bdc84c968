"""Dialogues of the shipped worlds as they ought to be: all families, personas, troubles and two languages."""

from dataclasses import replace
from functools import lru_cache

from rewards.verifiers import verifier_for
from simulators.stochastic import ToolTroubles
from simulators.synthesis import ScriptedPolicy, synthesize
from simulators.tasks.compose import FAMILIES
from simulators.tasks.equipping import AgentMix
from simulators.tasks.stream import TaskStream
from simulators.users.personas import PersonaMix
from simulators.users.voice import STYLES
from simulators.worlds import names
from trajectories.messages import Message
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["oracle_rows", "with_reply"]

PERSONAS = PersonaMix(styles=dict.fromkeys(STYLES, 1.0), languages={"en": 1.0, "zh": 1.0}, most_patience=2, error_prone=0.4)
TROUBLES = ToolTroubles.uniform(
    timeout=0.08, rate_limit=0.05, transient=0.05, malformed=0.05, slow=0.05, permanent=0.1, stale=0.05, partial=0.1,
    timeout_after_commit=0.08,
)  # fmt: skip


@lru_cache(maxsize=1)
def oracle_rows(count: int = 100) -> tuple[tuple[Task, Trajectory], ...]:
    verify = verifier_for("tool_use").verify
    rows = []
    for number in range(count):
        stream = TaskStream(
            tuple(names()), 1 + number % 3, FAMILIES, follow_ups=0.4, personas=PERSONAS, agents=AgentMix(share=0.5)
        )
        troubles = TROUBLES if number % 2 else None
        rows.append(synthesize(number, stream, ScriptedPolicy(), run_seed=5, split="train", verify=verify, troubles=troubles))
    return tuple(rows)


def with_reply(trajectory: Trajectory, text: str) -> Trajectory:
    """The dialogue with other last words of the assistant."""
    return replace(trajectory, messages=(*trajectory.messages[:-1], Message("assistant", text)))
