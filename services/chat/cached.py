"""A chat model whose good replies are kept for every run: what any process asked before is not asked again.

The key is the model's name, address included, and everything else that a reply depends on; so one file serves many models. A
request without a seed has one reply for ever, as one with a seed has.
"""

import asyncio
from pathlib import Path
from typing import Final

from services.chat.accounting import Ledger
from services.chat.model import ChatModel, ChatReply, ChatRequest, is_cut_off
from services.chat.stored import DamagedReply, StoredReplies, asked
from trajectories.canonical import digest

__all__ = ["CachedChatModel"]

_FORMAT: Final = 1
"""Raised when what is stored changes its shape: older replies are then not found."""


class CachedChatModel(ChatModel):
    """Replies from the file at `path`; what it lacks, or holds damaged, is asked of `model` and kept. Errors never are.

    Args:
        path: an SQLite database, on a disk that locks files. It grows with every reply and evicts nothing.
        ledger: where hits are counted; what is asked of `model` is counted by `LimitedChatModel`.

    Raises:
        StoreError: the file cannot be used, by name; so does `respond`.
    """

    def __init__(self, path: str | Path, model: ChatModel, ledger: Ledger | None = None) -> None:
        self.name = model.name
        self._model, self._ledger = model, ledger
        self._replies = StoredReplies(Path(path))

    async def respond(self, request: ChatRequest) -> ChatReply:
        key, is_damaged = digest({"format": _FORMAT, "model": self.name, **asked(request)}), False
        try:
            kept = self._replies.get(key)
        except DamagedReply:
            kept, is_damaged = None, True
        if kept is not None:
            if self._ledger is not None:
                self._ledger.add("cached")
            return kept
        reply = await self._model.respond(request)
        if is_cut_off(request, reply):
            return reply
        # In a thread: a busy disk must not hold up the answers to others.
        return await asyncio.to_thread(self._replies.keep, key, reply, replace=is_damaged)

    async def close(self) -> None:
        await self._model.close()
