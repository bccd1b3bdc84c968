"""What was asked once is answered from the file, the same for everybody and for ever; errors are asked again."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chat import (
    ChatError,
    ChatModel,
    ChatReply,
    RecordedChatModel,
    ScriptedChatModel,
    StoreError,
    Usage,
    ask_until,
)  # fmt: skip
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


def test_errors_are_not_recorded_and_a_replay_that_lacks_a_reply_names_the_model(tmp_path: Path):
    model = RecordedChatModel(tmp_path / "words", ScriptedChatModel([ChatError("timeout", "slow"), "at last"]))
    with pytest.raises(ChatError, match="slow"):
        ask(model, "Hi")
    replay = RecordedChatModel(tmp_path / "words")
    with pytest.raises(ChatError, match="scripted: this request is not in the recording words") as caught:
        ask(replay, "Hi")
    assert caught.value.kind == "unscripted" and replay.name == "scripted"
    assert ask(model, "Hi") == ask(replay, "Hi") == ask(model, "Hi")


def test_half_of_the_json_that_was_asked_for_is_an_error_and_not_recorded(tmp_path: Path):
    cut, whole = ChatReply(Message("assistant", '{"a'), "length"), ChatReply(Message("assistant", "{}"))
    model = RecordedChatModel(tmp_path / "words", ScriptedChatModel([cut, whole]))
    asked = [Message("user", "Hi")]
    with pytest.raises(ChatError, match="cut off"):
        asyncio.run(model.complete(asked, response_schema={}))
    assert asyncio.run(model.complete(asked, response_schema={})) == whole


def test_who_went_on_from_an_error_replays_to_the_same_end(tmp_path: Path):
    """A replay that lacked the error would end in another: the caller would not come to its second question."""
    cut, good = ChatReply(Message("assistant", '{"a'), "length"), ChatReply(Message("assistant", "7"))
    for number, first in enumerate((cut, *(ChatError(kind, "no") for kind in ("declined", "refused", "malformed")))):

        def asked(model: ChatModel) -> str:
            asking = ask_until(
                model,
                [Message("user", "A number?")],
                lambda reply: reply.message.content,
                attempts=2,
                seed=lambda attempt: attempt,
                response_schema={},
                spoilt=("declined", "refused", "malformed", "truncated"),
            )
            return asyncio.run(asking)

        path = tmp_path / str(number)
        assert asked(RecordedChatModel(path, ScriptedChatModel([first, good]))) == asked(RecordedChatModel(path)) == "7"
        again = RecordedChatModel(path, ScriptedChatModel([ChatReply(Message("assistant", "8"))]))
        assert asked(again) == asked(RecordedChatModel(path)) == "8", "a run that goes on asks again, and that stands"


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


def test_a_reply_that_was_changed_on_disk_is_not_passed_on(tmp_path: Path):
    model = RecordedChatModel(tmp_path / "words", ScriptedChatModel(["first", "second"]))
    ask(model, "Hi")
    with sqlite3.connect(tmp_path / "words") as database:
        database.execute("UPDATE replies SET reply = replace(reply, 'first', 'worst')")
    database.close()
    with pytest.raises(StoreError, match=r"was changed after it was written: '.*words'"):
        ask(model, "Hi")
