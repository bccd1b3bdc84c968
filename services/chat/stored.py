"""Replies on disk, by what was asked. A reply that was kept is the one that everybody gets: the first stands for all.

Each has a checksum over what was asked and what was answered. Nothing is ever evicted: delete a file that is too large.
"""

import errno
import hashlib
from dataclasses import asdict
from json import dumps, loads
from pathlib import Path
from typing import Final

from services.chat.model import ChatReply, ChatRequest, Usage
from services.chat.sqlite_file import SqliteFile, StoreError
from trajectories.messages import Message

__all__ = ["DamagedReply", "StoredReplies", "asked"]

SCHEMA: Final = "CREATE TABLE IF NOT EXISTS replies (asked TEXT PRIMARY KEY, reply TEXT NOT NULL, sha256 TEXT NOT NULL);"


class DamagedReply(StoreError):
    """A reply is not what was written."""


class StoredReplies:
    """The replies in the file at `path`; can be sent to other processes.

    Raises:
        StoreError: the file cannot be used; so does every method.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._file = SqliteFile(path, SCHEMA, read_only)
        if not read_only:
            self._file.create()

    def get(self, key: str) -> ChatReply | None:
        """None where there is none.

        Raises:
            DamagedReply: it was changed since.
        """
        with self._file.open() as database:
            found = database.execute("SELECT reply, sha256 FROM replies WHERE asked = ?", (key,)).fetchone()
        return None if found is None else self._checked(key, *found)

    def keep(self, key: str, reply: ChatReply, *, replace: bool = False) -> ChatReply:
        """The reply that is in the file afterwards: another process may have been first."""
        text, how = _text(reply), "REPLACE" if replace else "IGNORE"
        with self._file.open() as database:
            database.execute(f"INSERT OR {how} INTO replies VALUES (?, ?, ?)", (key, text, _checksum(key, text)))
            found = database.execute("SELECT reply, sha256 FROM replies WHERE asked = ?", (key,)).fetchone()
        return self._checked(key, *found)

    def _checked(self, key: str, text: str, checksum: str) -> ChatReply:
        if checksum != _checksum(key, text):
            raise DamagedReply(errno.EIO, f"reply {key[:12]} was changed after it was written", str(self._file.path))
        return _reply(text)


def asked(request: ChatRequest) -> dict[str, object]:
    """All of a request, as JSON has it."""
    return {
        "messages": [message.to_openai() for message in request.messages],
        "tools": [tool.to_mcp() for tool in request.tools],
        "response_schema": None if request.response_schema is None else dict(request.response_schema),
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
    }


def _checksum(key: str, text: str) -> str:
    return hashlib.sha256(f"{key}\n{text}".encode()).hexdigest()


def _text(reply: ChatReply) -> str:
    told = {"message": reply.message.to_openai(), "finish_reason": reply.finish_reason}
    return dumps({**told, "usage": None if reply.usage is None else asdict(reply.usage)})


def _reply(text: str) -> ChatReply:
    told = loads(text)
    usage = None if told["usage"] is None else Usage(**told["usage"])
    return ChatReply(Message.from_openai(told["message"]), told["finish_reason"], usage)
