"""The server and its client, over a loopback connection; the faults in between are typed and never results."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox import Limits, Program, SandboxConfig, SandboxError, SandboxResult, open_sandbox
from services.sandbox.http import HttpSandbox, SandboxUnreachable
from services.sandbox.local import LocalSandbox
from services.sandbox.server import Serving, open_server
from services.sandbox.wire import decoded_request, decoded_result, encoded_request, encoded_result

VARIABLE = "ORRERY_TEST_SANDBOX_TOKEN"


@pytest.fixture(scope="module")
def server(sandbox: LocalSandbox) -> Iterator[Serving]:
    with open_server(sandbox, most=4) as serving:
        yield serving


def client(url: str, attempts: int = 1, **settings: object) -> HttpSandbox:
    return HttpSandbox(SandboxConfig(kind="http", url=url, attempts=attempts, **settings))  # type: ignore[arg-type]


def test_a_program_gives_the_same_result_over_http(sandbox: LocalSandbox, server: Serving) -> None:
    source = "import sys; open('out', 'wb').write(sys.stdin.buffer.read() + open('in', 'rb').read()); print('é'); sys.exit(4)"
    arguments = Program.python(source, b"\xff"), {"in": b"\x00"}, Limits(processes=3), ["out", "none"]
    with open_sandbox(SandboxConfig(kind="http", url=server.url)) as remote:
        there, here = remote.run(*arguments), sandbox.run(*arguments)
        assert dict(remote.describe()) == dict(sandbox.describe())
    for name in ("ending", "exit_code", "stdout", "stderr", "files", "reason"):
        assert getattr(there, name) == getattr(here, name)
    assert sandbox.refusal or there.files == {"out": b"\xff\x00"}


def test_wrong_arguments_are_wrong_on_this_side(server: Serving) -> None:
    with client(server.url) as remote:
        for files, collect in (({"../x": b""}, ()), ({}, ["/etc/passwd"])):
            with pytest.raises(ValueError, match="relative path"):
                remote.run(Program.python(""), files, None, collect)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"kind": "python"}', b"[" * 10_000])
def test_the_server_refuses_what_is_no_request(server: Serving, body: bytes) -> None:
    answer = httpx2.post(f"{server.url}/run", content=body)
    assert answer.status_code == 400 and answer.json()["error"]


def test_the_server_checks_paths_itself(server: Serving) -> None:
    body = encoded_request(Program.python(""), {"../../x": b""}, Limits(), ())
    assert httpx2.post(f"{server.url}/run", content=body).status_code == 400


def test_who_has_no_token_runs_nothing(sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "right")
    with open_server(sandbox, token_variable=VARIABLE) as serving:
        with client(serving.url, token_variable=VARIABLE) as remote:
            assert remote.run(Program.python("")).ending in ("ok", "refused")
        with client(serving.url) as remote, pytest.raises(SandboxError, match="token"):
            remote.run(Program.python(""))
        monkeypatch.setenv(VARIABLE, "wrong")
        with client(serving.url, token_variable=VARIABLE) as remote, pytest.raises(SandboxError, match="token") as caught:
            remote.run(Program.python(""))
        assert "wrong" not in str(caught.value)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ValueError, match=VARIABLE):
        client("http://127.0.0.1:1", token_variable=VARIABLE)
    with pytest.raises(ValueError, match=VARIABLE), open_server(sandbox, token_variable=VARIABLE):
        pass
    with pytest.raises(ValueError, match="token"), open_server(sandbox, host="0.0.0.0"):
        pass


def test_a_full_server_says_so_and_clients_wait_for_it(sandbox: LocalSandbox) -> None:
    slow, limits = Program.python("import time; time.sleep(0.7)"), Limits(wall_seconds=5)
    with open_server(sandbox, most=1) as serving, client(serving.url, attempts=8) as patient, client(serving.url) as hasty:
        busy = threading.Thread(target=patient.run, args=(slow, None, limits))
        busy.start()
        while not sandbox.refusal and httpx2.get(f"{serving.url}/health").json()["running"] == 0:
            pass
        if not sandbox.refusal:
            with pytest.raises(SandboxUnreachable, match="busy"):
                hasty.run(Program.python(""))
        assert patient.run(Program.python("print(1)")).ending in ("ok", "refused")
        busy.join()


def test_the_server_command_serves_until_it_is_told_to_end() -> None:
    command = [sys.executable, "-m", "services.sandbox.server", "--port", "0", "--slots", "1"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE) as process:
        assert process.stdout
        host, port = json.loads(process.stdout.readline())["listening"]
        with client(f"http://{host}:{port}") as remote:
            assert remote.run(Program.python("print(1)")).ending in ("ok", "refused")
        process.terminate()
        process.wait(20)


def test_nobody_at_the_address_is_a_typed_fault_after_all_attempts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with client(f"http://127.0.0.1:{port}", attempts=2) as remote, pytest.raises(SandboxUnreachable, match="Connect"):
        remote.run(Program.python(""))


class _Flaky(BaseHTTPRequestHandler):
    answers: ClassVar[list[tuple[int, bytes]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status, body = self.answers.pop(0)
        if status:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        pass


def test_dropped_connections_and_busy_answers_are_tried_again_and_nothing_else_is() -> None:
    good = encoded_result(SandboxResult(ending="ok", stdout=b"1"))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Flaky) as flaky:
        threading.Thread(target=flaky.serve_forever, daemon=True).start()
        with client(f"http://127.0.0.1:{flaky.server_port}", attempts=4) as remote:
            _Flaky.answers = [(0, b""), (503, b""), (429, b""), (200, good)]
            assert remote.run(Program.python("")).stdout == b"1" and not _Flaky.answers
            for status, body, match in ((500, b"boom", "boom"), (404, b"", "404"), (200, b"{}", "no result"), (307, b"", "307")):
                _Flaky.answers = [(status, body), (200, good)]
                with pytest.raises(SandboxError, match=match):
                    remote.run(Program.python(""))
                assert len(_Flaky.answers) == 1
        flaky.shutdown()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
contents: st.SearchStrategy[Mapping[str, bytes]] = st.dictionaries(texts, st.binary(max_size=20), max_size=3)


@given(source=st.text(max_size=50), stdin=st.binary(max_size=50), argv=st.lists(texts, min_size=1, max_size=3), files=contents)
def test_requests_survive_the_wire(source: str, stdin: bytes, argv: list[str], files: Mapping[str, bytes]) -> None:
    for program in (Program.python(source, stdin), Program.command(*argv, stdin=stdin)):
        sent = (program, dict(files), Limits(wall_seconds=1.5), tuple(files))
        assert decoded_request(encoded_request(*sent)) == sent


@given(
    stdout=st.binary(max_size=50),
    files=contents,
    code=st.none() | st.integers(0, 255),
    seconds=st.floats(0, 1e6),
    peak=st.none() | st.integers(0),
)
def test_results_survive_the_wire(
    stdout: bytes, files: Mapping[str, bytes], code: int | None, seconds: float, peak: int | None
) -> None:
    result = SandboxResult(
        ending="error", exit_code=code, stdout=stdout, stderr=stdout, files=dict(files), seconds=seconds,
        cpu_seconds=seconds, peak_memory_bytes=peak, reason="é",
    )  # fmt: skip
    assert decoded_result(encoded_result(result)) == result
