"""One file of replies for every run and process: hits are the replies themselves, misses are asked and kept if good."""

import asyncio
import errno
import os
import pickle
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.chat import (
    CachedChatModel,
    ChatError,
    ChatModel,
    ChatReply,
    ChatRequest,
    Ledger,
    RecordedChatModel,
    ScriptedChatModel,
    StoreError,
    Usage,
    read_usage,
    wait_for,
)
from trajectories.messages import Message


def ask(model: ChatModel, text: str, **settings: Any) -> str:
    return asyncio.run(model.complete([Message("user", text)], **settings)).message.content


def named(name: str, script: Any) -> ScriptedChatModel:
    model = ScriptedChatModel(script)
    model.name = name
    return model


def test_a_second_run_asks_nothing_that_the_first_asked_and_other_models_are_others(tmp_path: Path):
    assert ask(CachedChatModel(tmp_path / "c", named("a", ["one"])), "Hi") == "one"
    assert ask(CachedChatModel(tmp_path / "c", named("a", [])), "Hi") == "one"
    assert ask(CachedChatModel(tmp_path / "c", named("b", ["two"])), "Hi") == "two"
    assert ask(CachedChatModel(tmp_path / "c", named("a", ["three"])), "Hi", temperature=0.0) == "three"
    assert ask(CachedChatModel(tmp_path / "c", named("a", ["four"])), "Hi", max_tokens=5) == "four"


def test_errors_and_half_answers_are_never_kept(tmp_path: Path):
    cut = ChatReply(Message("assistant", '{"a'), "length")
    model = CachedChatModel(tmp_path / "c", ScriptedChatModel([ChatError("timeout", "slow"), cut, "{}"]))
    for kind in ("timeout", "truncated"):
        with pytest.raises(ChatError) as caught:
            ask(model, "Hi", response_schema={})
        assert caught.value.kind == kind
    assert ask(model, "Hi", response_schema={}) == ask(model, "Hi", response_schema={}) == "{}"


def test_hits_are_counted_and_cost_nothing(tmp_path: Path):
    ledger = Ledger(tmp_path / "usage", "m", None)
    model = CachedChatModel(tmp_path / "c", ScriptedChatModel(lambda request: "yes"), ledger)
    assert [ask(model, text) for text in ("a", "a", "b", "a")] == ["yes"] * 4
    usage = read_usage(tmp_path / "usage")
    assert (usage.from_cache, usage.prompt_tokens) == (2, 0)


def test_a_damaged_reply_is_asked_for_again_and_mended(tmp_path: Path):
    model = CachedChatModel(tmp_path / "c", ScriptedChatModel(["first", "second"]))
    ask(model, "Hi")
    with sqlite3.connect(tmp_path / "c") as database:
        database.execute("UPDATE replies SET reply = replace(reply, 'first', 'worst')")
    database.close()
    assert ask(model, "Hi") == ask(model, "Hi") == "second"


def test_two_replies_that_changed_places_are_damaged(tmp_path: Path):
    model = CachedChatModel(tmp_path / "c", ScriptedChatModel(lambda request: request.messages[0].content.upper()))
    assert (ask(model, "a"), ask(model, "b")) == ("A", "B")
    with sqlite3.connect(tmp_path / "c") as database:
        (one, first, a), (two, second, b) = database.execute("SELECT * FROM replies").fetchall()
        database.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", [(one, second, b), (two, first, a)])
    database.close()
    assert (ask(model, "a"), ask(model, "b")) == ("A", "B")


def test_a_file_that_is_no_cache_is_named(tmp_path: Path):
    (tmp_path / "text").write_text("not a database, and long enough to be seen as none " * 9)
    with pytest.raises(StoreError, match="file is not a database .*: '.*text'"):
        CachedChatModel(tmp_path / "text", ScriptedChatModel([]))
    with pytest.raises(StoreError, match="unable to open .*nowhere"):
        CachedChatModel(tmp_path / "nowhere" / "c", ScriptedChatModel([]))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel fails writes beyond it, as over a quota; Python ignores the signal."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


Maker = Callable[[Path, ChatModel], ChatModel]


