"""What may pass is tried again, what cannot is not; no more is under way than is allowed; every attempt is counted."""

import asyncio
import json
import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from tenacity import Future, RetryCallState

from services.chat import (
    ChatError,
    ChatModel,
    ChatReply,
    ChatRequest,
    EndpointChatModel,
    EndpointConfig,
    Ledger,
    LimitedChatModel,
    Limits,
    ScriptedChatModel,
    Usage,
    read_usage,
    wait_for,
)
from tests.services.chat.serving import Handler, completion, served
from trajectories.messages import Message

HELLO = [Message("user", "hello")]
QUICK = Limits(first_wait_seconds=0.001, longest_wait_seconds=0.004)


def limited(script: Any, ledger: Ledger | None = None, **limits: Any) -> LimitedChatModel:
    quick = {"first_wait_seconds": 0.001, "longest_wait_seconds": 0.004}
    return LimitedChatModel(ScriptedChatModel(script), Limits(**quick | limits), ledger)


def book(tmp_path: Path) -> tuple[Ledger, Path]:
    return Ledger(tmp_path / "usage", "scripted", None), tmp_path / "usage"


PASSING = ("unreachable", "timeout", "overloaded", "failed", "malformed")


@pytest.mark.parametrize("kind", PASSING)
async def test_what_may_pass_is_tried_again_and_then_says_how_often_and_what_came_last(kind: Any, tmp_path: Path) -> None:
    ledger, path = book(tmp_path)
    model = limited([ChatError("failed", "first"), ChatError(kind, "last"), "hi"], ledger)
    assert (await model.complete(HELLO)).message.content == "hi"
    model = limited([ChatError("failed", "first"), ChatError(kind, "last"), "never"], ledger, attempts=2)
    with pytest.raises(ChatError) as caught:
        await model.complete(HELLO)
    assert str(caught.value) == "last (the last of limits.attempts=2)"
    assert (caught.value.kind, caught.value.attempts) == (kind, 2)
    usage = read_usage(path)
    assert (usage.answered, usage.given_up, usage.retried, usage.unmetered) == (1, 1, 3, 1)


@pytest.mark.parametrize("kind", ["refused", "truncated", "declined", "unscripted"])
async def test_what_cannot_pass_is_asked_once_and_told_as_it_is(kind: Any, tmp_path: Path) -> None:
    ledger, path = book(tmp_path)
    with pytest.raises(ChatError) as caught:
        await limited([ChatError(kind, "no", Usage(5, 1)), "never"], ledger).complete(HELLO)
    assert (str(caught.value), caught.value.attempts) == ("no", 1)
    with pytest.raises(ChatError) as caught:
        await limited([ChatError("failed", "broke"), ChatError(kind, "no"), "never"], ledger).complete(HELLO)
    assert (str(caught.value), caught.value.attempts) == ("no (attempt 2)", 2)
    usage = read_usage(path)
    assert (usage.given_up, usage.retried, usage.prompt_tokens, usage.completion_tokens) == (2, 1, 5, 1)


async def test_an_error_of_ours_is_neither_tried_again_nor_hidden() -> None:
    def script(request: ChatRequest) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await limited(script).complete(HELLO)


async def test_the_deadline_cuts_an_attempt_and_forbids_a_wait_that_would_outlast_it(tmp_path: Path) -> None:
    class Silent(ChatModel):
        name = "silent"

        async def respond(self, request: ChatRequest) -> ChatReply:
            await asyncio.sleep(30)
            raise AssertionError

    ledger, path = book(tmp_path)
    with pytest.raises(ChatError) as caught:
        await LimitedChatModel(Silent(), Limits(deadline_seconds=0.05), ledger).complete(HELLO)
    assert caught.value.kind == "timeout" and "(attempt 1; limits.deadline_seconds=0.05 leaves no time" in str(caught.value)
    patient = limited([ChatError("overloaded", "busy", retry_after=3600.0), "never"], ledger, deadline_seconds=60.0)
    with pytest.raises(ChatError, match="no time for another, and Retry-After is 3600 s") as caught:
        await asyncio.wait_for(patient.complete(HELLO), 5)  # it is not waited for
    assert (caught.value.kind, caught.value.attempts) == ("overloaded", 1)
    usage = read_usage(path)
    assert (usage.given_up, usage.retried) == (2, 0)


