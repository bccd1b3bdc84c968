"""Chat models for roles that are not trained: users, tool worlds, judges, task writers.

`ChatModel` is what such a role takes; `EndpointChatModel` talks to an OpenAI-compatible endpoint, and `ScriptedChatModel`
needs no model at all; `RecordedChatModel` keeps what another one said. `wait_for` is for callers that are not asynchronous.
"""

from services.chat.endpoint import EndpointChatModel, EndpointConfig, OptionalEndpointConfig
from services.chat.model import ChatError, ChatErrorKind, ChatModel, ChatReply, ChatRequest, FinishReason, Usage
from services.chat.recorded import RecordedChatModel
from services.chat.scripted import ScriptedChatModel
from services.chat.waiting import wait_for

__all__ = [
    "ChatError", "ChatErrorKind", "ChatModel", "ChatReply", "ChatRequest", "EndpointChatModel", "EndpointConfig",
    "FinishReason", "OptionalEndpointConfig", "RecordedChatModel", "ScriptedChatModel", "Usage", "wait_for",
]  # fmt: skip
