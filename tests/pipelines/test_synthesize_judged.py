"""`orrery synthesize` with a judge behind an endpoint: what it cannot judge is marked, never guessed, and judged on resume."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rewards.judge import scripted_judge
from services.chat import ChatRequest
from trajectories.messages import Message
from trajectories.shards import read

TASKS = ("count=60", "tasks.families=[act,refuse,lookup]", "rows_per_shard=16", "error_budget=0.5")


class Judging(BaseHTTPRequestHandler):
    """Judges by script; while it is broken, one request in ten, by its content, gets no answer."""

    protocol_version = "HTTP/1.1"
    broken = True
    asked = 0
    refused: ClassVar[set[bytes]] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = json.loads(body)
        type(self).asked += 1
        words = hashlib.sha256(json.dumps(request["messages"][-1], sort_keys=True).encode()).digest()
        if self.broken and words[0] < 26:
            self.refused.add(words)
            self._answer(500, b"out of order")
            return
        messages = tuple(Message.from_openai(message) for message in request["messages"])
        schema = request["response_format"]["json_schema"]["schema"]
        reply = asyncio.run(scripted_judge().respond(ChatRequest(messages, response_schema=schema)))
        choice = {"index": 0, "message": {"role": "assistant", "content": reply.message.content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        self._answer(200, json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def url() -> Iterator[str]:
    Judging.broken, Judging.asked = True, 0
    Judging.refused.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Judging) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_judge_that_fails_now_and_then_makes_no_verdict_up_and_is_asked_again_on_resume(
    orrery: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = (f"endpoint.base_url={url}", "endpoint.model=strict", "limits.first_wait_seconds=0.05")
    judge = tuple(f"judge.model.{setting}" for setting in settings)
    broken = orrery("synthesize", *TASKS, *judge, "out=x", "workers=2")
    assert broken.status == 0, broken.error
    summary = json.loads(Path("x/summary.json").read_text())
    faults = summary["faults"]["judge"]
    assert faults == len(Judging.refused) > 0 and summary["dropped"]["fault:judge"] == faults
    entries = list(read("x/journal"))
    unjudged = {entry["id"] for entry in entries if entry["reason"] == "fault:judge"}
    assert len(unjudged) == faults and all("HTTP 500" in entry["detail"] for entry in entries if entry["id"] in unjudged)
    rows = list(read("x"))
    assert not unjudged & {row["id"] for row in rows}
    for row in rows:
        judged = [verdict for verdict in row["verdicts"] if verdict["judge"].startswith("strict")]
        assert judged and all(verdict["reasons"] for verdict in judged) and row["models"]["judge"].startswith("strict")
    assert "resume=auto" in broken.out and summary["usage"]["judge"]["prompt_tokens"] == 100 * (60 - faults)
    before = Judging.asked

    Judging.broken = False
    again = orrery("synthesize", *TASKS, *judge, "out=x", "resume=auto")
    assert again.status == 0, again.error
    assert Judging.asked == before + faults  # what was judged is on record
    summary = json.loads(Path("x/summary.json").read_text())
    assert summary["faults"] == {} and unjudged <= {entry["id"] for entry in read("x/journal")}
    calm = orrery("synthesize", *TASKS, *judge, "out=calm")
    assert calm.status == 0, calm.error
    assert json.loads(Path("calm/summary.json").read_text())["dataset_digest"] == summary["dataset_digest"]
    assert "is finished already" in orrery("synthesize", *TASKS, *judge, "out=x", "resume=auto").out


def test_the_scripted_judge_needs_no_model(orrery: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = orrery("synthesize", "count=12", "judge.scripted=true", "out=x")
    assert result.status == 0, result.error
    rows = list(read("x"))
    assert rows and all(any(verdict["judge"] == "scripted" for verdict in row["verdicts"]) for row in rows)
    assert all(row["models"] == {} for row in rows)  # no model took part
    checked = orrery("validate", "dataset=x", "out=checked")
    assert checked.status == 0, checked.error
    refused = orrery("synthesize", "judge.scripted=true", "judge.model.file=y", "out=z")
    assert refused.status == 2 and "leave out judge.model" in refused.error and not Path("z").exists()
