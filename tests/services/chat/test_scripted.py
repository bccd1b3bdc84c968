"""Scripted models say what the script says, and nothing else; blocking callers wait for them."""

import asyncio
import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.chat import ChatError, ChatReply, ChatRequest, ScriptedChatModel, Usage, wait_for
from trajectories.messages import Message, ToolCall

HELLO = [Message("user", "hello")]


async def test_a_function_sees_the_whole_request() -> None:
    seen: list[ChatRequest] = []

    def script(request: ChatRequest) -> str:
        seen.append(request)
        return f"heard {request.messages[-1].content}"

    reply = await ScriptedChatModel(script).complete(HELLO, temperature=0.5, max_tokens=7, seed=3)
    assert reply == ChatReply(Message("assistant", "heard hello"), "stop", None)
    assert seen == [ChatRequest(tuple(HELLO), (), None, 0.5, 7, 3)]


async def test_a_table_and_a_list_run_out_with_an_error_and_not_with_an_invention() -> None:
    table = ScriptedChatModel({"hello": "hi"})
    assert [(await table.complete(HELLO)).message.content for _ in range(2)] == ["hi", "hi"]
    with pytest.raises(ChatError, match="no reply to 'bye'") as unknown:
        await table.complete([Message("user", "bye")])
    called = Message("assistant", tool_calls=(ToolCall("c", "get", "{}"),))
    listed = ScriptedChatModel(["one", called, ChatError("overloaded", "busy")])
    assert (await listed.complete(HELLO)).message.content == "one"
    assert (await listed.complete(HELLO)).finish_reason == "tool_calls"
    with pytest.raises(ChatError, match="busy"):
        await listed.complete(HELLO)
    with pytest.raises(ChatError, match="all 3 replies are given") as spent:
        await listed.complete(HELLO)
    assert unknown.value.kind == spent.value.kind == "unscripted"


async def test_json_that_is_cut_off_is_an_error_and_text_that_is_cut_off_is_a_reply() -> None:
    cut = ChatReply(Message("assistant", '{"a": '), "length", Usage(3, 2))
    model = ScriptedChatModel(lambda request: cut)
    assert await model.complete(HELLO) == cut
    with pytest.raises(ChatError, match="max_tokens=2") as caught:
        await model.complete(HELLO, response_schema={"type": "object"}, max_tokens=2)
    assert caught.value.kind == "truncated"


def test_an_error_survives_the_way_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(ChatError("timeout", "no answer")))
    assert (again.kind, again.message, str(again)) == ("timeout", "no answer", "no answer")


def test_blocking_callers_share_one_loop_and_get_replies_and_errors() -> None:
    async def loop_id(value: int) -> tuple[int, int]:
        await asyncio.sleep(0.01)
        return value, id(asyncio.get_running_loop())

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda value: wait_for(loop_id(value)), range(8)))
    assert [value for value, _ in answers] == list(range(8)) and len({loop for _, loop in answers}) == 1
    with pytest.raises(ChatError, match="unscripted|all 0"):
        wait_for(ScriptedChatModel([]).complete(HELLO))


def test_waiting_within_what_is_waited_for_is_an_error_and_no_deadlock() -> None:
    inner = ScriptedChatModel(["never"])
    outer = ScriptedChatModel(lambda request: wait_for(inner.complete(HELLO)))
    with pytest.raises(RuntimeError, match="await it there"):
        wait_for(outer.complete(HELLO))


def test_a_forked_process_waits_on_a_loop_of_its_own() -> None:
    model = ScriptedChatModel(lambda request: "yes")
    wait_for(model.complete(HELLO))
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        signal.alarm(10)  # a child that waits for ever would outlive the test
        os.write(write, wait_for(model.complete(HELLO)).message.content.encode())
        os._exit(0)
    os.close(write)
    assert os.read(read, 10) == b"yes"
    os.close(read)
    os.waitpid(child, 0)
