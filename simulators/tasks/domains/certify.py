"""Certification of drafted tasks: the oracle passes, every cheat fails, and the reply cannot be read off the prompt's end.

Everybody plays in the real environment with the real tools; the verifier is handed in, so that simulators and rewards stay
apart.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from simulators.playable import Playable
from simulators.tasks.agents import play
from simulators.tasks.domains.common_cheats import common_cheats
from simulators.tasks.oracle import OracleAgent, Plan, PlannedAgent
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Certificate, Task

__all__ = ["MAX_TURNS", "certify_drafted", "cheating_plans"]

MAX_TURNS = 24
"""Of a certifying episode: the oracle's calls, and as many messages as its user has wishes."""

Verify = Callable[[Task, Outcome], Reward]


def certify_drafted(task: Task, world: Playable, cheats: Mapping[str, str | Plan], verify: Verify) -> Task:
    """`task` with its certificate: ``certified`` only where the oracle has reward 1.0 and every cheat 0.0.

    A reward that is not valid certifies nothing. Reasons begin with ``oracle`` or the cheat's name.

    Args:
        cheats: the draft's own, by name; on top come those of `common_cheats`.
    """
    oracle = verify(task, _played(task, world, OracleAgent(task)))
    reasons = [] if oracle.value == 1.0 else [f"oracle: {oracle.cause or oracle.value}"]
    scores: dict[str, float] = {}
    for name, plan in cheating_plans(task, cheats):
        reward = verify(task, _played(task, world, PlannedAgent(plan)))
        scores[name] = 1.0 if reward.value is None else reward.value
        if reward.value != 0.0:
            reasons.append(f"{name}: {reward.cause or reward.value}")
    certificate = Certificate(oracle.value or 0.0, scores, not reasons, tuple(reasons))
    return replace(task, certificate=certificate)


def cheating_plans(task: Task, cheats: Mapping[str, str | Plan]) -> Iterator[tuple[str, Plan]]:
    """Every cheat that the task is tried with, by name. A reply stands for itself, said without any tool call."""
    yield from common_cheats(task)
    for name, cheat in cheats.items():
        yield name, Plan((), cheat) if isinstance(cheat, str) else cheat


def _played(task: Task, world: Playable, agent: PlannedAgent) -> Outcome:
    return play(task, world, agent, task.seed, max_turns=MAX_TURNS)[2]
