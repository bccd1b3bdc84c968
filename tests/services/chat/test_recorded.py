"""What was asked once is answered from the file, the same for everybody and for ever."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chat import ChatError, ChatModel, ChatReply, ScriptedChatModel, Usage
from services.chat.recorded import RecordedChatModel
from trajectories.messages import Message, ToolCall


def ask(model: ChatModel, text: str, seed: int | None = None) -> ChatReply:
    return asyncio.run(model.complete([Message("user", text)], seed=seed))


@settings(max_examples=15)
@given(st.text(), st.text(st.characters()), st.none() | st.builds(Usage, st.integers(0, 9), st.integers(0, 9)))
def test_a_reply_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, content: str, reasoning: str, usage: Usage | None
):
    message = Message("assistant", content, (ToolCall("a", "b", "{"),), reasoning_content=reasoning + "\ud800")
    reply = ChatReply(message, "length", usage)
    path = tmp_path_factory.mktemp("words") / "words"
    assert ask(RecordedChatModel(path, ScriptedChatModel([reply])), "Hi") == reply
    assert ask(RecordedChatModel(path), "Hi") == reply


def test_every_part_of_the_request_counts_and_each_is_asked_once(tmp_path: Path):
    model = RecordedChatModel(tmp_path / "words", ScriptedChatModel(["one", "two", "three"]))
    heard = [ask(model, text, seed).message.content for text, seed in (("a", 0), ("a", 1), ("b", 0), ("a", 0), ("b", 0))]
    assert heard == ["one", "two", "three", "one", "three"]


def test_of_two_processes_that_ask_at_once_the_first_speaks_for_both(tmp_path: Path):
    class Rival(ScriptedChatModel):
        async def respond(self, request):  # while this one is asked, the other one is answered
            other = RecordedChatModel(tmp_path / "words", ScriptedChatModel(["first"]))
            await other.respond(request)
            return await super().respond(request)

    assert ask(RecordedChatModel(tmp_path / "words", Rival(["second"])), "Hi").message.content == "first"


def test_errors_are_recorded_too_and_replay_names_the_model(tmp_path: Path):
    for model in (RecordedChatModel(tmp_path / "words", ScriptedChatModel([ChatError("timeout", "slow")])), None):
        with pytest.raises(ChatError, match="slow") as caught:
            ask(model or RecordedChatModel(tmp_path / "words"), "Hi")
        assert caught.value.kind == "timeout"
    replay = RecordedChatModel(tmp_path / "words")
    with pytest.raises(ChatError, match="scripted: this request is not in the recording words") as caught:
        ask(replay, "Hello")
    assert caught.value.kind == "unscripted" and replay.name == "scripted"


def test_what_is_no_recording_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="there is no recording"):
        RecordedChatModel(tmp_path / "nothing")
    (tmp_path / "text").write_text("not a database, and long enough to be seen as none " * 9)
    sqlite3.connect(tmp_path / "empty").executescript("CREATE TABLE replies (asked TEXT, reply TEXT)").connection.close()
    for name in ("text", "empty"):
        with pytest.raises(ValueError, match=f"{name}: not a recording of a chat model"):
            RecordedChatModel(tmp_path / name)
    RecordedChatModel(tmp_path / "words", ScriptedChatModel([]))
    other = ScriptedChatModel([])
    other.name = "other"
    with pytest.raises(ValueError, match="a recording of scripted, not of other"):
        RecordedChatModel(tmp_path / "words", other)
