"""Serve a world as an MCP server, over stdio or HTTP on this machine; each session has a state of its own.

Over stdio, stdout carries the protocol and nothing else; whatever is there to tell goes to stderr and the run's log.
"""

import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal, TextIO

import anyio

from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory
from pipelines.schema import Command, register
from simulators.mcp.listening import LOOPBACK, listening
from simulators.mcp.server import WorldServer
from simulators.worlds import WorldSpecError, load

__all__ = ["ServeMCP"]


@dataclass(frozen=True, kw_only=True)
class ServeMCP(Command):
    """Ends when the client closes stdin, or with Ctrl-C. `seed` is that of the instance every session starts from."""

    world: str
    """The name of a world that ships, or the path of a .yaml file."""
    transport: Literal["stdio", "http"] = "stdio"
    """stdio: one session, with whoever started this process. http: many sessions at a loopback address."""
    host: str = "127.0.0.1"
    """With http: 127.0.0.1, localhost or ::1. There are no passwords, so other machines are not served."""
    port: int = 0
    """With http; 0 takes any that is free, and prints it."""
    max_sessions: int = 64
    """With http: at once; one more is refused with status 503."""
    idle_seconds: float = 1800.0
    """With http: a session without requests for so long is ended and its state freed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.host not in LOOPBACK:
            raise ValueError(f"host: {self.host} is not a loopback address; use one of {', '.join(LOOPBACK)}")
        if not 0 <= self.port < 2**16:
            raise ValueError(f"port: must be from 0 to 65535, not {self.port}")
        if self.max_sessions < 1:
            raise ValueError(f"max_sessions: must be at least 1, not {self.max_sessions}")
        if not 0 < self.idle_seconds < float("inf"):
            raise ValueError(f"idle_seconds: must be above 0 and finite, not {self.idle_seconds}")
        if self.resume != "never":
            raise ValueError("resume: a server has nothing to continue; sessions end with it")


def run(config: ServeMCP, run: RunDirectory) -> dict[str, Any]:
    """`orrery serve-mcp`."""
    server = WorldServer(load(config.world), config.seed)
    started = time.monotonic()
    try:
        if config.transport == "stdio":
            anyio.run(server.serve_stdio, _claimed_stdout())
        else:
            anyio.run(_serve_http, server, config)
    except KeyboardInterrupt:
        pass  # the way to end a server, and no accident
    served = server.served
    print(f"\nserved {config.world}: {served.sessions:,} sessions, {served.calls:,} calls, {served.errors:,} errors")
    return {"world_digest": server.world.fingerprint(), **asdict(served), "seconds": time.monotonic() - started}


async def _serve_http(server: WorldServer, config: ServeMCP) -> None:
    try:
        async with listening(
            server,
            host=config.host,
            port=config.port,
            max_sessions=config.max_sessions,
            idle_seconds=config.idle_seconds,
        ) as open_server:
            print(f"serving {config.world} at {open_server.url}", flush=True)
            await open_server.wait()
    except OSError as error:
        raise UserError(f"port: {config.host}:{config.port} cannot be listened at: {error.strerror}") from error


def _claimed_stdout() -> TextIO:
    """The protocol's own way to the client. From here to the end of the process, stdout is stderr for everybody else."""
    sys.stdout.flush()
    wire = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(wire, "w", encoding="utf-8", newline="\n")


def check(config: ServeMCP) -> None:
    """The world exists and is well formed."""
    load(config.world)


register("serve-mcp", ServeMCP, run, check=check, user_errors=(WorldSpecError,))
