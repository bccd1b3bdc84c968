"""Chat models for roles that are not trained: users, tool worlds, judges, task writers.

`ChatModel` is what such a role takes. `EndpointChatModel` talks to an OpenAI-compatible endpoint; `LimitedChatModel` stands
around it and tries again, `CachedChatModel` keeps replies for every run and `RecordedChatModel` those of one, and a `Ledger`
counts what it all cost. `ScriptedChatModel` needs no model at all. `ask_until` asks again with the reason, and `wait_for` is
for callers that are not asynchronous.
"""

from services.chat.accounting import Ledger, RoleUsage, read_usage
from services.chat.asking import NoUsableAnswer, UnusableAnswer, ask_until
from services.chat.cached import CachedChatModel
from services.chat.endpoint import EndpointChatModel, EndpointConfig, OptionalEndpointConfig
from services.chat.limited import LimitedChatModel, Limits
from services.chat.model import ChatError, ChatErrorKind, ChatModel, ChatReply, ChatRequest, FinishReason, Usage
from services.chat.prices import Price, price_table
from services.chat.recorded import RecordedChatModel
from services.chat.scripted import ScriptedChatModel
from services.chat.sqlite_file import StoreError
from services.chat.waiting import wait_for

__all__ = [
    "CachedChatModel", "ChatError", "ChatErrorKind", "ChatModel", "ChatReply", "ChatRequest", "EndpointChatModel",
    "EndpointConfig", "FinishReason", "Ledger", "LimitedChatModel", "Limits", "NoUsableAnswer", "OptionalEndpointConfig",
    "Price", "RecordedChatModel", "RoleUsage", "ScriptedChatModel", "StoreError", "UnusableAnswer", "Usage", "ask_until",
    "price_table", "read_usage", "wait_for",
]  # fmt: skip
