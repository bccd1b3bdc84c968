"""What a server says becomes a result; what breaks becomes a typed fault, soon, and ends the session."""

import os
import signal
import sys
import time

import pytest

from simulators.mcp import MCPFault, MCPSession
from trajectories.outcomes import Fault


def test_all_pages_of_the_tool_list_are_read_in_order(odd_session: MCPSession) -> None:
    names = [tool.name for tool in odd_session.tools()]
    assert names[:4] == ["count", "mixed", "bare", "fail"] and names[-1] == "lie" and len(names) == 10


def test_content_becomes_text_by_the_stated_rule(odd: list[str]) -> None:
    with MCPSession(odd, max_characters=100) as session:
        counted = session.call("count", {})
        assert (counted.content, counted.structuredContent) == ("n is 1", {"n": 1})
        assert type(counted.structuredContent["n"]) is int  # canonical: the server sent 1.0
        mixed = session.call("mixed", "{}").content.split("\n")
        assert mixed[0] == "first" and mixed[2:] == ["inside", "[link b file:///b]"]
        assert mixed[1].startswith("[image image/png, 6 bytes, sha256 6ec9c2b0")
        assert session.call("bare", {}).content == '{"x":1.5}'
        assert session.call("long", {}).content == "x" * 100 + "\n[cut: 900 more characters]"


def test_mistakes_of_the_caller_are_results(odd_session: MCPSession) -> None:
    told = [
        odd_session.call(*call)
        for call in [
            ("fail", {}), ("reject", {}), ("cont", {}), ("count", "{oops"), ("count", "[]"),
            ("count", {"x": float("nan")}), ("count", {"x": "\ud800"}), ("count", "[" * 100_000),
        ]
    ]  # fmt: skip
    assert all(result.isError and result.structuredContent is None for result in told)
    assert [result.content for result in told[:3]] == [
        "that did not work", '{"error":"q is required"}', '{"error":"no tool cont; did you mean count?"}',
    ]  # fmt: skip
    assert odd_session.call("count", {}).content == "n is 1"  # none of them reached the tool, and the session goes on


@pytest.mark.parametrize(
    ("tool", "kind", "words"),
    [
        ("die", "died", "out of cheese"),
        ("crash", "protocol", "crash: a bug"),
        ("lie", "protocol", "Invalid structured content returned by tool lie"),
        ("sleep", "timeout", "timed out"),
    ],
)
def test_what_breaks_is_a_fault_and_ends_the_session(odd: list[str], tool: str, kind: str, words: str) -> None:
    with MCPSession(odd, call_seconds=0.5) as session:
        for name in (tool, "count"):
            with pytest.raises(MCPFault, match=words) as caught:
                session.call(name, {})
        assert caught.value.kind == kind
        assert isinstance(caught.value.as_fault(), Fault) and caught.value.as_fault().message.startswith(f"{kind}: ")
    with pytest.raises(RuntimeError, match="closed"):
        session.call("count", {})


def test_a_server_killed_between_two_calls_is_a_fault_of_the_next(tmp_path) -> None:
    script = tmp_path / "server.py"
    script.write_text(
        "import sys, os; open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "from pipelines.cli import main; sys.argv[1:] = ['serve-mcp', 'world=order_desk']; main()\n"
    )
    command = [sys.executable, str(script), str(tmp_path / "pid")]
    with MCPSession(command, cwd=str(tmp_path), env={"PYTHONPATH": os.pathsep.join(sys.path)}) as session:
        session.call("get_order", {"order_id": "582"})
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        with pytest.raises(MCPFault) as caught:
            session.call("get_order", {"order_id": "582"})
    assert caught.value.kind == "died"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("http://127.0.0.1:9/mcp", "ConnectError"),
        (["/no/such/server"], "FileNotFoundError"),
        ([sys.executable, "-c", "raise SystemExit('no licence')"], "no licence"),
    ],
)
def test_a_session_that_does_not_come_about_is_a_fault_with_its_reason(server, words: str) -> None:
    with pytest.raises(MCPFault, match=words) as caught:
        MCPSession(server, open_seconds=5)
    assert caught.value.kind == "unreachable"


def test_a_command_that_never_speaks_is_given_up() -> None:
    started = time.monotonic()
    with pytest.raises(MCPFault) as caught:
        MCPSession([sys.executable, "-c", "input()"], open_seconds=0.2)
    assert caught.value.kind in ("timeout", "unreachable") and time.monotonic() - started < 10


@pytest.mark.parametrize(("server", "words"), [("python -m server", "as a list: \\['python'"), ([], "is empty")])
def test_what_is_neither_url_nor_command_is_refused(server, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MCPSession(server)
