"""What an episode asks of whatever answers its tool calls, and the two simplest such things: no tools, and some functions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import jsonschema_rs

from simulators.worlds import ToolResult, load
from simulators.worlds.execution import unknown_tool
from trajectories.canonical import canonical_json, digest
from trajectories.messages import ToolSpec
from trajectories.outcomes import StateChange
from trajectories.tasks import RecordPatch

__all__ = ["PLAIN", "FunctionWorld", "Playable", "PlayableState", "ToolError", "open_world"]

_MOST_BYTES: Final = 100_000
"""Of the arguments of a call, as JSON."""


class ToolError(Exception):
    """The agent asked for what cannot be had; its text is what the agent is told."""


class PlayableState(Protocol):
    """One episode's tools."""

    def call(self, tool: str, arguments: Mapping[str, Any] | str, /) -> ToolResult: ...
    def diff(self) -> Sequence[StateChange]: ...


class Playable(Protocol):
    """Tools behind a name; `WorldSpec` and `MCPWorld` are such, too."""

    @property
    def name(self) -> str: ...
    @property
    def instructions(self) -> str: ...
    @property
    def operations(self) -> Mapping[str, Any]: ...
    def tool_specs(self) -> tuple[ToolSpec, ...]: ...
    def instantiate(self, seed: int, patches: tuple[RecordPatch, ...] = ()) -> PlayableState: ...
    def fingerprint(self) -> str: ...
    def __hash__(self) -> int: ...


Tool = Callable[[Any, Mapping[str, Any]], Any]
"""From what `begin` gave and valid arguments to a JSON value; raises `ToolError`."""


class FunctionWorld:
    """Tools that are functions over something that is only read.

    Args:
        begin: from (seed, patches) to what the functions read, shared by whoever asks for the same; it should keep a few.
        tools: each specification with its function; arguments are checked against ``inputSchema`` before it is called.
    """

    def __init__(
        self,
        name: str,
        instructions: str,
        begin: Callable[[int, tuple[RecordPatch, ...]], Any] = lambda seed, patches: None,
        tools: Sequence[tuple[ToolSpec, Tool]] = (),
    ) -> None:
        self.name, self.instructions, self._begin = name, instructions, begin
        self.operations: Mapping[str, ToolSpec] = {spec.name: spec for spec, _ in tools}
        self._functions = {spec.name: function for spec, function in tools}
        self._checks = {spec.name: jsonschema_rs.validator_for(dict(spec.inputSchema)) for spec, _ in tools}

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        return tuple(self.operations.values())

    def instantiate(self, seed: int, patches: tuple[RecordPatch, ...] = ()) -> "FunctionState":
        return FunctionState(self, self._begin(seed, patches))

    def fingerprint(self) -> str:
        """Digest of what an agent can see of it before it calls anything."""
        return digest([self.name, self.instructions, [spec.to_mcp() for spec in self.tool_specs()]])

    def answer(self, read: Any, tool: str, arguments: Mapping[str, Any] | str) -> Any:
        """Raises: ToolError: for whatever is wrong with the call."""
        if tool not in self._functions:
            raise ToolError(unknown_tool(tool, self._functions))
        if isinstance(arguments, str):
            raise ToolError(f"the arguments of {tool} are not a JSON object")
        try:
            size = len(canonical_json(dict(arguments)).encode())
        except (ValueError, RecursionError) as error:  # half of a surrogate pair, NaN, or nested too deep
            raise ToolError(f"the arguments of {tool} are no JSON that can be written again") from error
        if size > _MOST_BYTES:
            raise ToolError(f"the arguments of {tool} are too long")
        problem = next(iter(self._checks[tool].iter_errors(dict(arguments))), None)
        if problem is not None:
            raise ToolError(f"{tool}: {problem.message}")
        return self._functions[tool](read, arguments)


class FunctionState:
    """An episode of a `FunctionWorld`."""

    __slots__ = ("_read", "_world")

    def __init__(self, world: FunctionWorld, read: Any) -> None:
        self._world, self._read = world, read

    def call(self, tool: str, arguments: Mapping[str, Any] | str) -> ToolResult:
        try:
            value = self._world.answer(self._read, tool, arguments)
        except ToolError as error:
            return ToolResult(canonical_json({"error": str(error)}), None, True)
        return ToolResult(canonical_json(value), value if isinstance(value, dict) else None, False)

    def diff(self) -> tuple[StateChange, ...]:
        """Always empty: nothing is ever changed."""
        return ()


PLAIN: Final = FunctionWorld("plain", "You are a helpful assistant.")
"""No tools: questions that are answered in one message."""


def open_world(name: str) -> Playable:
    """What answers the tool calls of tasks whose `Task.world` is `name`: the domain of that name, no tools for ``plain``, or
    the tool world of that name or path.

    Raises:
        WorldSpecError: as `worlds.load`.
    """
    # Not above: domains play in environments, and environments open worlds.
    from simulators.tasks.domains.registry import DOMAINS, domain_of

    if name == PLAIN.name:
        return PLAIN
    return domain_of(name).world() if name in DOMAINS else load(name)
