"""A chat model whose replies are written down, by what was asked: what a live model said replays without it.

A request that was answered once is never put to the model again, so a run that was killed goes on with the words that it had,
and several processes that record into one file agree (the first reply stands for all). Errors are no replies: a run that goes
on asks again. A replay cannot: it meets the error that the request ended with, since whoever asked may have gone on from it; and
where nobody was heard it has nothing to say either.
"""

import asyncio
import errno
from pathlib import Path
from typing import Final

from services.chat.accounting import Ledger
from services.chat.model import ChatError, ChatErrorKind, ChatModel, ChatReply, ChatRequest, cut_off, is_cut_off
from services.chat.sqlite_file import SqliteFile, StoreError
from services.chat.stored import StoredReplies, asked
from trajectories.canonical import digest

__all__ = ["RecordedChatModel"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS recorded (only INTEGER PRIMARY KEY CHECK (only = 0), model TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS errors (asked TEXT PRIMARY KEY, kind TEXT NOT NULL, message TEXT NOT NULL);
"""
_HEARD: Final[tuple[ChatErrorKind, ...]] = ("refused", "malformed", "truncated", "declined")
"""Errors that some roles take for an answer, and go on from."""


class RecordedChatModel(ChatModel):
    """Replies from the file at `path`; what it lacks is asked of `model` and kept.

    Args:
        path: an SQLite database, on a disk that locks files.
        model: who is recorded; None to replay, where nothing is written and an unknown request is an error.
        ledger: where replies from the file are counted.

    Raises:
        FileNotFoundError: there is nothing to replay.
        ValueError: the file is no recording, or one of another model.
        StoreError: the file cannot be written, or, in `respond`, holds a reply that was changed since.
    """

    def __init__(self, path: str | Path, model: ChatModel | None = None, ledger: Ledger | None = None) -> None:
        self._path, self._model, self._ledger = Path(path), model, ledger
        if model is None and not self._path.exists():
            raise FileNotFoundError(f"{self._path}: there is no recording")
        self._file = SqliteFile(self._path, _SCHEMA, read_only=model is None)
        try:
            self._replies = StoredReplies(self._path, read_only=model is None)
            self.name = self._recorded_name()
        except StoreError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise ValueError(f"{self._path}: not a recording of a chat model: {error.strerror}") from error
        if model is not None and model.name != self.name:
            raise ValueError(f"{self._path}: a recording of {self.name}, not of {model.name}; record into a new file")

    async def respond(self, request: ChatRequest) -> ChatReply:
        key = digest(asked(request))
        kept = self._replies.get(key)
        if kept is not None:
            if self._ledger is not None:
                self._ledger.add("replayed" if self._model is None else "recorded")
            return kept
        if self._model is None:
            raise self._recorded_error(key)
        try:
            reply = await self._model.respond(request)
        except ChatError as error:
            if error.kind in _HEARD:
                await asyncio.to_thread(self._keep_error, key, error)
            raise
        if is_cut_off(request, reply):
            await asyncio.to_thread(self._keep_error, key, cut_off(self.name, request))
            return reply
        # In a thread: a busy disk must not hold up the answers to others.
        return await asyncio.to_thread(self._replies.keep, key, reply)

    async def close(self) -> None:
        if self._model is not None:
            await self._model.close()

    def _keep_error(self, key: str, error: ChatError) -> None:
        """The last one stands: whoever asked again went on from that."""
        with self._file.open() as database:
            database.execute("INSERT OR REPLACE INTO errors VALUES (?, ?, ?)", (key, error.kind, error.message))

    def _recorded_error(self, key: str) -> ChatError:
        with self._file.open() as database:
            found = database.execute("SELECT kind, message FROM errors WHERE asked = ?", (key,)).fetchone()
        if found is None:
            return ChatError("unscripted", f"{self.name}: this request is not in the recording {self._path.name}")
        return ChatError(*found)

    def _recorded_name(self) -> str:
        """Whose recording it is, which the first process to write says."""
        if self._model is not None:
            self._file.create()
        with self._file.open() as database:
            database.execute("SELECT asked FROM errors LIMIT 1")  # older files lack them
            if self._model is not None:
                database.execute("INSERT OR IGNORE INTO recorded VALUES (0, ?)", (self._model.name,))
            found = database.execute("SELECT model FROM recorded").fetchone()
        if found is None:
            raise StoreError(errno.EIO, "it names no model", str(self._path))
        return str(found[0])
