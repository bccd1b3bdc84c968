"""A world behind the protocol answers as the world itself, and no session knows of another."""

import httpx2
import pytest
from mcp import Client, MCPError

from simulators import worlds
from simulators.mcp import MCPFault, MCPSession, WorldServer, listening, schema_fingerprint

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
WRONG = [
    ("cancel_orders", {}),
    ("get_order", {}),
    ("get_order", {"order_id": 730}),
    ("get_order", {"order_id": "000"}),
    ("change_count", {"order_id": "730", "count": 1}),
]


def post(url: str, method: str, params: dict, session: str | None = None) -> httpx2.Response:
    headers = HEADERS | ({"mcp-session-id": session} if session else {})
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx2.post(url, json=body, headers=headers)


def test_sessions_start_alike_and_never_see_each_others_writes(serve) -> None:
    direct = worlds.load("order_desk").instantiate(7)
    with serve() as (server, at), MCPSession(at.url) as one, MCPSession(at.url) as other:
        for tool, arguments in [("get_order", {"order_id": "582"}), ("cancel_order", {"order_id": "582"})]:
            assert one.call(tool, arguments) == direct.call(tool, arguments)
        assert one.call("get_order", {"order_id": "582"}).isError
        assert not other.call("get_order", {"order_id": "582"}).isError
        assert server.served.sessions == server.served.live == 2


def test_tools_are_listed_with_title_schemas_and_annotations(serve) -> None:
    specs = worlds.load("order_desk").tool_specs()
    with serve() as (_, at), MCPSession(at.url) as session:
        listed = session.tools()
    assert [schema_fingerprint(tool) for tool in listed] == [schema_fingerprint(tool) for tool in specs]
    assert [tool.annotations for tool in listed] == [tool.annotations for tool in specs]
    assert {tool.name: tool.title for tool in listed}["cancel_order"] == "Cancel order"


async def test_every_mistake_is_a_result_and_never_a_protocol_error() -> None:
    server = WorldServer(worlds.load("order_desk"), 7)
    direct = worlds.load("order_desk").instantiate(7)
    async with listening(server) as at, Client(at.url) as client:
        for tool, arguments in WRONG:
            result = await client.call_tool(tool, arguments)
            assert result.is_error and result.content[0].text == direct.call(tool, arguments).content
    assert server.served.errors == len(WRONG)


def test_a_session_that_is_closed_frees_its_state_and_its_place(serve, until) -> None:
    with serve(max_sessions=1) as (server, at):
        with MCPSession(at.url) as session:
            session.call("get_order", {"order_id": "582"})
            with pytest.raises(MCPFault, match="Too many open sessions") as caught:
                MCPSession(at.url)
            assert caught.value.kind == "unreachable" and server.served.live == 1
        until(lambda: server.served.live == 0)
        with MCPSession(at.url) as session:
            assert not session.call("get_order", {"order_id": "582"}).isError


def test_a_client_that_vanishes_is_forgotten(serve, until) -> None:
    with serve(idle_seconds=0.3) as (server, at):
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "ghost", "version": "1"}}
        session = post(at.url, "initialize", hello).headers["mcp-session-id"]
        call = {"name": "get_order", "arguments": {"order_id": "582"}}
        assert post(at.url, "tools/call", call, session).status_code == 200 and server.served.live == 1
        until(lambda: server.served.live == 0)
        assert post(at.url, "tools/call", call, session).status_code == 404


async def test_the_revision_without_sessions_is_refused_over_http_and_the_default_client_copes() -> None:
    async with listening(WorldServer(worlds.load("order_desk"))) as at:
        async with Client(at.url, mode="2026-07-28") as client:
            with pytest.raises(MCPError, match="open one with the initialize handshake"):
                await client.call_tool("get_order", {"order_id": "582"})
        async with Client(at.url) as client:
            assert client.protocol_version < "2026" and (await client.list_tools()).tools


async def test_only_loopback_addresses_are_listened_at() -> None:
    with pytest.raises(ValueError, match="host: 0.0.0.0 is not a loopback address"):
        async with listening(WorldServer(worlds.load("order_desk")), host="0.0.0.0"):
            pass
