"""A real HTTP server on loopback, for as long as a test needs it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["Handler", "completion", "served"]

Handler = Callable[[Request], Awaitable[Response]]


def completion(message: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"} | (message or {}), "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    return {"id": "x", "object": "chat.completion", "choices": [choice | changed], "usage": usage}


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """The base URL of an endpoint that answers with `handler`."""
    app = Starlette(routes=[Route("/v1/chat/completions", handler, methods=["POST", "GET"])])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="critical", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await serving
