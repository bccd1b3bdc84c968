"""What every chat model is: messages in, one message out, or a typed error.

A caller uses `complete`; an implementation gives `respond`, which takes the whole request as one record. So a model
can stand around another one (to limit, retry, remember or count) and pass on a request without knowing what is in it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trajectories.messages import Message, ToolSpec

__all__ = [
    "ChatError", "ChatErrorKind", "ChatModel", "ChatReply", "ChatRequest", "FinishReason", "Usage", "cut_off", "is_cut_off",
]  # fmt: skip

FinishReason = Literal["stop", "length", "tool_calls"]
"""The model came to its end; it was cut off at `max_tokens`; it calls tools."""

ChatErrorKind = Literal[
    "unreachable", "timeout", "overloaded", "failed", "refused", "malformed", "truncated", "declined", "unscripted"
]
"""No connection, or one that broke off; no answer in time (408, too); too many requests (429, 503); the endpoint broke
(other 5xx); it takes no such request (3xx, other 4xx: address, key, model name, settings); its answer is no chat completion;
JSON that was cut off at `max_tokens`; the model or a filter would not answer; a script has no reply to this."""


class ChatError(RuntimeError):
    """There is no reply. For whoever is played by the model this is a fault, never an answer.

    Args:
        usage: what was paid for an answer that is none, where the endpoint says so.
        retry_after: seconds that the endpoint asks to be left alone.
        attempts: how often it was asked.
    """

    def __init__(
        self,
        kind: ChatErrorKind,
        message: str,
        usage: "Usage | None" = None,
        retry_after: float | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.kind: ChatErrorKind = kind
        self.message = message
        self.usage, self.retry_after, self.attempts = usage, retry_after, attempts

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.kind, self.message, self.usage, self.retry_after, self.attempts)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Everything that a reply depends on besides the model; None leaves a setting to the model."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    response_schema: Mapping[str, Any] | None = None
    """JSON Schema of the reply's content. It is asked for, and what comes back is the caller's to check."""
    temperature: float | None = None
    max_tokens: int | None = None
    """Of the reply, reasoning included."""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply cost, in tokens of the model that gave it."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One message of the assistant."""

    message: Message
    finish_reason: FinishReason = "stop"
    usage: Usage | None = None
    """None where nobody counted."""


def is_cut_off(request: ChatRequest, reply: ChatReply) -> bool:
    """Whether this is half of the JSON that was asked for: `ChatModel.complete` makes an error of it."""
    return request.response_schema is not None and reply.finish_reason == "length"


def cut_off(model: str, request: ChatRequest) -> ChatError:
    """The error that `ChatModel.complete` makes of it."""
    return ChatError("truncated", f"{model}: the JSON is cut off at max_tokens={request.max_tokens}; raise it")


class ChatModel(ABC):
    """A model that chats."""

    name: str
    """What errors call it."""

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        response_schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
    ) -> ChatReply:
        """The reply to a dialogue; arguments as the fields of `ChatRequest`.

        Raises:
            ChatError: there is none, or there is half of the JSON that was asked for.
        """
        request = ChatRequest(tuple(messages), tuple(tools), response_schema, temperature, max_tokens, seed)
        reply = await self.respond(request)
        if is_cut_off(request, reply):
            raise cut_off(self.name, request)
        return reply

    @abstractmethod
    async def respond(self, request: ChatRequest) -> ChatReply:
        """As `complete`, of one record: what an implementation gives."""

    async def close(self) -> None:
        """Lets go of connections; a second time does nothing."""
        return None
