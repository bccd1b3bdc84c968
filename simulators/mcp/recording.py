"""A recorded session: one line of canonical JSON for the tools, then one for every call with its answer.

Each line carries a digest of itself and all lines before it, so that a changed, lost or reordered line is noticed. A
line is written at once and whole; after kill -9 only the last one may be cut short, and it is dropped when read.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulators.mcp.source import MCPFault, MCPToolSource
from simulators.worlds import ToolResult
from trajectories.canonical import canonical_json, digest
from trajectories.messages import ToolSpec

__all__ = ["RecordedCall", "Recording", "RecordingError", "RecordingSession"]

_FORMAT = 1


class RecordingError(ValueError):
    """A file that is not a recording, or that was damaged; names the line."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call that reached the server, and what came of it."""

    tool: str
    arguments: Mapping[str, Any]
    answer: ToolResult | MCPFault


@dataclass(frozen=True, slots=True)
class Recording:
    """What one session said."""

    path: Path
    tools: tuple[ToolSpec, ...]
    calls: tuple[RecordedCall, ...]
    truncated: bool
    """Whether a last line was cut short, and dropped."""

    @staticmethod
    def read(path: str | Path) -> "Recording":
        """The recording in this file.

        Raises:
            OSError: the file cannot be read.
            RecordingError: it holds no complete tool list, or a line before the last is damaged.
        """
        path = Path(path)
        *lines, rest = path.read_bytes().split(b"\n")
        if not lines:
            raise RecordingError(f"{path}: no tool list: the session was not opened; record again")
        chain, entries = "", []
        for number, line in enumerate(lines, 1):
            entry, chain = _read_line(line, chain, f"{path}:{number}")
            entries.append(entry)
        try:
            if entries[0]["format"] != _FORMAT:
                raise RecordingError(f"{path}:1: format {entries[0]['format']} is not {_FORMAT}; record again")
            tools = tuple(ToolSpec.from_mcp(tool) for tool in entries[0]["tools"])
            calls = tuple(_call_of(entry) for entry in entries[1:])
        except (KeyError, TypeError) as error:
            raise RecordingError(f"{path}: not a recording: missing or misshapen {error}") from error
        return Recording(path, tools, calls, truncated=bool(rest))


class RecordingSession(MCPToolSource):
    """Passes on what `source` answers, and writes it down first; `source` is closed with it, or when it cannot begin.

    Raises:
        FileExistsError: a recording is one session, so the file must be new.
    """

    def __init__(self, source: MCPToolSource, path: str | Path) -> None:
        self._source = source
        self._by_name = {tool.name: tool for tool in source.tools()}
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError:
            source.close()  # nobody else holds it when the two are made in one line
            raise
        self._open, self._chain = True, ""
        self._write({"format": _FORMAT, "tools": [tool.to_mcp() for tool in self.tools()]})

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._file)
            self._source.close()

    def _answer(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        if not self._open:
            raise RuntimeError("this recording is closed")
        try:
            result = self._source.call(tool, arguments)
        except MCPFault as fault:
            told = {"kind": fault.kind, "message": fault.message}
            self._write({"tool": tool, "arguments": arguments, "fault": told})
            raise
        self._write({"tool": tool, "arguments": arguments, "answer": asdict(result)})
        return result

    def _write(self, entry: dict[str, Any]) -> None:
        self._chain = digest([self._chain, entry])
        line = canonical_json({**entry, "chain": self._chain}).encode("utf-8", "surrogatepass") + b"\n"
        while line:
            line = line[os.write(self._file, line) :]


def _read_line(line: bytes, chain: str, where: str) -> tuple[dict[str, Any], str]:
    try:
        entry = json.loads(line.decode("utf-8", "surrogatepass"))
        told = entry.pop("chain")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise RecordingError(f"{where}: damaged, not a line of a recording; record again") from error
    if told != digest([chain, entry]):
        raise RecordingError(f"{where}: damaged: it, or a line before it, is not what was recorded; record again")
    return entry, told


def _call_of(entry: dict[str, Any]) -> RecordedCall:
    answer = MCPFault(**entry["fault"]) if "fault" in entry else ToolResult(**entry["answer"])
    return RecordedCall(entry["tool"], entry["arguments"], answer)
