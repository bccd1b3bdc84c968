"""Replies from the on-disk cache of chat models: hits per second, beside bare look-ups of the same texts in SQLite."""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.figure import Figure, Limit, seconds_of, take_turns
from services.chat import CachedChatModel, ChatRequest, ScriptedChatModel
from trajectories.messages import Message

__all__ = ["ChatCacheBenchmark", "measure"]


@dataclass(frozen=True, kw_only=True)
class ChatCacheBenchmark:
    replies: int = 2000
    """Different requests, each asked once and kept."""
    characters: int = 4000
    """Of a request's prompt."""

    def __post_init__(self) -> None:
        for key in ("replies", "characters"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")

    def quick(self) -> "ChatCacheBenchmark":
        return replace(self, replies=20)


def measure(settings: ChatCacheBenchmark, repeats: int) -> list[Figure]:
    """Hits per second in one process, with every check; the model is scripted, and asked only while the file fills."""
    requests = [_request(settings, number) for number in range(settings.replies)]
    asked = 0

    def script(request: ChatRequest) -> str:
        nonlocal asked
        asked += 1
        return request.messages[-1].content[::-1][:1000]

    with tempfile.TemporaryDirectory(prefix="orrery-bench-cache-") as place:
        path = Path(place, "cache.sqlite")
        cached = CachedChatModel(path, ScriptedChatModel(script))
        filling = len(requests) / seconds_of(lambda: asyncio.run(_ask(cached, requests)))
        with closing(sqlite3.connect(path)) as database:
            keys = [key for (key,) in database.execute("SELECT asked FROM replies")]
        hits, bare = take_turns(
            repeats,
            lambda: len(requests) / seconds_of(lambda: asyncio.run(_ask(cached, requests))),
            lambda: len(keys) / seconds_of(lambda: _look_up(path, keys)),
        )
        if asked != settings.replies:
            raise RuntimeError(f"{asked} requests reached the model, {settings.replies} were new")
        size = path.stat().st_size / settings.replies
    details = {"replies": float(settings.replies), "bytes_per_reply": size, "kept_per_second": filling}
    return [Figure("cache hits", "calls/s", hits, Limit("SQLite look-ups, a connection each", bare), details)]


def _request(settings: ChatCacheBenchmark, number: int) -> ChatRequest:
    words = f"request {number} "
    prompt = (words * (settings.characters // len(words) + 1))[: settings.characters]
    return ChatRequest((Message("system", "You are brief."), Message("user", prompt)), temperature=0.0, seed=number)


async def _ask(model: CachedChatModel, requests: list[ChatRequest]) -> None:
    for request in requests:
        await model.respond(request)


def _look_up(path: Path, keys: list[str]) -> None:
    for key in keys:
        with closing(sqlite3.connect(path)) as database:
            database.execute("SELECT reply FROM replies WHERE asked = ?", (key,)).fetchone()
