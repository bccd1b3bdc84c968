"""Gives a task an agent: a system prompt and some of the world's tools (Kimi K2, arXiv 2507.20534, section 3.1.1).

An agent has every tool that the task needs: those that do it, the one that refuses it, and those with which the cheats of
its certification go wrong, so that passing still takes doing it right. These are the same whether policy allows a wish or
not, so tools give no answer away. What comes on top are distractors. They are tools that a task without an agent has too:
no subset opens a way to do or to feign a task that all the tools together do not.
"""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from simulators.tasks.agents import make_agent
from simulators.tasks.certify import CHEATS
from simulators.tasks.cheats import mutated_plans
from simulators.tasks.governed import GovernedOperation, governed_operations
from simulators.tasks.oracle import Plan, PlannedAgent
from simulators.tasks.preambles import draw_preamble
from simulators.worlds import OperationSpec, WorldSpec
from trajectories.tasks import AgentSpec, Task
from trajectories.words import stands_in

__all__ = ["AgentMix", "equip", "nearness", "needed_tools"]

FEWEST, MOST = 2, 128
"""Tools of an agent."""

DRAWS: Final = 8
"""Of a preamble, before the agent goes without: one that happens to hold a word of the task's answer is not used."""


@dataclass(frozen=True)
class AgentMix:
    """Which agents tasks get.

    Raises:
        ValueError: naming the key.
    """

    share: float = 0.0
    """Share of tasks with an agent of their own, 0 to 1; in the others the assistant has every tool of the world, and no
    prompt but its instructions."""
    fewest_tools: int = FEWEST
    """Tools of an agent at least, 2 to 128; 0 for all that its world has. A task that needs more gets more."""
    most_tools: int = MOST
    """Tools of an agent at most, 2 to 128; 0 for as many as its world has."""
    near: float = 0.5
    """Weight of agents whose distractors are those most like the tools that the task needs."""
    far: float = 0.2
    """Weight of agents whose distractors are those least like them."""
    mixed: float = 0.3
    """Weight of agents whose distractors are any."""
    preambles: float = 0.8
    """Share of agents with a preamble before the world's instructions, 0 to 1."""
    chinese: float = 0.2
    """Share of preambles that are in Chinese, 0 to 1; the others are in English."""

    def __post_init__(self) -> None:
        for name in ("share", "preambles", "chinese"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name}: is from 0 to 1, not {value}")
        for name in ("fewest_tools", "most_tools"):
            if (count := getattr(self, name)) and not FEWEST <= count <= MOST:
                raise ValueError(f"{name}: is from {FEWEST} to {MOST}, or 0 for all tools of the world, not {count}")
        if self.most_tools and not 0 < self.fewest_tools <= self.most_tools:
            least = self.fewest_tools or "all"
            raise ValueError(f"fewest_tools: {least} is more than most_tools, {self.most_tools}")
        for name in ("near", "far", "mixed"):
            if not 0 <= (weight := getattr(self, name)) < float("inf"):
                raise ValueError(f"{name}: is a finite weight of at least 0, not {weight}")
        if not self.near + self.far + self.mixed:
            raise ValueError("near: at least one of near, far and mixed is above 0")


def equip(task: Task, world: WorldSpec, mix: AgentMix, rng: random.Random) -> Task:
    """`task` for an agent of its own, under an id of its own, and not certified; `share` has no say here.

    Args:
        rng: a generator of its own for each task; nothing else is random here.
    """
    needed = needed_tools(task, world)
    size = max(len(needed), _draw_size(mix, len(world.operations), rng))
    tools = [*needed, *_draw_distractors(world, needed, size - len(needed), mix, rng)]
    rng.shuffle(tools)
    name, preamble = _draw_preamble(task, world, mix, rng)
    return replace(task, agent=AgentSpec(name, preamble, tuple(tools)), certificate=None).with_id()


def needed_tools(task: Task, world: WorldSpec) -> tuple[str, ...]:
    """The tools without which the task cannot be done, refused or got wrong as its certification wants, in the world's
    order.

    A `state` criterion lists every tool that changes the world; what is not there cannot be called, so it asks for none.
    """
    rubric = task.rubric
    patterns = [*rubric.tool_patterns, *(pattern for item in rubric.checkpoints for pattern in (item.pattern, *item.before))]
    named = {call.tool for call in task.gold.calls} | {pattern.tool for pattern in patterns if pattern is not None}
    named |= {name for item in rubric.criteria if item.kind == "no_refusal" for name in item.expected}
    named |= {call.tool for plan in _cheats_plans(task, world) for turn in plan.turns for call in turn}
    named.add(world.decline_operation.name)
    # Whatever a verdict may hang on, also where it happens not to: which tools there are must not tell which it is.
    named |= {look.read.name for governed in _governed(world) if governed.operation.name in named for look in governed.further}
    return tuple(name for name in world.operations if name in named)


def _governed(world: WorldSpec) -> tuple[GovernedOperation, ...]:
    try:
        return governed_operations(world)
    except ValueError:  # nothing to decide
        return ()


def nearness(world: WorldSpec, tool: str, needed: Collection[str]) -> float:
    """How easily `tool` is taken for the most alike of `needed`, 0 to 3: one point each for being about the same entity
    and for taking a record of that entity, and the share of words that their names have in common."""
    others = [name for name in needed if world.operations[name].kind != "decline"] or needed
    return max(_likeness(world.operations[tool], world.operations[other]) for other in others)


def _likeness(one: OperationSpec, other: OperationSpec) -> float:
    takes = any(item.kind in ("key", "keys") and item.entity == other.entity for item in one.arguments.values())
    words, other_words = set(one.name.split("_")), set(other.name.split("_"))
    return (one.entity == other.entity) + takes + len(words & other_words) / len(words | other_words)


def _cheats_plans(task: Task, world: WorldSpec) -> Iterator[Plan]:
    try:
        agents = [make_agent(kind, task, world) for kind in CHEATS]
        yield from (agent.plan for agent in agents if isinstance(agent, PlannedAgent))
        yield from mutated_plans(task, world).values()
    except ValueError:  # a task of another form than these cheats need; whoever certifies it tells
        return


def _draw_size(mix: AgentMix, available: int, rng: random.Random) -> int:
    """Even over the logarithm: 4 to 8 tools are as frequent as 32 to 64."""
    most = min(mix.most_tools or available, available)
    fewest = min(mix.fewest_tools or available, most)
    return min(most, int(fewest * ((most + 1) / fewest) ** rng.random()))


def _draw_distractors(world: WorldSpec, needed: Collection[str], count: int, mix: AgentMix, rng: random.Random) -> list[str]:
    kind = rng.choices(("near", "far", "mixed"), (mix.near, mix.far, mix.mixed))[0]
    others = [name for name in world.operations if name not in needed]
    rng.shuffle(others)  # before sorting: of tools that are equally near any may come first
    if kind != "mixed":
        others.sort(key=lambda name: nearness(world, name, needed), reverse=kind == "near")
    return others[:count]


def _draw_preamble(task: Task, world: WorldSpec, mix: AgentMix, rng: random.Random) -> tuple[str, str]:
    """Name and preamble of the agent."""
    answers = [text for item in task.rubric.criteria if item.kind == "says" for text in item.expected]
    if rng.random() < mix.preambles:
        for _ in range(DRAWS):
            name, preamble = draw_preamble(world.title, "zh" if rng.random() < mix.chinese else "en", rng)
            if not any(stands_in(answer.removeprefix("not:"), preamble) for answer in answers):
                return name, preamble
    return "plain", ""
