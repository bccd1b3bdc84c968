"""A chat model behind an OpenAI-compatible endpoint, by the official client.

Whatever the endpoint does ends in a reply or in a `ChatError`, within `timeout_seconds`. The key comes from the
environment, is in no settings and in no error.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI

from services.chat.model import ChatError, ChatErrorKind, ChatModel, ChatReply, ChatRequest
from services.chat.wire import reply_of, wire_of

__all__ = ["EndpointChatModel", "EndpointConfig", "OptionalEndpointConfig"]


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
    """For a reply, retries included."""
    max_retries: int = 2
    """Further attempts by the client after an error that may pass: no connection, 408, 409, 429, 5xx."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"chat.base_url is a URL like http://127.0.0.1:8000/v1, not {self.base_url!r}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("chat.base_url holds a name or password; name a variable in chat.api_key_variable instead")
        if not self.model:
            raise ValueError("chat.model is empty; give the endpoint's name of the model")
        if not self.timeout_seconds > 0:
            raise ValueError(f"chat.timeout_seconds is above 0, not {self.timeout_seconds}")
        if self.max_retries < 0:
            raise ValueError(f"chat.max_retries is at least 0, not {self.max_retries}")


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
            return reply_of(answer.content)
        except (TimeoutError, APITimeoutError) as error:
            raise self._error("timeout", f"no answer within {self.config.timeout_seconds:g} s") from error
        except APIConnectionError as error:
            raise self._error("unreachable", f"{error.message} {error.__cause__ or ''}".strip()) from error
        except APIStatusError as error:
            # Without its cause, in whose text a key may stand.
            raise self._error(_kind_of(error.status_code), f"HTTP {error.status_code}: {error.message}") from None
        except ChatError as error:
            raise self._error(error.kind, error.message) from error
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
                max_retries=self.config.max_retries,
            )
        return self._client

    def _error(self, kind: ChatErrorKind, what: str) -> ChatError:
        if self._key:
            what = what.replace(self._key, "[key]")  # some endpoints repeat what they were sent
        return ChatError(kind, f"{self.name}: {what[:400]}")


def _key_from_environment(config: EndpointConfig) -> str:
    if config.api_key_variable is None:
        return ""
    key = os.environ.get(config.api_key_variable, "").strip()
    if not key:
        raise ValueError(f"chat.api_key_variable: {config.api_key_variable} is not set in the environment; export it")
    return key


def _kind_of(status: int) -> ChatErrorKind:
    if status in (429, 503):
        return "overloaded"
    return "failed" if status >= 500 else "refused"
