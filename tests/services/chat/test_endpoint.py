"""The endpoint client against a real HTTP server on loopback that misbehaves in every way it can."""

import asyncio
import json
import pickle
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.chat import ChatError, EndpointChatModel, EndpointConfig, Usage, wait_for
from trajectories.messages import Message, ToolCall, ToolSpec

HELLO = [Message("system", "Be brief."), Message("user", "héllo")]
KEY = "sk-secret-123"
Handler = Callable[[Request], Awaitable[Response]]


def completion(message: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"} | (message or {}), "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    return {"id": "x", "object": "chat.completion", "choices": [choice | changed], "usage": usage}


@asynccontextmanager
async def endpoint(handler: Handler, **settings: Any) -> AsyncIterator[EndpointChatModel]:
    """A model at an endpoint that answers with `handler`."""
    app = Starlette(routes=[Route("/v1/chat/completions", handler, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="critical", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        model = EndpointChatModel(EndpointConfig(**{"base_url": url, "model": "small", "max_retries": 0} | settings))
        try:
            yield model
        finally:
            await model.close()
            server.should_exit = True
            await serving


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


async def test_the_client_tries_again_as_often_as_it_was_told() -> None:
    calls = 0

    async def handler(request: Request) -> Response:
        nonlocal calls
        calls += 1
        if calls < 3:
            return JSONResponse({}, 429, headers={"retry-after-ms": "1"})
        return JSONResponse(completion())

    async with endpoint(handler, max_retries=2) as model:
        assert (await model.complete(HELLO)).message.content == "hi"
    assert calls == 3


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
        error = await error_of(handler, timeout_seconds=0.4, max_retries=3)
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
    model = EndpointChatModel(EndpointConfig(base_url=f"http://127.0.0.1:{free}/v1", model="m", max_retries=0))
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


async def test_blocking_code_reaches_an_endpoint() -> None:
    async def handler(request: Request) -> Response:
        return JSONResponse(completion())

    async with endpoint(handler) as model:
        replies = [await asyncio.to_thread(lambda: wait_for(model.complete(HELLO))) for _ in range(2)]
        assert [reply.message.content for reply in replies] == ["hi", "hi"]
        assert (await model.complete(HELLO)).message.content == "hi"  # and so does code in a loop of its own, in between
        replies = [await asyncio.to_thread(lambda: wait_for(model.complete(HELLO)))]
        await asyncio.to_thread(lambda: wait_for(model.close()))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"base_url": "127.0.0.1:8000"}, "chat.base_url is a URL"),
        ({"base_url": "file:///etc/passwd"}, "chat.base_url is a URL"),
        ({"base_url": "http://me:pass@host/v1"}, "chat.base_url holds a name or password"),
        ({"model": ""}, "chat.model is empty"),
        ({"timeout_seconds": 0}, "chat.timeout_seconds is above 0"),
        ({"timeout_seconds": float("nan")}, "chat.timeout_seconds is above 0"),
        ({"max_retries": -1}, "chat.max_retries is at least 0"),
        ({"api_key_variable": "ORRERY_NO_SUCH_KEY"}, "ORRERY_NO_SUCH_KEY is not set"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EndpointChatModel(EndpointConfig(**{"base_url": "http://127.0.0.1:1/v1", "model": "m"} | changed))
