"""A chat model behind an OpenAI-compatible endpoint, by the official client: one request, one attempt.

Whatever the endpoint does ends in a reply or in a `ChatError`, within `timeout_seconds` and `_MOST_BYTES`. The key comes from
the environment, goes to `base_url` and nowhere else, and is in no settings, no error and no reply. Trying again is
`LimitedChatModel`'s.
"""

import asyncio
import json
import math
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAsyncHttpxClient

from services.chat.model import ChatError, ChatErrorKind, ChatModel, ChatReply, ChatRequest
from services.chat.wire import reply_of, wire_of

__all__ = ["EndpointChatModel", "EndpointConfig", "OptionalEndpointConfig"]

_MOST_BYTES: Final = 32 * 2**20
"""Of an answer; some endpoint that sends without end would otherwise fill the memory before its time is up."""
_KEY_CHARACTERS: Final = 16
"""A key as long as this cannot stand in a reply by chance, as `EMPTY` can."""


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Which model, and how long to wait for it."""

    base_url: str
    """As the client takes it, mostly ending in ``/v1``."""
    model: str
    """The endpoint's name of the model."""
    api_key_variable: str | None = None
    """The environment variable that holds the key; null for an endpoint that wants none."""
    timeout_seconds: float = 120.0
    """For the whole answer to one attempt."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"chat.base_url is a URL like http://127.0.0.1:8000/v1, not {self.base_url!r}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("chat.base_url holds a name or password; name a variable in chat.api_key_variable instead")
        if parts.query or parts.fragment:  # the client loses it, and what is in it would stand in every row
            raise ValueError("chat.base_url holds a query or fragment; leave it out, and a key to chat.api_key_variable")
        if not self.model:
            raise ValueError("chat.model is empty; give the endpoint's name of the model")
        if not self.timeout_seconds > 0:
            raise ValueError(f"chat.timeout_seconds is above 0, not {self.timeout_seconds}")


@dataclass(frozen=True, kw_only=True)
class OptionalEndpointConfig(EndpointConfig):
    """An endpoint that may be none."""

    base_url: str = ""
    """As the client takes it, mostly ending in ``/v1``; empty for no model."""
    model: str = ""
    """The endpoint's name of the model."""

    def __post_init__(self) -> None:
        if self.base_url:
            super().__post_init__()
        elif self.model:
            raise ValueError("endpoint.base_url says where the model is; set it, or leave out endpoint.model")


class EndpointChatModel(ChatModel):
    """The model that `config` names; can be sent to other processes, which find the key in their own environment.

    Raises:
        ValueError: the variable that should hold the key is not set.
    """

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self.name = f"{config.model} at {config.base_url}"
        self._key = _key_from_environment(config)
        self._client: AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config,)

    async def respond(self, request: ChatRequest) -> ChatReply:
        try:
            async with asyncio.timeout(self.config.timeout_seconds):
                answer = await self._connected().chat.completions.with_raw_response.create(
                    model=self.config.model, **wire_of(request)
                )
            return self._keyless(reply_of(answer.content))
        except (TimeoutError, APITimeoutError) as error:
            raise self._error("timeout", f"no answer within {self.config.timeout_seconds:g} s") from error
        except _TooLong:
            raise self._error("malformed", f"the answer is longer than {_MOST_BYTES} bytes") from None
        except APIConnectionError as error:
            raise self._error("unreachable", f"{error.message} {error.__cause__ or ''}".strip()) from error
        except APIStatusError as error:
            # Without its cause, in whose text a key may stand.
            raise self._status_error(error) from None
        except ChatError as error:
            raise self._error(error.kind, error.message, usage=error.usage) from error
        except UnicodeEncodeError as error:
            raise self._error("refused", "a message holds half of a surrogate pair, which cannot be sent") from error

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    def _connected(self) -> AsyncOpenAI:
        """The client of the running loop: connections cannot move from one loop to another."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._client = AsyncOpenAI(
                base_url=self.config.base_url,
                # Never None, for which the client would look up OPENAI_API_KEY and send it to whatever endpoint this is.
                api_key=self._key or "none",
                timeout=self.config.timeout_seconds,
                max_retries=0,
                # A redirect could lead anywhere, and compression would hide how long an answer is.
                http_client=DefaultAsyncHttpxClient(
                    follow_redirects=False, headers={"accept-encoding": "identity"}, event_hooks={"response": [_bounded]}
                ),
            )
        return self._client

    def _keyless(self, reply: ChatReply) -> ChatReply:
        """The reply, which no model can have put the key into: whatever stands between has, and it would go on record."""
        if len(self._key) >= _KEY_CHARACTERS and self._key in json.dumps(reply.message.to_openai(), ensure_ascii=False):
            raise ChatError("malformed", "the answer holds the API key", reply.usage)
        return reply

    def _status_error(self, error: APIStatusError) -> ChatError:
        status, headers = error.status_code, error.response.headers
        what = f"HTTP {status}: {error.message}"
        if 300 <= status < 400:
            what = f"HTTP {status}: redirects are not followed; give {headers.get('location')} as base_url if you trust it"
        # What the account has run out of does not come back by waiting.
        kind = "refused" if error.code == "insufficient_quota" else _kind_of(status)
        return self._error(kind, what, retry_after=_retry_after(headers))

    def _error(self, kind: ChatErrorKind, what: str, **details: Any) -> ChatError:
        if self._key:
            what = what.replace(self._key, "[key]")  # some endpoints repeat what they were sent
        what = what.encode(errors="replace").decode()  # half of a surrogate pair fits no journal
        return ChatError(kind, f"{self.name}: {what[:400]}", **details)


class _TooLong(Exception):
    """More than `_MOST_BYTES` came."""


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, up to `_MOST_BYTES`."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _MOST_BYTES
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise _TooLong
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bounded(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


def _key_from_environment(config: EndpointConfig) -> str:
    if config.api_key_variable is None:
        return ""
    key = os.environ.get(config.api_key_variable, "").strip()
    if not key:
        raise ValueError(f"chat.api_key_variable: {config.api_key_variable} is not set in the environment; export it")
    if not (key.isascii() and key.isprintable()):  # no header can carry it, and an error about that would show it
        raise ValueError(f"chat.api_key_variable: {config.api_key_variable} holds line breaks or other than ASCII characters")
    return key


def _kind_of(status: int) -> ChatErrorKind:
    if status in (429, 503):
        return "overloaded"
    if status == 408:
        return "timeout"
    return "failed" if status >= 500 else "refused"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, which the header gives as such or as a date; None where it says nothing that makes sense."""
    if (text := headers.get("retry-after")) is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
