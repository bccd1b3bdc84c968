"""Real servers: a world over HTTP on loopback, and a strange one over stdio."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from simulators import worlds
from simulators.mcp import Listening, MCPSession, WorldServer, listening

SEED = 7
Serve = Callable[..., AbstractContextManager[tuple[WorldServer, Listening]]]


@pytest.fixture
def serve() -> Serve:
    """Serves order_desk over HTTP from a thread, with the settings of `listening`."""

    @contextmanager
    def served(**settings: float) -> Iterator[tuple[WorldServer, Listening]]:
        server = WorldServer(worlds.load("order_desk"), SEED)
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(listening(server, **settings)) as at:
            yield server, at

    return served


@pytest.fixture(scope="session")
def odd() -> list[str]:
    """The command of the strange server."""
    return [sys.executable, str(Path(__file__).with_name("odd_server.py"))]


@pytest.fixture
def odd_session(odd: list[str]) -> Iterator[MCPSession]:
    with MCPSession(odd, call_seconds=10) as session:
        yield session


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for what another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(name="until")
def _until() -> Callable[..., None]:
    return until
