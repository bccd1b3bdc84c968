"""`orrery serve-mcp` as a client starts it: protocol alone on stdout, a summary behind it, plain words when refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from simulators.mcp import MCPSession

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from pipelines.cli import main; main()", "serve-mcp", "world=order_desk", "seed=7", "out=run"]
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def start(directory: Path, *overrides: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*COMMAND, *overrides], cwd=directory, env=os.environ | ENVIRONMENT, text=True, stdin=pipe, stdout=pipe, stderr=pipe
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_official_client_works_a_world_over_stdio_in_both_eras(tmp_path: Path, mode: str) -> None:
    server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=ENVIRONMENT, cwd=tmp_path)
    with (tmp_path / "stderr").open("w") as stderr:
        async with Client(stdio_client(server, errlog=stderr), mode=mode) as client:
            assert "cancel_order" in [tool.name for tool in (await client.list_tools()).tools]
            cancelled = await client.call_tool("cancel_order", {"order_id": "582"})
            gone = await client.call_tool("get_order", {"order_id": "582"})
    assert cancelled.structured_content == {"cancelled": "582"} and gone.is_error
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["sessions"], summary["live"], summary["calls"], summary["errors"]) == (1, 0, 2, 1)


def test_stdout_carries_the_protocol_and_nothing_else(tmp_path: Path) -> None:
    server = start(tmp_path)
    asked = [("initialize", HELLO), ("tools/call", {"name": "get_order", "arguments": {"order_id": "582"}})]
    lines = [json.dumps({"jsonrpc": "2.0", "id": n, "method": m, "params": p}) for n, (m, p) in enumerate(asked)]
    out, error = server.communicate("\n".join([lines[0], "this is no JSON", lines[1], ""]), timeout=60)
    answers = [json.loads(line) for line in out.splitlines()]
    assert {answer["id"] for answer in answers if "result" in answer} == {0, 1}
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert server.returncode == 0 and "served order_desk: 1 sessions, 1 calls" in error and "run directory" in error


def test_a_client_that_closes_its_side_at_once_gets_every_answer(tmp_path: Path) -> None:
    server = start(tmp_path)
    asked = [("initialize", HELLO), *[("tools/call", {"name": "get_order", "arguments": {"order_id": "582"}})] * 50]
    lines = [json.dumps({"jsonrpc": "2.0", "id": n, "method": m, "params": p}) for n, (m, p) in enumerate(asked)]
    out, _ = server.communicate("\n".join(lines) + "\n", timeout=60)
    assert sorted(json.loads(line)["id"] for line in out.splitlines()) == list(range(51)) and server.returncode == 0


def test_http_prints_where_it_listens_and_a_signal_ends_it_in_order(tmp_path: Path) -> None:
    server = start(tmp_path, "transport=http")
    assert server.stdout is not None
    said = server.stdout.readline()
    assert said.startswith("serving order_desk at http://127.0.0.1:")
    with MCPSession(said.split()[-1]) as session:
        assert not session.call("get_order", {"order_id": "582"}).isError
        server.send_signal(signal.SIGTERM)
        out, error = server.communicate(timeout=30)
    assert server.returncode == 0 and "served order_desk: 1 sessions, 1 calls, 0 errors" in out, error
    assert "Traceback" not in error and json.loads((tmp_path / "run/summary.json").read_text())["calls"] == 1


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["world=mars"], "no world 'mars'; give one of"),
        ([], "world: "),
        (["world=travel", "host=0.0.0.0"], "host: 0.0.0.0 is not a loopback address; use one of 127.0.0.1, localhost, ::1"),
        (["world=travel", "port=70000"], "port: must be from 0 to 65535, not 70000"),
        (["world=travel", "max_sessions=0"], "max_sessions: must be at least 1, not 0"),
        (["world=travel", "idle_seconds=0"], "idle_seconds: must be above 0"),
        (["world=travel", "resume=auto"], "resume: a server has nothing to continue"),
        (["world=travel", "transport=tcp"], "transport: "),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_message(orrery, overrides: list[str], words: str) -> None:
    result = orrery("serve-mcp", *overrides)
    assert result.status == 2 and f"orrery serve-mcp: {words}" in result.error and not result.out
    assert not Path("outputs").exists()