def waits_of(model: LimitedChatModel, request: ChatRequest, errors: list[ChatError]) -> list[float]:
    """Seconds between the attempts."""
    waits = []
    for number, error in enumerate(errors, 1):
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = number
        state.outcome = Future.construct(number, error, True)
        waits.append(model._waits(request)(state))
    return waits


@given(st.text(max_size=5), st.integers(1, 80), st.none() | st.floats(0, 100))
def test_waits_are_a_function_of_the_request_double_to_a_bound_and_never_undercut_what_was_asked_for(
    text: str, attempts: int, wanted: float | None
) -> None:
    model = LimitedChatModel(ScriptedChatModel([]), Limits(first_wait_seconds=2.0, longest_wait_seconds=9.0))
    request = ChatRequest((Message("user", text),))
    errors = [ChatError("overloaded", "busy", retry_after=wanted)] * attempts
    waits = waits_of(model, request, errors)
    assert waits == waits_of(pickle.loads(pickle.dumps(model)), request, errors)
    for number, wait in enumerate(waits):
        most = min(2.0 * 2**number, 9.0)
        assert most / 2 <= wait - (wanted or 0.0) + 1e-9 and wait - (wanted or 0.0) <= most + 1e-9


def test_two_requests_wait_differently() -> None:
    model, errors = LimitedChatModel(ScriptedChatModel([])), [ChatError("failed", "x")]
    assert len({waits_of(model, ChatRequest((Message("user", str(n)),)), errors)[0] for n in range(20)}) == 20


class Crowded(ChatModel):
    """Counts how many are with it at once, and fails every third request the first time."""

    name = "crowded"

    def __init__(self) -> None:
        self.here = self.most = self.asked = 0
        self._failed: set[str] = set()

    async def respond(self, request: ChatRequest) -> ChatReply:
        self.here, self.asked = self.here + 1, self.asked + 1
        self.most = max(self.most, self.here)
        await asyncio.sleep(0.001)
        self.here -= 1
        text = request.messages[0].content
        if int(text) % 3 == 0 and text not in self._failed:
            self._failed.add(text)
            raise ChatError("overloaded", "busy")
        return ChatReply(Message("assistant", f"to {text}"), usage=Usage(int(text), 1))


