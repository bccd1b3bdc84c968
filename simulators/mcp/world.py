"""A source of MCP tools in the place of a world, so that an `Environment` plays episodes on a server it knows nothing of.

Every episode gets a session of its own. What such a server keeps inside cannot be seen: an episode's outcome holds the
calls and their answers, and no state changes.
"""

from collections.abc import Callable, Mapping
from typing import Any

from simulators.mcp.schemas import check_schemas
from simulators.mcp.source import MCPToolSource
from simulators.worlds import ToolResult
from trajectories.messages import ToolSpec
from trajectories.outcomes import StateChange
from trajectories.tasks import RecordPatch

__all__ = ["MCPWorld", "SessionState"]


class MCPWorld:
    """Plays one episode at a time: beginning the next one ends the session of the last.

    Args:
        name: what tasks call it.
        open_source: opens a session (live, recorded or replayed); called once here, for the first episode, and once for
            every further one.
        instructions: the agent's system prompt.

    Raises:
        MCPFault: from `open_source`.
    """

    def __init__(self, name: str, open_source: Callable[[], MCPToolSource], instructions: str = "") -> None:
        self.name, self.instructions = name, instructions
        self._open_source = open_source
        self._fresh: MCPToolSource | None = open_source()
        self._current = self._fresh
        self.operations: Mapping[str, ToolSpec] = {tool.name: tool for tool in self._fresh.tools()}

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """The tools, in the server's order."""
        return tuple(self.operations.values())

    def instantiate(self, seed: int, patches: tuple[RecordPatch, ...] = ()) -> "SessionState":
        """A session that has not been used; `seed` is not the server's to know.

        Raises:
            ValueError: with patches, which no server takes.
            SchemaDriftError: the tools have changed since the first session.
            MCPFault: no session came about.
        """
        if patches:
            raise ValueError(f"{self.name}: an MCP server cannot be prepared; the task has patches on {patches[0].entity}")
        if self._fresh is None:
            self.close()
            self._current = self._open_source()
            check_schemas(self.tool_specs(), self._current.tools(), self.name)
        self._fresh = None
        return SessionState(self._current)

    def close(self) -> None:
        """Ends the session of the last episode."""
        self._current.close()


class SessionState:
    """What an episode sees of a session."""

    def __init__(self, source: MCPToolSource) -> None:
        self._source = source

    def call(self, tool: str, arguments: Mapping[str, Any] | str) -> ToolResult:
        """As `MCPToolSource.call`; an `MCPFault` becomes a fault of the episode's outcome."""
        return self._source.call(tool, arguments)

    def diff(self) -> tuple[StateChange, ...]:
        """Always empty: nothing can be seen."""
        return ()
