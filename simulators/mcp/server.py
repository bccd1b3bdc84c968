"""A world as an MCP server: its operations are the tools, and every session has a state of its own.

All sessions start from forks of one shared instance, and none sees another's writes. What an agent does wrong is a
result with ``isError``; a protocol error means that the client, or the world itself, is broken. The 2026-07-28 revision
has no sessions over HTTP, so there it is refused and clients fall back to the handshake; over stdio one connection is
one session, in every revision.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TextIO

import anyio
from mcp import MCPError, types
from mcp.server import Server, ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.stdio import stdio_server
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette

from simulators.mcp.content import to_wire
from simulators.mcp.draining import draining
from simulators.worlds import WorldSpec, WorldState
from trajectories.messages import ToolSpec

__all__ = ["Served", "WorldServer"]

_STATE = "orrery world state"


@dataclass
class Served:
    """What a server has done so far."""

    sessions: int = 0
    """Ever; over HTTP those that made a call, since one that only looks at the tools has no state."""
    live: int = 0
    """States held now."""
    calls: int = 0
    errors: int = 0
    """Calls that were answered with ``isError``."""


class WorldServer:
    """Serves `world`; the instance that every session starts from is drawn from `seed`."""

    def __init__(self, world: WorldSpec, seed: int = 0) -> None:
        self.world, self.seed = world, seed
        self.served = Served()
        self._start = world.instantiate(seed)
        self._tools = [_described(tool) for tool in world.tool_specs()]

    async def serve_stdio(self, stdout: TextIO | None = None) -> None:
        """One session over this process's stdin and stdout; returns when the client has closed them and has its answers.

        Args:
            stdout: where the protocol is written, when it is not the process's own.
        """
        server = self._server(one_connection=True)
        async with stdio_server(stdout=anyio.wrap_file(stdout) if stdout else None) as (incoming, outgoing):
            await server.run(*draining(incoming, outgoing), server.create_initialization_options())

    def http_app(self, *, max_sessions: int = 64, idle_seconds: float = 1800.0, host: str = "127.0.0.1") -> Starlette:
        """The ASGI application, with the endpoint at ``/mcp``.

        Args:
            max_sessions: one more is answered with HTTP 503.
            idle_seconds: without a request in flight, after which a session ends and its state is freed; this is what
                becomes of a client that vanishes.
            host: the loopback address it is reached at; requests that name another are refused (DNS rebinding).
        """
        server = self._server(one_connection=False)
        server.middleware.append(_refuse_without_sessions)
        return server.streamable_http_app(max_sessions=max_sessions, session_idle_timeout=idle_seconds, host=host)

    def _server(self, *, one_connection: bool) -> Server[WorldState | None]:
        @asynccontextmanager
        async def lifespan(_: Server[WorldState | None]) -> AsyncIterator[WorldState | None]:
            if not one_connection:
                yield None  # over HTTP a lifespan spans all sessions
                return
            try:
                yield self._opened()
            finally:
                self._ended()

        return Server(
            self.world.name,
            version=self.world.fingerprint()[:12],
            title=self.world.title,
            instructions=self.world.instructions,
            lifespan=lifespan,
            get_tool_input_schema=lambda name: None,  # no argument of ours travels in a header
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def _list(
        self, context: ServerRequestContext[WorldState | None], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self._tools)

    async def _call(
        self, context: ServerRequestContext[WorldState | None], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        state = context.lifespan_context or self._state_of_session(context)
        result = state.call(params.name, params.arguments or {})
        self.served.calls += 1
        self.served.errors += result.isError
        return to_wire(result)

    def _state_of_session(self, context: ServerRequestContext[WorldState | None]) -> WorldState:
        """The state of this session's connection; made by its first call and gone with the connection."""
        connection = context.session._connection  # the SDK keeps what lives as long as a session nowhere else
        if _STATE not in connection.state:
            connection.state[_STATE] = self._opened()
            connection.exit_stack.callback(self._ended)
        state: WorldState = connection.state[_STATE]
        return state

    def _opened(self) -> WorldState:
        self.served.sessions += 1
        self.served.live += 1
        return self._start.fork()

    def _ended(self) -> None:
        self.served.live -= 1


def _described(tool: ToolSpec) -> types.Tool:
    """The tool on the wire; without a title of its own it gets its name in words."""
    title = tool.title or tool.name.replace("_", " ").capitalize()
    return types.Tool.model_validate({**tool.to_mcp(), "title": title})


async def _refuse_without_sessions(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Requests that belong to no session have no state to work on; clients that can, then ask for a session."""
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(
            types.UNSUPPORTED_PROTOCOL_VERSION,
            f"revision {ctx.protocol_version} has no sessions over HTTP, and each session has a world of its own;"
            " open one with the initialize handshake",
            {"supported": list(HANDSHAKE_PROTOCOL_VERSIONS), "requested": ctx.protocol_version},
        )
    return await call_next(ctx)