def test_many_callers_in_threads_are_all_answered_and_never_more_at_once_than_is_allowed(tmp_path: Path) -> None:
    ledger, path = book(tmp_path)
    crowd = Crowded()
    model = LimitedChatModel(crowd, Limits(in_flight=4, first_wait_seconds=0.001), ledger)
    heard: dict[int, str] = {}

    def call(number: int) -> None:
        heard[number] = wait_for(model.complete([Message("user", str(number))])).message.content

    threads = [threading.Thread(target=call, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {number: f"to {number}" for number in range(60)} and crowd.most == 4 and crowd.asked == 80
    usage = read_usage(path)
    assert (usage.answered, usage.retried, usage.given_up) == (60, 20, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (sum(range(60)), 60)


async def test_a_caller_that_is_cancelled_gives_its_place_back() -> None:
    crowd = Crowded()
    model = LimitedChatModel(crowd, Limits(in_flight=1, first_wait_seconds=60.0))
    waiting = asyncio.create_task(model.complete([Message("user", "3")]))  # waits a minute for its second attempt
    while not crowd.asked:
        await asyncio.sleep(0.001)
    second = asyncio.create_task(model.complete([Message("user", "1")]))
    await asyncio.sleep(0.02)
    assert not second.done() and crowd.asked == 1
    waiting.cancel()
    assert (await second).message.content == "to 1"


async def asked_of(handler: Handler, tmp_path: Path, calls: int = 1, **limits: Any) -> tuple[list[str], Path]:
    """What `calls` callers hear from a server that answers with `handler`, and where that is counted."""
    ledger, path = book(tmp_path)
    async with served(handler) as url:
        live = EndpointChatModel(EndpointConfig(base_url=url, model="small", timeout_seconds=5.0))
        settings = {"first_wait_seconds": 0.001, "longest_wait_seconds": 0.01} | limits
        model = LimitedChatModel(live, Limits(**settings), ledger)

        async def hear(number: int) -> str:
            try:
                return (await model.complete([Message("user", str(number))], seed=number)).message.content
            except ChatError as error:
                return f"{error.kind} after {error.attempts}"

        heard = await asyncio.gather(*(hear(number) for number in range(calls)))
        await model.close()
    return heard, path


async def test_a_storm_of_429_with_and_without_retry_after_passes_and_is_counted_to_the_token(tmp_path: Path) -> None:
    asked: dict[str, int] = {}

    async def stormy(request: Request) -> Response:
        text = (await request.json())["messages"][0]["content"]
        asked[text] = asked.get(text, 0) + 1
        if asked[text] <= int(text) % 4:
            headers = {"retry-after": "0.01"} if int(text) % 2 else {}
            return JSONResponse({"error": {"message": "slow down"}}, 429, headers=headers)
        usage = {"prompt_tokens": int(text), "completion_tokens": 7}
        return JSONResponse(completion({"content": text}) | {"usage": usage})

    heard, path = await asked_of(stormy, tmp_path, 40)
    assert heard == [str(number) for number in range(40)]
    usage = read_usage(path)
    assert (usage.answered, usage.given_up, usage.retried) == (40, 0, sum(number % 4 for number in range(40)))
    assert (usage.prompt_tokens, usage.completion_tokens, usage.unmetered) == (sum(range(40)), 280, 0)


WHOLE = json.dumps(completion()).encode()
MISBEHAVING = [
    Response(b"", 500),
    HTMLResponse("<html>Bad gateway</html>", 502),
    Response(WHOLE[:-20], media_type="application/json"),
    HTMLResponse("<html>Welcome to nginx!</html>"),
    JSONResponse({"error": "loading the model"}, 503, headers={"retry-after": "0"}),
    JSONResponse({}, 408),
    JSONResponse(completion({"tool_calls": "get_order"})),
    Response(b"\x1f\x8b\x08broken", headers={"content-encoding": "gzip"}),
]


async def test_an_endpoint_that_misbehaves_in_every_way_is_heard_in_the_end(tmp_path: Path) -> None:
    answers = iter(MISBEHAVING)

    async def handler(request: Request) -> Response:
        return next(answers, JSONResponse(completion()))

    heard, path = await asked_of(handler, tmp_path, attempts=len(MISBEHAVING) + 1)
    assert heard == ["hi"]
    usage = read_usage(path)
    assert (usage.retried, usage.prompt_tokens, usage.completion_tokens) == (len(MISBEHAVING), 12, 3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 301])
async def test_a_status_that_cannot_pass_is_asked_once(status: int, tmp_path: Path) -> None:
    asked = 0

    async def handler(request: Request) -> Response:
        nonlocal asked
        asked += 1
        return JSONResponse({"error": {"message": "no"}}, status, headers={"location": "/v1/chat/completions"})

    assert (await asked_of(handler, tmp_path))[0] == ["refused after 1"] and asked == 1


@contextmanager
def resetting(times: int) -> Iterator[str]:
    """A server that answers a request with a reset of the connection, `times` times; then with a reply."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for number in range(times + 1):
                connection, _ = listener.accept()
                with connection:
                    received = b""
                    while b'"hello"' not in received:
                        received += connection.recv(65536)
                    if number < times:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        continue
                    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(WHOLE)}\r\nconnection: close\r\n\r\n"
                    connection.sendall(head.encode() + WHOLE)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join(10)


async def test_a_connection_that_is_reset_is_tried_again() -> None:
    with resetting(2) as url:
        model = LimitedChatModel(EndpointChatModel(EndpointConfig(base_url=url, model="small")), QUICK)
        assert (await model.complete(HELLO)).message.content == "hi"
        await model.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"in_flight": 0}, {"attempts": 0}, {"first_wait_seconds": 0.0}, {"longest_wait_seconds": -1.0},
        {"deadline_seconds": float("nan")},
    ],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"limits.{next(iter(wrong))}"):
        Limits(**wrong)
