"""The endpoint client against a real HTTP server on loopback that misbehaves in every way it can."""

import asyncio
import json
import pickle
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from services.chat import ChatError, EndpointChatModel, EndpointConfig, Usage, wait_for
from tests.services.chat.serving import Handler, completion, served
from trajectories.messages import Message, ToolCall, ToolSpec

HELLO = [Message("system", "Be brief."), Message("user", "héllo")]
KEY = "sk-secret-0123456789"


@asynccontextmanager
async def endpoint(handler: Handler, **settings: Any) -> AsyncIterator[EndpointChatModel]:
    """A model at an endpoint that answers with `handler`."""
    async with served(handler) as url:
        model = EndpointChatModel(EndpointConfig(**{"base_url": url, "model": "small"} | settings))
        try:
            yield model
        finally:
            await model.close()


async def error_of(handler: Handler, **settings: Any) -> ChatError:
    async with endpoint(handler, **settings) as model:
        with pytest.raises(ChatError) as caught:
            await model.complete(HELLO, response_schema={"type": "object"})
    assert caught.value.message.startswith("small at http://127.0.0.1:")
    return caught.value


async def test_a_request_carries_what_was_asked_for_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORRERY_TEST_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    heard: list[tuple[dict[str, Any], str]] = []

    async def handler(request: Request) -> Response:
        heard.append((await request.json(), request.headers["authorization"]))
        return JSONResponse(completion({"content": "hi ж", "reasoning": "greet"}))

    tool = ToolSpec("get", "Gets.", {"type": "object"})
    async with endpoint(handler, api_key_variable="ORRERY_TEST_KEY") as model:
        reply = await model.complete(
            HELLO, tools=[tool], response_schema={"type": "object"}, temperature=0.0, max_tokens=9, seed=2**62
        )
        assert KEY not in repr(vars(model)["config"]) and KEY.encode() not in pickle.dumps(model)
        assert pickle.loads(pickle.dumps(model)).name == model.name
    async with endpoint(handler) as model:
        await model.complete(HELLO)
    assert reply.message == Message("assistant", "hi ж", reasoning_content="greet")
    assert reply.usage == Usage(12, 3) and reply.finish_reason == "stop"
    wire = [message.to_openai() for message in HELLO]
    schema = {"type": "json_schema", "json_schema": {"name": "reply", "schema": {"type": "object"}}}
    full = {"response_format": schema, "temperature": 0.0, "max_tokens": 9, "seed": 2**62, "tools": [tool.to_openai()]}
    assert heard[0] == ({"model": "small", "messages": wire, **full}, f"Bearer {KEY}")
    assert heard[1] == ({"model": "small", "messages": wire}, "Bearer none")  # nobody's key goes where none is wanted


async def test_tool_calls_come_back_as_they_were_written() -> None:
    call = ToolCall("functions.get:0", "get", '{"a": 1,}')

    async def handler(request: Request) -> Response:
        return JSONResponse(completion({"content": None, "tool_calls": [call.to_openai()]}, finish_reason="tool_calls"))

    async with endpoint(handler) as model:
        reply = await model.complete(HELLO)
    assert reply.message == Message("assistant", tool_calls=(call,)) and reply.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "refused"), (401, "refused"), (404, "refused"), (429, "overloaded"), (500, "failed"), (503, "overloaded")],
)
async def test_a_status_is_an_error_of_its_kind(status: int, kind: str) -> None:
    async def handler(request: Request) -> Response:
        return JSONResponse({"error": {"message": "not now", "type": "t"}}, status)

    error = await error_of(handler)
    assert error.kind == kind and f"HTTP {status}" in error.message and "not now" in error.message


