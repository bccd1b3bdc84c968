"""A world server on a loopback address: nobody is asked who he is, so nobody from elsewhere is let in."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio
import uvicorn

from simulators.mcp.server import WorldServer

__all__ = ["LOOPBACK", "Listening", "listening"]

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""The addresses that may be listened at."""

_GRACE = 1
"""Seconds that open streams get when the server stops."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A server that accepts connections."""

    host: str
    port: int
    _ended: anyio.Event

    @property
    def url(self) -> str:
        """The endpoint that clients are given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/mcp"

    async def wait(self) -> None:
        """Returns when the server has ended by itself, as a signal makes it do."""
        await self._ended.wait()


@asynccontextmanager
async def listening(
    server: WorldServer,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    max_sessions: int = 64,
    idle_seconds: float = 1800.0,
) -> AsyncIterator[Listening]:
    """Serves over streamable HTTP while the block runs; connections are accepted from its first line on.

    Args:
        server: what is served.
        host: one of `LOOPBACK`.
        port: 0 for any that is free.
        max_sessions: at once; one more is refused with HTTP 503.
        idle_seconds: until a session without requests ends.

    Raises:
        ValueError: an address that is not a loopback one.
        OSError: a port that is taken.
    """
    if host not in LOOPBACK:
        raise ValueError(f"host: {host} is not a loopback address; use one of {', '.join(LOOPBACK)}")
    app = server.http_app(max_sessions=max_sessions, idle_seconds=idle_seconds, host=host)
    config = uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, timeout_graceful_shutdown=_GRACE
    )
    web, ended = uvicorn.Server(config), anyio.Event()

    async def serve(listener: socket.socket) -> None:
        try:
            await web.serve(sockets=[listener])
        finally:
            ended.set()

    with _listener(host, port) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, listener)
            try:
                yield Listening(host, listener.getsockname()[1], ended)
            finally:
                web.should_exit = True


def _listener(host: str, port: int) -> socket.socket:
    """A socket that queues connections at once, so that whoever is told the port may connect."""
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setblocking(False)
    return listener
