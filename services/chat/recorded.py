"""A chat model whose replies are written down, by what was asked: what a live model said replays without it.

A request that was answered once is never put to the model again, so a run that was killed goes on with the words that it had,
and several processes that record into one file agree (the first reply stands for all). Errors are replies, too: an episode
that ended in a fault replays as one; record into a new file to ask again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from json import dumps, loads
from pathlib import Path

from services.chat.model import ChatError, ChatModel, ChatReply, ChatRequest, Usage
from trajectories.canonical import digest
from trajectories.messages import Message

__all__ = ["RecordedChatModel"]

_NAME = "name"
"""The key of the model's name; every other key is a digest."""


class RecordedChatModel(ChatModel):
    """Replies from the file at `path`; what it lacks is asked of `model` and kept.

    Args:
        path: an SQLite database, on a disk that locks files.
        model: who is recorded; None to replay, where nothing is written and an unknown request is an error.

    Raises:
        FileNotFoundError: there is nothing to replay.
        ValueError: the file is no recording, or one of another model.
    """

    def __init__(self, path: str | Path, model: ChatModel | None = None) -> None:
        self._path, self._model = Path(path), model
        if model is None and not self._path.exists():
            raise FileNotFoundError(f"{self._path}: there is no recording")
        try:
            self.name = self._opened()
        except (sqlite3.Error, ValueError) as error:
            raise ValueError(f"{self._path}: not a recording of a chat model: {error}") from error
        if model is not None and model.name != self.name:
            raise ValueError(f"{self._path}: a recording of {self.name}, not of {model.name}; record into a new file")

    async def respond(self, request: ChatRequest) -> ChatReply:
        key = digest(_asked(request))
        text = self._recorded(key)
        if text is None:
            if self._model is None:
                raise ChatError("unscripted", f"{self.name}: this request is not in the recording {self._path.name}")
            text = self._keep(key, await _answered(self._model, request))
        return _reply(text)

    async def close(self) -> None:
        if self._model is not None:
            await self._model.close()

    def _opened(self) -> str:
        if self._model is not None:
            with self._database() as database:
                database.execute("CREATE TABLE IF NOT EXISTS replies (asked TEXT PRIMARY KEY, reply TEXT NOT NULL)")
            return str(loads(self._keep(_NAME, dumps(self._model.name))))
        name = self._recorded(_NAME)
        if name is None:
            raise ValueError("it names no model")
        return str(loads(name))

    def _recorded(self, key: str) -> str | None:
        with self._database() as database:
            found = database.execute("SELECT reply FROM replies WHERE asked = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def _keep(self, key: str, reply: str) -> str:
        """The reply that is in the file afterwards: another process may have been first."""
        with self._database() as database:
            database.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, reply))
            return str(database.execute("SELECT reply FROM replies WHERE asked = ?", (key,)).fetchone()[0])

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        # A connection for each access: none can cross a fork, a thread or a pickle.
        mode = "ro" if self._model is None else "rwc"
        where = f"{self._path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(where, uri=True, timeout=60)) as database, database:
            yield database


async def _answered(model: ChatModel, request: ChatRequest) -> str:
    try:
        reply = await model.respond(request)
    except ChatError as error:
        return dumps({"error": {"kind": error.kind, "message": error.message}})
    told = {"message": reply.message.to_openai(), "finish_reason": reply.finish_reason}
    return dumps({**told, "usage": None if reply.usage is None else asdict(reply.usage)})


def _reply(text: str) -> ChatReply:
    told = loads(text)
    if "error" in told:
        raise ChatError(**told["error"])
    usage = None if told["usage"] is None else Usage(**told["usage"])
    return ChatReply(Message.from_openai(told["message"]), told["finish_reason"], usage)


def _asked(request: ChatRequest) -> dict[str, object]:
    return {
        "messages": [message.to_openai() for message in request.messages],
        "tools": [tool.to_mcp() for tool in request.tools],
        "response_schema": None if request.response_schema is None else dict(request.response_schema),
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
    }