MALFORMED = [
    (b"<html><body>nginx", "not JSON: '<html>"),
    (json.dumps(completion()).encode()[:60], "not JSON"),
    (b"", "not JSON"),
    (b"\xff\xfe\x00", "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b"[]", "top level: the value is not of type"),
    (b"{}", "top level: .*choices.* is a required property"),
    (b'{"choices": []}', "choices: "),
    (json.dumps(completion({"content": [{"type": "text"}]})).encode(), "choices.0.message.content: "),
    (json.dumps(completion({"role": "user"})).encode(), "choices.0.message.role: "),
    (json.dumps(completion({"tool_calls": [{"id": "a"}]})).encode(), "choices.0.message.tool_calls.0: "),
    (json.dumps(completion(finish_reason="abort")).encode(), "choices.0.finish_reason: "),
    (json.dumps(completion() | {"usage": {"prompt_tokens": -1, "completion_tokens": 0}}).encode(), "usage.prompt_tokens: "),
    (json.dumps(completion({"content": "\ud800"})).encode(), "half of a surrogate pair"),
]


async def test_a_body_of_another_shape_is_malformed_and_says_where() -> None:
    bodies = iter([body for body, _ in MALFORMED])

    async def handler(request: Request) -> Response:
        return Response(next(bodies), media_type="application/json")

    async with endpoint(handler) as model:
        for _, pattern in MALFORMED:
            with pytest.raises(ChatError, match=pattern) as caught:
                await model.complete(HELLO)
            assert caught.value.kind == "malformed" and len(caught.value.message) < 600


async def test_a_page_with_status_200_or_502_is_no_reply() -> None:
    async def page(request: Request) -> Response:
        return HTMLResponse("<html>It works!</html>")

    async def gateway(request: Request) -> Response:
        return HTMLResponse("<html>Bad gateway</html>" * 1000, 502)

    assert (await error_of(page)).kind == "malformed"
    assert (await error_of(gateway)).kind == "failed"


async def test_no_answer_in_time_is_a_timeout_also_where_it_drips() -> None:
    async def silent(request: Request) -> Response:
        await asyncio.sleep(20)
        return Response()

    async def dripping(request: Request) -> Response:
        async def drops() -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await asyncio.sleep(0.05)

        return StreamingResponse(drops())

    for handler in (silent, dripping):
        error = await error_of(handler, timeout_seconds=0.4)
        assert error.kind == "timeout" and "within 0.4 s" in error.message


async def test_a_connection_that_breaks_off_or_never_comes_about_is_unreachable() -> None:
    async def cut(request: Request) -> Response:
        async def half() -> AsyncIterator[bytes]:
            yield b'{"choices": ['
            raise ConnectionResetError("gone")

        return StreamingResponse(half(), headers={"content-length": "500"})

    assert (await error_of(cut)).kind == "unreachable"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    model = EndpointChatModel(EndpointConfig(base_url=f"http://127.0.0.1:{free}/v1", model="m"))
    for _ in range(2):  # each in a loop of its own: the client is not bound to the first one
        with pytest.raises(ChatError, match=f"m at http://127.0.0.1:{free}/v1: Connection error") as caught:
            await asyncio.to_thread(lambda: asyncio.run(model.complete(HELLO)))
        assert caught.value.kind == "unreachable"


async def test_a_reply_that_was_cut_filtered_or_refused_is_no_json() -> None:
    answers = {
        "truncated": completion({"content": '{"a"'}, finish_reason="length"),
        "declined": completion({"content": None}, finish_reason="content_filter"),
    }
    for kind, answer in [*answers.items(), ("declined", completion({"content": None, "refusal": "I will not."}))]:

        async def handler(request: Request, answer: dict[str, Any] = answer) -> Response:
            return JSONResponse(answer)

        assert (await error_of(handler)).kind == kind


async def test_a_refusal_that_no_file_can_hold_is_told_all_the_same() -> None:
    body = json.dumps(completion({"content": None, "refusal": "no \ud800"}))  # an escape, as any endpoint may send it

    async def handler(request: Request) -> Response:
        return Response(body, media_type="application/json")

    error = await error_of(handler)
    assert error.kind == "declined" and error.message.encode().decode().endswith("no answer: no ?")


async def test_text_that_no_wire_can_carry_is_refused_here() -> None:
    async def handler(request: Request) -> Response:
        return JSONResponse(completion())

    async with endpoint(handler) as model:
        with pytest.raises(ChatError, match="surrogate") as caught:
            await model.complete([Message("user", "\ud800")])
        assert caught.value.kind == "refused"
        assert (await model.complete(HELLO)).message.content == "hi"


async def test_the_key_stands_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORRERY_TEST_KEY", KEY)

    async def handler(request: Request) -> Response:
        return JSONResponse({"error": {"message": f"bad key {request.headers['authorization']}"}}, 401)

    error = await error_of(handler, api_key_variable="ORRERY_TEST_KEY")
    assert KEY not in str(error) and "[key]" in error.message and error.__cause__ is None


async def test_a_key_that_comes_back_in_an_answer_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    async def echo(request: Request) -> Response:
        called = {"id": "a", "function": {"name": "f", "arguments": json.dumps({"k": request.headers["authorization"]})}}
        return JSONResponse(completion({"content": None, "tool_calls": [called]}))

    monkeypatch.setenv("ORRERY_TEST_KEY", KEY)
    error = await error_of(echo, api_key_variable="ORRERY_TEST_KEY")
    assert error.kind == "malformed" and "holds the API key" in error.message and KEY not in str(error)
    assert error.usage == Usage(12, 3)
    monkeypatch.setenv("ORRERY_TEST_KEY", "hi")  # as people have it for servers of their own: no secret
    async with endpoint(echo, api_key_variable="ORRERY_TEST_KEY") as model:
        assert (await model.complete(HELLO)).message.tool_calls[0].arguments == '{"k": "Bearer hi"}'


async def test_a_redirect_is_not_followed_and_says_where_it_leads() -> None:
    heard = 0

    async def round_and_round(request: Request) -> Response:
        nonlocal heard
        heard += 1
        return RedirectResponse("/v1/chat/completions", 307)

    error = await error_of(round_and_round)
    assert error.kind == "refused" and "give /v1/chat/completions as base_url" in error.message and heard == 1


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_end_is_cut_and_not_kept_in_memory(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.chat.endpoint._MOST_BYTES", 2**20)

    async def endless(request: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            while not await request.is_disconnected():
                yield b" " * 2**16

        return StreamingResponse(body(), status)

    error = await error_of(endless)
    assert error.kind == "malformed" and "longer than 1048576 bytes" in error.message


async def test_an_answer_is_read_whatever_content_type_it_has_and_is_not_asked_for_compressed() -> None:
    types = iter(["text/plain", "text/html; charset=latin-1", "application/octet-stream", "text/event-stream"])

    async def handler(request: Request) -> Response:
        assert request.headers["accept-encoding"] == "identity"
        return Response(json.dumps(completion({"content": "é"}), ensure_ascii=False), media_type=next(types))

    async with endpoint(handler) as model:
        assert [(await model.complete(HELLO)).message.content for _ in range(4)] == ["é"] * 4


@pytest.mark.parametrize(
    ("ids", "read"),
    [(["a", "b"], ["a", "b"]), (["", ""], ["call_0", "call_1"]), (["a", "a"], ["call_0", "call_1"]), ([""], ["call_0"])],
)
async def test_ids_of_tool_calls_that_tell_nothing_apart_are_numbered(ids: list[str], read: list[str]) -> None:
    async def handler(request: Request) -> Response:
        calls = [{"id": id, "function": {"name": "f", "arguments": "{}"}} for id in ids]
        return JSONResponse(completion({"content": None, "tool_calls": calls}, finish_reason="tool_calls"))

    async with endpoint(handler) as model:
        assert [call.id for call in (await model.complete(HELLO)).message.tool_calls] == read


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), *((bad, None) for bad in ("soon", "-3", "nan", "inf"))],
)
async def test_the_wait_that_an_endpoint_asks_for_is_read_if_it_makes_sense(header: str, seconds: float | None) -> None:
    async def handler(request: Request) -> Response:
        return JSONResponse({}, 429, headers={"retry-after": header})

    assert (await error_of(handler)).retry_after == seconds


