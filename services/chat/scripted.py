"""A chat model without a model: replies come from a function, a table or a list, the same at every run."""

from collections.abc import Callable, Mapping, Sequence

from services.chat.model import ChatError, ChatModel, ChatReply, ChatRequest
from trajectories.messages import Message

__all__ = ["Script", "ScriptedChatModel", "ScriptedReply"]

ScriptedReply = str | Message | ChatReply | ChatError
"""Text and messages are whole replies; an error is raised."""

Script = Callable[[ChatRequest], ScriptedReply] | Mapping[str, ScriptedReply] | Sequence[ScriptedReply]


class ScriptedChatModel(ChatModel):
    """Replies by a script.

    Args:
        script: a function of the request; a mapping from the content of the request's last message; or a list, for one
            caller who asks in a known order: with several callers the order of arrival would decide who hears what.
    """

    name = "scripted"

    def __init__(self, script: Script) -> None:
        self._script = script
        self._next = 0

    async def respond(self, request: ChatRequest) -> ChatReply:
        reply = self._scripted(request)
        if isinstance(reply, ChatError):
            raise reply
        if isinstance(reply, ChatReply):
            return reply
        message = Message("assistant", reply) if isinstance(reply, str) else reply
        return ChatReply(message, "tool_calls" if message.tool_calls else "stop")

    def _scripted(self, request: ChatRequest) -> ScriptedReply:
        if callable(self._script):
            return self._script(request)
        if isinstance(self._script, Mapping):
            asked = request.messages[-1].content if request.messages else ""
            if asked not in self._script:
                return ChatError("unscripted", f"{self.name}: no reply to {asked[:80]!r}")
            return self._script[asked]
        if self._next == len(self._script):
            return ChatError("unscripted", f"{self.name}: all {self._next} replies are given")
        self._next += 1
        return self._script[self._next - 1]
