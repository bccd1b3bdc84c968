"""A sandbox server: programs over HTTP, run by the sandbox of the machine that it is on.

`POST /run` takes one program and answers with its result; `GET /health` tells whether isolation can be had, and what holds.
Whoever may send programs may use up this machine, so beyond the loopback addresses a token is demanded.

    python -m services.sandbox.server --host 0.0.0.0 --port 8700 --token-variable SANDBOX_TOKEN
"""

import argparse
import hmac
import json
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.config import SandboxConfig
from services.sandbox.interface import Sandbox, SandboxError
from services.sandbox.opening import open_sandbox
from services.sandbox.wire import decoded_request, encoded_result

__all__ = ["Serving", "open_server", "sandbox_app"]

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_MOST_BYTES: Final = 256 * 2**20
"""Of a request."""
_GRACE_SECONDS: Final = 1


@dataclass(frozen=True)
class Serving:
    """A server that accepts connections."""

    url: str


def sandbox_app(sandbox: Sandbox, *, most: int, token: str = "", most_bytes: int = _MOST_BYTES) -> Starlette:
    """The ASGI application.

    Args:
        most: requests at one time; one more is answered with status 503.
        token: that every request to run something must bear; empty for none.
        most_bytes: of one request; a longer one is answered with status 413.
    """
    limiter, running = CapacityLimiter(most), 0

    async def health(request: Request) -> Response:
        guarantees = dict(sandbox.describe())
        isolated = not guarantees["isolation"].startswith("none")
        return _json({"guarantees": guarantees, "running": running, "most": most}, 200 if isolated else 503)

    async def run(request: Request) -> Response:
        nonlocal running
        if token and not hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {token}".encode()):
            return _json({"error": "the token is missing or wrong"}, 401)
        if running >= most:
            return _json({"error": f"{most} programs run already"}, 503, {"retry-after": "1"})
        running += 1
        try:
            body = bytearray()
            async for part in request.stream():
                body += part
                if len(body) > most_bytes:
                    return _json({"error": f"more than {most_bytes} bytes"}, 413)
            result = await to_thread.run_sync(_run, sandbox, bytes(body), limiter=limiter)
            return Response(result, media_type="application/json")
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        except SandboxError as error:
            return _json({"error": str(error)}, 500)
        finally:
            running -= 1

    return Starlette(routes=[Route("/run", run, methods=["POST"]), Route("/health", health)])


@contextmanager
def open_server(
    sandbox: Sandbox, *, most: int = 64, host: str = "127.0.0.1", port: int = 0, token_variable: str | None = None
) -> Iterator[Serving]:
    """Serves `sandbox` from a thread of its own while the block runs; connections are accepted from its first line on.

    Args:
        most: programs at one time.
        host: beyond 127.0.0.1, localhost and ::1 only with a token.
        port: 0 for any that is free.
        token_variable: the environment variable that holds the token.

    Raises:
        ValueError: no token where one is needed.
        OSError: an address that cannot be listened at.
    """
    server, listener = _server(sandbox, most, host, port, token_variable)
    with listener:
        name = f"[{host}]" if ":" in host else host
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox server", daemon=True)
        thread.start()
        try:
            yield Serving(f"http://{name}:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m services.sandbox.server", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--slots", type=int, default=0, help="programs at one time; 0: two for each core")
    parser.add_argument("--token-variable", help="the environment variable that holds the token")
    options = parser.parse_args(arguments)
    config = SandboxConfig(slots=options.slots)
    with open_sandbox(config) as sandbox:
        server, listener = _server(sandbox, 2 * config.width, options.host, options.port, options.token_variable)
        with listener:
            print(json.dumps({"listening": list(listener.getsockname()[:2]), **sandbox.describe()}), flush=True)
            server.run(sockets=[listener])


def _server(
    sandbox: Sandbox, most: int, host: str, port: int, token_variable: str | None
) -> tuple[uvicorn.Server, socket.socket]:
    token = os.environ.get(token_variable, "") if token_variable else ""
    if token_variable and not token:
        raise ValueError(f"the environment variable {token_variable}, which should hold the token, is not set")
    if not token and host not in _LOOPBACK:
        raise ValueError(f"{host} can be reached from elsewhere; name a variable that holds a token")
    app = sandbox_app(sandbox, most=most, token=token)
    config = uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    return uvicorn.Server(config), listener


def _run(sandbox: Sandbox, body: bytes) -> bytes:
    return encoded_result(sandbox.run(*decoded_request(body)))


def _json(content: object, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")


if __name__ == "__main__":
    main()
