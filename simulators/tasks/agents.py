"""Scripted agents by name, and how any agent plays a task.

Everything here is a pure function of its arguments: the same task, agent and seed give the same dialogue, byte for
byte.
"""

from collections.abc import Callable

from simulators.environment import Environment
from simulators.playable import Playable
from simulators.stochastic import ToolTroubles
from simulators.tasks.cheats import (
    AlwaysActAgent,
    AlwaysRefuseAgent,
    DropArgumentsAgent,
    EchoAgent,
    NullAgent,
    SprayAgent,
)  # fmt: skip
from simulators.tasks.domains.common_cheats import common_cheats
from simulators.tasks.oracle import Agent, OracleAgent, PlannedAgent
from simulators.tasks.patient import PatientAgent
from simulators.tasks.teacher import ErrorMix, TeacherAgent, teacher_rng
from simulators.users import AnyVoice
from simulators.worlds import WorldSpec
from trajectories.messages import Message, ToolSpec
from trajectories.outcomes import Outcome
from trajectories.tasks import Task

__all__ = ["AGENTS", "make_agent", "play"]

_RULERS: dict[str, Callable[[Task, WorldSpec], Agent]] = {
    "oracle": lambda task, world: OracleAgent(task),
    "patient": PatientAgent,
    "null": lambda task, world: NullAgent(),
    "always_refuse": AlwaysRefuseAgent,
    "always_act": AlwaysActAgent,
    "echo": lambda task, world: EchoAgent(),
    "spray": SprayAgent,
    "drop_arguments": lambda task, world: DropArgumentsAgent(task),
}

AGENTS: tuple[str, ...] = (*_RULERS, "teacher")
"""Kinds that `make_agent` knows."""


def make_agent(
    kind: str,
    task: Task,
    world: WorldSpec,
    *,
    run_seed: int = 0,
    rollout: int = 0,
    competence: float = 1.0,
    errors: ErrorMix | None = None,
) -> Agent:
    """The agent of this kind for `task`; the arguments after `world` are the teacher's, see `TeacherAgent`.

    Raises:
        ValueError: for an unknown kind; the message lists those that exist.
    """
    if task.domain != "tool_use":
        return _answering(kind, task)
    if kind == "teacher":
        return TeacherAgent(task, world, competence, teacher_rng(run_seed, task.id, rollout), errors)
    if kind not in _RULERS:
        raise ValueError(f"there is no agent {kind!r}; there are: {', '.join(AGENTS)}")
    return _RULERS[kind](task, world)


_ANSWERING = {"null": "null", "echo": "echo", "always_refuse": "refuse", "always_act": "claim"}
"""Kinds that can play the tasks of every domain, and the common cheats that they are there."""


def _answering(kind: str, task: Task) -> Agent:
    if kind == "oracle":
        return OracleAgent(task)
    if kind not in _ANSWERING:
        known = ", ".join(("oracle", *_ANSWERING))
        raise ValueError(f"agent {kind!r} plays no tasks of {task.domain}; those that do: {known}")
    return PlannedAgent(dict(common_cheats(task))[_ANSWERING[kind]])


def play(
    task: Task,
    world: Playable,
    agent: Agent,
    seed: int,
    *,
    max_turns: int = 12,
    end_on_malformed: bool = False,
    troubles: ToolTroubles | None = None,
    voice: AnyVoice | None = None,
) -> tuple[tuple[Message, ...], tuple[ToolSpec, ...], Outcome]:
    """Plays one whole episode.

    Args:
        seed: the user's and the troubles', see `Environment.reset`.
        troubles, voice: see `Environment`, as the limits.

    Returns:
        The dialogue with its system prompt, the tools that the agent had, and the outcome.
    """
    environment = Environment(
        world, max_turns=max_turns, end_on_malformed=end_on_malformed, troubles=troubles, voice=voice
    )
    observation = environment.reset(task, seed)
    messages = list(observation.messages)
    while True:
        message = agent.act(messages)
        result = environment.step(message)
        messages += [message, *result.messages]
        if result.terminated or result.truncated:
            return tuple(messages), observation.tools, environment.outcome()
