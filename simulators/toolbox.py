"""What an agent has of a world when it was given only some of its tools: the others do not exist for it.

Whatever answers the agent, or asks what the agent could find out, looks at the given world: a hidden tool is never run,
never suggested, and no way to look. The world's content, its policies and what its tools do stay the same, so every
dialogue that is possible with some of the tools is possible with all of them.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from simulators.playable import Playable
from simulators.worlds import EntitySpec, OperationSpec, ToolResult, WorldSpec, WorldState
from simulators.worlds.execution import unknown_tool
from trajectories.canonical import canonical_json
from trajectories.messages import ToolSpec
from trajectories.outcomes import StateChange
from trajectories.tasks import AgentSpec, RecordPatch, Task

__all__ = ["GivenWorld", "Toolbox", "given_world"]


def given_world(world: Playable, task: Task) -> Playable:
    """The world as the task's assistant has it: `world` itself where that is no agent of its own, else a `GivenWorld`.

    Raises:
        ValueError: naming the agent's tools that the world lacks, or that stand twice.
    """
    return world if task.agent is None else GivenWorld(cast(WorldSpec, world), task.agent)


class GivenWorld:
    """A world behind an agent's prompt and tools; raises as `given_world` does."""

    def __init__(self, world: WorldSpec, agent: AgentSpec) -> None:
        names = agent.tools
        for problem, found in (
            (f"world {world.name} lacks", [name for name in names if name not in world.operations]),
            ("stand twice:", [name for name, times in Counter(names).items() if times > 1]),
        ):
            if found:
                raise ValueError(f"tools of agent {agent.name or '(no name)'}: {problem} {', '.join(found)}")
        self._world, self._agent = world, agent
        given = frozenset(names)
        self.operations: dict[str, OperationSpec] = {
            name: operation for name, operation in world.operations.items() if name in given
        }
        """In the world's order, by which draws and looks go; the agent's own order is that of `tool_specs`."""

    @property
    def name(self) -> str:
        return self._world.name

    @property
    def entities(self) -> Mapping[str, EntitySpec]:
        return self._world.entities

    @property
    def instructions(self) -> str:
        """The agent's preamble, a blank line, and the world's instructions; without one of the two, the other."""
        return "\n\n".join(part for part in (self._agent.preamble, self._world.instructions) if part)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """The agent's tools, as the world describes them, in the agent's order."""
        tools = _tools_by_name(self._world)
        return tuple(tools[name] for name in self._agent.tools)

    def fingerprint(self) -> str:
        """Of the whole world: what an agent was given of it stands in the task."""
        return self._world.fingerprint()

    def instantiate(self, seed: int, patches: tuple[RecordPatch, ...] = ()) -> "Toolbox":
        """As `WorldSpec.instantiate`."""
        return Toolbox(self._world.instantiate(seed, patches), self)


class Toolbox:
    """A state behind the tools that were given."""

    def __init__(self, state: WorldState, world: GivenWorld) -> None:
        self._state, self.world = state, world

    def call(self, tool: str, arguments: Mapping[str, Any] | str) -> ToolResult:
        """As `WorldState.call`; a tool that was not given is one that does not exist, in the world's own words."""
        if tool in self.world.operations:
            return self._state.call(tool, arguments)
        return ToolResult(canonical_json({"error": unknown_tool(tool, self.world.operations)}), None, True)

    def fork(self) -> "Toolbox":
        return Toolbox(self._state.fork(), self.world)

    def diff(self) -> tuple[StateChange, ...]:
        return self._state.diff()

    def find(self, entity: str, key: str) -> Mapping[str, Any] | None:
        return self._state.find(entity, key)


@lru_cache(maxsize=64)
def _tools_by_name(world: WorldSpec) -> dict[str, ToolSpec]:
    """Not to be changed."""
    return {tool.name: tool for tool in world.tool_specs()}
