"""Certification: a task is used only when the oracle passes it and every cheat fails it, and the verdicts travel with
it.

The verifier is handed in, so that simulators and rewards stay apart. Cheats: those that leave out the looking
(`simulators.tasks.blind`), do nothing, echo, spray answers, drop arguments, always refuse, always act without looking, and
mutated oracles (wrong record, wrong action, missing sub-goal, no reading, extra acts) whose outcome really differs from the
oracle's. What the oracle could only do because it knows the gold, and what the agent is told that it should find out, no
agent can show; the task's texts are looked at for that (`simulators.tasks.leaks`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from simulators.tasks.agents import make_agent, play
from simulators.tasks.blind import blind_plans, idle_calls
from simulators.tasks.cheats import mutated_plans
from simulators.tasks.leaks import leaks, untold
from simulators.tasks.oracle import Agent, PlannedAgent
from simulators.worlds import WorldSpec
from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Certificate, Task

__all__ = ["CHEATS", "MAX_TURNS", "certify", "cheating_agents", "observed", "of_texts"]

CHEATS = ("null", "echo", "spray", "drop_arguments", "always_refuse", "always_act")
"""Cheats that every task is tried with, by their names as agents. On top come ``claim``, ``one_call`` and ``recite`` where
they apply, and mutated oracles as ``mutated_<name>``."""

MAX_TURNS = 48
"""Of a certifying episode: enough for three sub-goals of many steps with questions and follow-ups, and each act once more."""

Verify = Callable[[Task, Outcome], Reward]


def certify(task: Task, world: WorldSpec, verify: Verify) -> Task:
    """`task` with its certificate.

    The certificate is ``certified`` only when the oracle has reward 1.0, every cheat 0.0, and the texts give away neither
    too much nor too little; otherwise its reasons say what was not so. Each begins with one word: ``oracle``, the cheat's
    name, ``leak``, ``untold``, ``idle`` or ``form``. A broken environment or verifier certifies nothing.
    """
    messages, tools, best = play(task, world, make_agent("oracle", task, world), task.seed, max_turns=MAX_TURNS)
    oracle = verify(task, best)
    reasons = [] if oracle.value == 1.0 else [f"oracle: {oracle.cause or oracle.value}"]
    reasons += of_texts(task, world, messages, tools)
    cheats: dict[str, float] = {}
    honest = observed(best)
    try:
        for name, agent in cheating_agents(task, world, messages[:2]):
            outcome = _played(task, world, agent)
            if name.startswith("mutated_") and observed(outcome) == honest:
                continue
            reward = verify(task, outcome)
            cheats[name] = max(cheats.get(name, 0.0), reward.value if reward.value is not None else 1.0)
            if reward.value != 0.0:
                reasons.append(f"{name}: {reward.cause or reward.value}")
    except ValueError as error:  # the task has not the form that cheats need; what cannot be tried is not certified
        reasons.append(f"form: {error}")
    certificate = Certificate(oracle.value or 0.0, cheats, not reasons, tuple(dict.fromkeys(reasons)))
    return replace(task, certificate=certificate)


def cheating_agents(task: Task, world: WorldSpec, beginning: Sequence[Message]) -> Iterator[tuple[str, Agent]]:
    """Every cheat that the task is tried with; of mutated oracles several may have one name, and those count only that
    are `observed` to do something else than the oracle.

    Args:
        beginning: the messages that come before the agent's first.

    Raises:
        ValueError: when the gold calls do not have the form that `compose` gives them; the first cheats do not need it.
    """
    for name, plan in blind_plans(task, world, "\n".join(message.content for message in beginning)):
        yield name, PlannedAgent(plan)
    for name in CHEATS:
        yield name, make_agent(name, task, world)
    for name, plan in mutated_plans(task, world).items():
        yield f"mutated_{name.rstrip('0123456789').rstrip('_')}", PlannedAgent(plan)


def of_texts(task: Task, world: WorldSpec, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[str]:
    """What is wrong with a task whatever anybody does."""
    return [
        *(f"leak: {where}" for where in leaks(task, world, messages[0].content, tools)),
        *(f"untold: {what}" for what in untold(task, world, messages)),
        *(f"idle: {what}" for what in idle_calls(task, world)),
    ]


def _played(task: Task, world: WorldSpec, agent: Agent) -> Outcome:
    return play(task, world, agent, task.seed, max_turns=MAX_TURNS)[2]


def observed(outcome: Outcome) -> Any:
    """What world and user could tell apart: the state, the successful calls and their turns, the words."""
    answers = {message.tool_call_id for message in outcome.messages if message.role == "tool"}
    calls = iter(outcome.calls)
    dialogue = [
        [message.role, message.content]
        if not message.tool_calls
        else [
            [call.name, record.arguments]
            for call in message.tool_calls
            if call.id in answers and not (record := next(calls)).is_error
        ]
        for message in outcome.messages
        if message.role in ("user", "assistant")
    ]
    changes = [[item.entity, item.key, item.kind, dict(item.fields)] for item in outcome.changes]
    return canonical_json([outcome.ending, changes, [part for part in dialogue if part]])