async def test_a_wait_until_a_date_is_counted_from_now() -> None:
    async def handler(request: Request) -> Response:
        return JSONResponse({}, 503, headers={"retry-after": formatdate(time.time() + 1000, usegmt=True)})

    seconds = (await error_of(handler)).retry_after
    assert seconds is not None and 800 < seconds <= 1000


async def test_a_quota_that_is_used_up_is_refused_and_a_slow_client_is_a_timeout() -> None:
    async def spent(request: Request) -> Response:
        return JSONResponse({"error": {"message": "pay", "code": "insufficient_quota"}}, 429)

    async def slow(request: Request) -> Response:
        return JSONResponse({}, 408)

    assert (await error_of(spent)).kind == "refused" and (await error_of(slow)).kind == "timeout"


async def test_blocking_code_reaches_an_endpoint() -> None:
    async def handler(request: Request) -> Response:
        return JSONResponse(completion())

    async with endpoint(handler) as model:
        replies = [await asyncio.to_thread(lambda: wait_for(model.complete(HELLO))) for _ in range(2)]
        assert [reply.message.content for reply in replies] == ["hi", "hi"]
        assert (await model.complete(HELLO)).message.content == "hi"  # and so does code in a loop of its own, in between
        replies = [await asyncio.to_thread(lambda: wait_for(model.complete(HELLO)))]
        await asyncio.to_thread(lambda: wait_for(model.close()))


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk-ключ"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORRERY_TEST_KEY", key)
    with pytest.raises(ValueError, match="ORRERY_TEST_KEY holds line breaks") as caught:
        EndpointChatModel(EndpointConfig(base_url="http://127.0.0.1:1/v1", model="m", api_key_variable="ORRERY_TEST_KEY"))
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"base_url": "127.0.0.1:8000"}, "chat.base_url is a URL"),
        ({"base_url": "file:///etc/passwd"}, "chat.base_url is a URL"),
        ({"base_url": "http://me:pass@host/v1"}, "chat.base_url holds a name or password"),
        ({"base_url": "http://host/v1?key=secret"}, "chat.base_url holds a query"),
        ({"model": ""}, "chat.model is empty"),
        ({"timeout_seconds": 0}, "chat.timeout_seconds is above 0"),
        ({"timeout_seconds": float("nan")}, "chat.timeout_seconds is above 0"),
        ({"api_key_variable": "ORRERY_NO_SUCH_KEY"}, "ORRERY_NO_SUCH_KEY is not set"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EndpointChatModel(EndpointConfig(**{"base_url": "http://127.0.0.1:1/v1", "model": "m"} | changed))