@pytest.mark.parametrize("make", [CachedChatModel, RecordedChatModel])
def test_a_full_disk_is_an_error_of_the_file_and_no_reply_is_lost_that_was_there(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def script(request: ChatRequest) -> str:
        return "x" * (9_999 if request.messages[0].content == "big" else 1)

    model = make(tmp_path / "words", ScriptedChatModel(script))
    assert ask(model, "small") == "x"

    class Full(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.execute("PRAGMA max_page_count = 1")  # as many as there are

    with monkeypatch.context() as patch:
        connect = sqlite3.connect
        patch.setattr(sqlite3, "connect", lambda *args, **kwargs: connect(*args, **kwargs, factory=Full))
        with pytest.raises(StoreError) as caught:
            ask(model, "big")
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, StoreError) and (error.errno, error.filename) == (errno.ENOSPC, str(tmp_path / "words"))
    with files_of_at_most((tmp_path / "words").stat().st_size), pytest.raises(StoreError, match="SQLITE_IOERR.*words"):
        ask(model, "big")
    assert ask(model, "small") == "x" and len(ask(model, "big")) == 9_999


ASKER = """
import asyncio, sys
from pathlib import Path
from services.chat import *
from trajectories.messages import Message

class Counting(ChatModel):
    name = "counting"
    async def respond(self, request):
        text = request.messages[0].content
        return ChatReply(Message("assistant", f"{sys.argv[2]} to {text}" + "." * 3000), usage=Usage(int(text), 1))

async def main():
    path = Path(sys.argv[1])
    ledger = Ledger(path / "usage", "m", None)
    model = CachedChatModel(path / "c", LimitedChatModel(Counting(), None, ledger), ledger)
    print("ready", flush=True)
    for number in range(int(sys.argv[3])):
        await model.complete([Message("user", str(number))])
        print(number, flush=True)

asyncio.run(main())
"""


def asker(directory: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ASKER, str(directory), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def test_two_processes_share_one_cache_and_agree_and_their_sums_add_up(tmp_path: Path):
    processes = [asker(tmp_path, name, 60) for name in ("left", "right")]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    model = CachedChatModel(tmp_path / "c", named("counting", []))
    assert all(f" to {number}" in ask(model, str(number)) for number in range(60))  # nothing is missing
    usage = read_usage(tmp_path / "usage")
    assert usage.requests == 120 and usage.answered >= 60 and usage.completion_tokens == usage.answered
    with sqlite3.connect(tmp_path / "c") as database:
        assert database.execute("SELECT count(*) FROM replies").fetchone() == (60,)
    database.close()


def test_a_process_that_is_killed_while_it_writes_leaves_whole_replies_and_true_sums(tmp_path: Path):
    for round in range(2):
        process = asker(tmp_path, "killed", 10_000)
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip().isdigit() and int(line) >= 20 * (round + 1):
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
        process.stdout.close()
    with sqlite3.connect(tmp_path / "c") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (kept,) = database.execute("SELECT count(*) FROM replies").fetchone()
    database.close()
    usage = read_usage(tmp_path / "usage")
    assert kept >= 40 and kept <= usage.answered <= kept + 2  # an answer that was lost with its process was paid for
    assert usage.prompt_tokens >= sum(range(kept)) and usage.completion_tokens == usage.answered
    finished = asker(tmp_path, "after", kept + 5)
    finished.communicate(timeout=120)
    assert read_usage(tmp_path / "usage").answered == usage.answered + 5


def test_many_threads_and_a_pickled_copy_use_one_file(tmp_path: Path):
    model = CachedChatModel(tmp_path / "c", Echo())
    copy: CachedChatModel = pickle.loads(pickle.dumps(model))
    heard: list[str] = []

    def call(number: int) -> None:
        reply = wait_for((copy if number % 2 else model).complete([Message("user", str(number // 2))]))
        heard.append(reply.message.content)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == sorted(f"echo {number // 2}" for number in range(40))


class Echo(ChatModel):
    name = "echo"

    async def respond(self, request: ChatRequest) -> ChatReply:
        return ChatReply(Message("assistant", f"echo {request.messages[0].content}"), usage=Usage(1, 1))
