"""A live MCP server as a source of tools: plain blocking calls over the SDK's asynchronous client.

The client lives in a thread of its own. A session ends with its first fault, because nobody knows what the server did
with the call that broke: later calls raise the same fault. So a server that dies or hangs costs one episode, and a
caller waits no longer than it said (and a few seconds of grace).
"""

import asyncio
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import IO, Any

import anyio
from mcp import Client, MCPError, StdioServerParameters, stdio_client, types
from mcp.client.streamable_http import streamable_http_client

from simulators.mcp.content import from_wire
from simulators.mcp.source import FaultKind, MCPFault, MCPToolSource, error_result
from simulators.worlds import ToolResult
from trajectories.messages import ToolSpec

__all__ = ["MCPSession"]

_MAX_PAGES = 100
"""Of a tool list; a server that pages for ever is refused."""

_GRACE = 5.0
"""Seconds beyond a limit for the SDK to notice it by itself."""

_KINDS: dict[int, FaultKind] = {types.REQUEST_TIMEOUT: "timeout", types.CONNECTION_CLOSED: "died"}


class MCPSession(MCPToolSource):
    """One session with a server that is started here (a command) or that runs elsewhere (a URL).

    Args:
        server: the URL of a streamable HTTP endpoint, or a command with its arguments to talk to over stdio.
        env: variables for the command beside PATH, HOME and the like; nothing else is inherited.
        cwd: where the command runs.
        open_seconds: for starting, agreeing on a protocol version and listing the tools.
        call_seconds: for each call.
        max_characters: of an answer's text; the rest is cut.

    Raises:
        ValueError: a server that is neither a URL nor a command.
        MCPFault: no session came about.
    """

    def __init__(
        self,
        server: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        open_seconds: float = 30.0,
        call_seconds: float = 30.0,
        max_characters: int = 100_000,
    ) -> None:
        self.name = server if isinstance(server, str) else " ".join(server)
        self._call_seconds, self._max_characters = call_seconds, max_characters
        self._fault: MCPFault | None = None
        self._closed = False
        self._stderr: IO[str] = tempfile.TemporaryFile("a+", errors="replace")  # noqa: SIM115  closed in `close`
        client = Client(_transport(server, env, cwd, self._stderr), read_timeout_seconds=open_seconds)
        self._opened: Future[list[types.Tool]] = Future()
        self._begun = threading.Event()
        # A daemon: a session that nobody closed does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, args=(client,), name="mcp session", daemon=True)
        self._thread.start()
        self._begun.wait()
        try:
            self._by_name = _by_name(self._opened.result(open_seconds + _GRACE))
        except BaseException as error:
            fault = self._opening_fault(error, open_seconds)
            self.close()
            raise fault from error

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._opened.done():
            self._from_outside(self._stop.set)
            self._thread.join(2 * _GRACE)
        self._from_outside(self._scope.cancel)
        self._thread.join(_GRACE)
        self._stderr.close()

    def _answer(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        if self._closed:
            raise RuntimeError(f"{self.name}: this session is closed")
        if self._fault is not None:
            raise self._fault
        try:
            return self._called(tool, arguments)
        except MCPFault as fault:
            self._fault = fault
            raise

    def _called(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        request = self._client.call_tool(tool, arguments, read_timeout_seconds=self._call_seconds)
        try:
            waiting = asyncio.run_coroutine_threadsafe(request, self._loop)
        except RuntimeError as error:
            request.close()
            raise self._broken("died", tool, "the connection has ended") from error
        try:
            return from_wire(waiting.result(self._call_seconds + _GRACE), self._max_characters)
        except MCPError as error:
            if error.code == types.INVALID_PARAMS:
                return error_result(error.message)  # the spec's answer to bad arguments: the caller's mistake
            raise self._broken(_KINDS.get(error.code, "protocol"), tool, error.message) from error
        except TimeoutError as error:
            waiting.cancel()
            raise self._broken("timeout", tool, f"no answer within {self._call_seconds:g} s") from error
        except CancelledError as error:
            raise self._broken("died", tool, "the connection has ended") from error
        except Exception as error:  # the SDK's own checks, and a transport that fails, have no common type
            raise self._broken("protocol", tool, _in_words(error)) from error

    def _broken(self, kind: FaultKind, tool: str, what: str) -> MCPFault:
        return MCPFault(kind, f"{self.name}: {tool}: {what}{self._last_words()}")

    def _opening_fault(self, error: BaseException, seconds: float) -> BaseException:
        """What to raise for a session that did not come about; an interrupt stays what it is."""
        if isinstance(error, KeyboardInterrupt | SystemExit | MCPFault):
            return error
        if isinstance(error, TimeoutError):
            return MCPFault("timeout", f"{self.name}: no session within {seconds:g} s{self._last_words()}")
        return MCPFault("unreachable", f"{self.name}: no session: {_in_words(error)}{self._last_words()}")

    def _last_words(self) -> str:
        """The end of what the command wrote to stderr, which mostly says why it died."""
        self._stderr.seek(0)
        words = self._stderr.read()[-500:].strip()
        return f"; its stderr ends: {words}" if words else ""

    def _from_outside(self, act: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            return  # the loop has ended meanwhile, which is what was wanted

    def _run(self, client: Client) -> None:
        try:
            asyncio.run(self._live(client))
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            # Otherwise a call is waiting, or will be made, and meets the end of the connection there.

    async def _live(self, client: Client) -> None:
        self._loop, self._stop, self._client = asyncio.get_running_loop(), asyncio.Event(), client
        with anyio.CancelScope() as self._scope:
            self._begun.set()
            async with client:
                self._opened.set_result(await _listed(client))
                await self._stop.wait()


def _transport(server: str | Sequence[str], env: Mapping[str, str] | None, cwd: str | None, stderr: IO[str]) -> Any:
    if isinstance(server, str):
        if not server.startswith(("http://", "https://")):
            raise ValueError(f"{server!r} is not a URL; give a command as a list: {server.split()}")
        return streamable_http_client(server)
    if not server:
        raise ValueError("the command of the server is empty")
    command, *arguments = server
    parameters = StdioServerParameters(command=command, args=arguments, env=dict(env or {}), cwd=cwd)
    return stdio_client(parameters, errlog=stderr)  # type: ignore[arg-type]  # anything with a descriptor will do


async def _listed(client: Client) -> list[types.Tool]:
    tools: list[types.Tool] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise MCPFault("protocol", f"the list of tools has more than {_MAX_PAGES} pages")


def _by_name(listed: Sequence[types.Tool]) -> dict[str, ToolSpec]:
    tools = {tool.name: ToolSpec.from_mcp(tool.model_dump(by_alias=True, mode="json", exclude_none=True)) for tool in listed}
    if len(tools) < len(listed):
        raise MCPFault("protocol", "two tools of the server have one name")
    return tools


def _in_words(error: BaseException) -> str:
    """The errors within a group, which is what task groups raise, each with its type."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(_in_words(inner) for inner in error.exceptions))
    words = str(error).strip().splitlines()[:1]  # a schema's complaint goes on for many lines
    return ": ".join([type(error).__name__, *words])
