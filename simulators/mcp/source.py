"""A place that tools come from: live, being recorded, or replayed; the agent cannot tell which.

A call ends in one of two ways. Whatever the caller wrote gets a `ToolResult`, with ``isError`` where it was wrong;
whatever broke on the other side is an `MCPFault`, which is never the policy's failure. Calls that cannot be sent at all
(no such tool, arguments that are not a JSON object) are answered here, alike by every source, and reach no server.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from simulators.worlds import ToolResult
from simulators.worlds.execution import unknown_tool
from trajectories.canonical import canonical_json, canonical_value
from trajectories.messages import ToolSpec
from trajectories.outcomes import Fault

__all__ = ["FaultKind", "MCPFault", "MCPToolSource", "error_result", "explained"]

FaultKind = Literal["unreachable", "died", "timeout", "protocol", "unrecorded"]
"""No session came about; the connection ended; no answer in time; an answer against the protocol or against the
tool's own output schema; a replay was asked for what was never recorded."""


class MCPFault(RuntimeError):
    """The server, or the way to it, broke: a fault by the design's second law."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.kind, self.message)

    def as_fault(self) -> Fault:
        """As it stands in an outcome."""
        return Fault("tool", f"{self.kind}: {self.message}")


class MCPToolSource(ABC):
    """Tools and their answers, from somewhere. Use as a context manager, or `close` it."""

    _by_name: dict[str, ToolSpec]
    """Set by every source before its first call."""

    def tools(self) -> tuple[ToolSpec, ...]:
        """The tools in the server's order; they stay the same for the life of the source."""
        return tuple(self._by_name.values())

    def call(self, tool: str, arguments: Mapping[str, Any] | str) -> ToolResult:
        """Call a tool.

        Args:
            tool: its name.
            arguments: an object, or JSON text of one; numbers are sent in canonical form (2.0 as 2).

        Raises:
            MCPFault: the server did not answer, or not as it must.
        """
        if tool not in self._by_name:
            return error_result(unknown_tool(str(tool), self._by_name))
        try:
            value = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
            if not isinstance(value, dict):
                return error_result("arguments must be a JSON object")
            value = canonical_value(value)
            canonical_json(value).encode()  # raises for half of a surrogate pair, which no wire can carry
        except (ValueError, TypeError, RecursionError) as error:
            return error_result(f"arguments are not JSON: {explained(error)}")
        return self._answer(tool, value)

    @abstractmethod
    def _answer(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """The answer to a call of a tool that exists, with canonical arguments."""

    @abstractmethod
    def close(self) -> None:
        """Ends the session; a second time does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def error_result(message: str) -> ToolResult:
    """What the caller is told of its own mistake, in the shape that worlds use."""
    return ToolResult(json.dumps({"error": message}, separators=(",", ":"), ensure_ascii=False), None, True)


def explained(error: Exception) -> str:
    """Why a text is no JSON that can be used, for whoever wrote it."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at {error.pos}"
    if isinstance(error, UnicodeEncodeError):
        return "a string holds half of a surrogate pair"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
