"""`orrery synthesize` with users whose words a chat model finds: asked over HTTP, recorded, and replayed without it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trajectories.shards import read

TASKS = ("count=8", "tasks.families=[ask]", "tasks.worlds=[order_desk]", "keep=all")


class Courteous(BaseHTTPRequestHandler):
    """Says what is to be said, after two words of its own; once it has been told to, it makes something up."""

    protocol_version = "HTTP/1.1"
    lies = False
    asked = 0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        plainly = json.loads(request["messages"][1]["content"])["plainly"]
        words = "It is 999999." if type(self).lies else f"Let me see: {plainly}"
        type(self).asked += 1
        choice = {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
        body = json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@contextmanager
def served(handler: type[Courteous]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def second_words(directory: str) -> list[str]:
    """What the users say when asked."""
    rows = read(directory, "train", columns=["messages"])
    return [[message["content"] for message in row["messages"] if message["role"] == "user"][1] for row in rows]


@pytest.mark.slow
def test_users_speak_by_the_model_and_replay_without_it(orrery: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    class Counting(Courteous):
        pass

    with served(Counting) as url:
        voice = (f"voice.endpoint.base_url={url}", "voice.endpoint.model=courteous")
        result = orrery("synthesize", *TASKS, *voice, "out=live", "workers=2")
        assert result.status == 0, result.error
        assert Counting.asked == 8
        assert orrery("synthesize", *TASKS, "voice.file=live/models/voice.sqlite", "out=replayed").status == 0
        assert Counting.asked == 8
    assert all(words.startswith("Let me see: ") for words in second_words("live"))
    for name in ("live", "replayed"):
        assert all(row["models"]["user"].startswith("courteous at http") for row in read(name))
        assert "Users are scripted" not in Path(name, "README.md").read_text()
    summaries = [json.loads(Path(f"{name}/summary.json").read_text()) for name in ("live", "replayed")]
    assert summaries[0]["dataset_digest"] == summaries[1]["dataset_digest"] and summaries[0]["passes"] == 8


@pytest.mark.slow
def test_a_model_that_makes_things_up_is_a_fault_of_the_user_and_no_failure(
    orrery: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    class Lying(Courteous):
        lies = True

    with served(Lying) as url:
        voice = (f"voice.endpoint.base_url={url}", "voice.endpoint.model=liar")
        assert orrery("synthesize", *TASKS, *voice, "out=lies").status == 0
        summary = json.loads(Path("lies/summary.json").read_text())
        assert summary["rows"] == 0 and summary["dropped"] == {"fault:user": 8} and summary["failed_by"] == {"user": 8}
        assert not list(read("lies"))
        Lying.lies = False
        for record in Path("lies/models").iterdir():
            record.unlink()  # else what the model said is on record, and the same fault comes of it
        again = orrery("synthesize", *TASKS, *voice, "out=lies", "resume=auto")
        assert again.status == 0, again.error
    assert json.loads(Path("lies/summary.json").read_text())["rows"] == 8


def test_more_faults_than_the_budget_allows_stop_the_run_and_say_what_broke(
    orrery: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    endpoint = ("voice.endpoint.base_url=http://127.0.0.1:9/v1", "voice.endpoint.model=nobody", "voice.limits.attempts=1")
    result = orrery("synthesize", *TASKS, *endpoint, "count=40", "out=unheard")
    assert result.status == 2 and "9 of 9 episodes ended by a fault" in result.error and "unreachable" in result.error
    assert not Path("unheard/summary.json").exists()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("voice.file=nowhere.sqlite",), "voice: nowhere.sqlite: there is no recording"),
        (("voice.endpoint.model=small",), "endpoint.base_url says where the model is"),
        (("voice.endpoint.base_url=http://127.0.0.1:1/v1",), "chat.model is empty"),
        (("voice.endpoint.base_url=http://127.0.0.1:1/v1", "voice.endpoint.model=m", "voice.file=x"), "leave out endpoint"),
    ],
)
def test_a_voice_that_cannot_speak_is_refused_before_anything_starts(
    orrery: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = orrery("synthesize", *TASKS, *overrides, "out=x")
    assert result.status == 2 and words in result.error and not Path("x").exists()
