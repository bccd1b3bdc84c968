"""Answers before the end: a client that writes its requests and closes the pipe still gets what it asked for.

The SDK's server stops as soon as its incoming stream ends, and drops the requests it is working on. Here the end is held
back until each of them has been answered.
"""

from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import anyio
from mcp import types
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage

__all__ = ["draining"]

_GRACE: Final = 30.0
"""Seconds that requests in flight get once the client has closed its side."""

Stream = TypeVar("Stream", ReadStream[SessionMessage | Exception], WriteStream[SessionMessage])


def draining(
    incoming: ReadStream[SessionMessage | Exception], outgoing: WriteStream[SessionMessage]
) -> tuple["_Incoming", "_Outgoing"]:
    """The same streams for a server to run on; the end of the first waits until the second has carried all answers."""
    unanswered = _Unanswered()
    return _Incoming(incoming, unanswered), _Outgoing(outgoing, unanswered)


class _Unanswered:
    def __init__(self) -> None:
        self._ids: set[types.RequestId] = set()
        self._none = anyio.Event()

    def asked(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCRequest):
            self._ids.add(message.id)
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._settle((message.params or {}).get("requestId"))  # will have no answer

    def answered(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            self._settle(message.id)

    async def none(self) -> None:
        if self._ids:
            self._none = anyio.Event()
            with anyio.move_on_after(_GRACE):
                await self._none.wait()

    def _settle(self, id: Any) -> None:
        self._ids.discard(id)
        if not self._ids:
            self._none.set()


class _Wrapped(Generic[Stream]):
    def __init__(self, inner: Stream, unanswered: _Unanswered) -> None:
        self._inner: Stream = inner
        self._unanswered = unanswered

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Incoming(_Wrapped[ReadStream[SessionMessage | Exception]]):
    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        try:
            item = await self._inner.receive()
        except anyio.EndOfStream:
            await self._unanswered.none()
            raise
        if isinstance(item, SessionMessage):
            self._unanswered.asked(item.message)
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        with suppress(anyio.EndOfStream):
            return await self.receive()
        raise StopAsyncIteration


class _Outgoing(_Wrapped[WriteStream[SessionMessage]]):
    async def send(self, item: SessionMessage, /) -> None:
        await self._inner.send(item)
        self._unanswered.answered(item.message)
