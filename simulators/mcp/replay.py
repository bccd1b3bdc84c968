"""A recorded session, answered from its file: same calls, same answers, and no server anywhere.

The n-th call of a tool with some arguments gets the n-th answer that was recorded for just these. What was never
recorded is a fault that names the call: nothing is invented.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from simulators.mcp.recording import Recording
from simulators.mcp.schemas import check_schemas
from simulators.mcp.source import MCPFault, MCPToolSource
from simulators.worlds import ToolResult
from trajectories.canonical import canonical_json
from trajectories.messages import ToolSpec

__all__ = ["ReplaySession"]


class ReplaySession(MCPToolSource):
    """Replays from the beginning.

    Args:
        recording: what `Recording.read` gave, or the path of one.
        expected: the tools that the live server, or the caller, has now; None to go by the recording alone.

    Raises:
        SchemaDriftError: a tool's schema fingerprint is not what it was, or a tool is gone or new.
        RecordingError, OSError: as `Recording.read`.
    """

    def __init__(self, recording: Recording | str | Path, expected: Iterable[ToolSpec] | None = None) -> None:
        self._recording = recording if isinstance(recording, Recording) else Recording.read(recording)
        if expected is not None:
            check_schemas(self._recording.tools, expected, str(self._recording.path))
        self._by_name = {tool.name: tool for tool in self._recording.tools}
        self._answers: defaultdict[str, deque[ToolResult | MCPFault]] = defaultdict(deque)
        for call in self._recording.calls:
            self._answers[_key(call.tool, dict(call.arguments))].append(call.answer)

    def close(self) -> None:
        """Nothing to end."""

    def _answer(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        key = _key(tool, arguments)
        answers = self._answers.get(key)
        if not answers:
            often = "was never recorded" if answers is None else "is made more often than it was recorded"
            raise MCPFault("unrecorded", f"{self._recording.path}: the call {tool} {canonical_json(arguments)} {often}")
        answer = answers.popleft()
        if isinstance(answer, MCPFault):
            raise MCPFault(answer.kind, answer.message)
        # A copy: what a caller does to its structured content is no business of the next replay.
        return ToolResult(answer.content, deepcopy(answer.structuredContent), answer.isError)


def _key(tool: str, arguments: dict[str, Any]) -> str:
    return canonical_json([tool, arguments])

