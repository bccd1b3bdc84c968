"""A role's model: limits, cache, record and accounts stacked from settings, in every worker and over kill and resume."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import ray

from pipelines.errors import UserError
from pipelines.models import RoleModel, check_model, open_model, usage_of
from services.chat import ChatError, ChatModel, Limits, OptionalEndpointConfig, wait_for
from trajectories.messages import Message

PRICES = """
models:
  small: {currency: EUR, prompt_per_million: 2.0, completion_per_million: 10.0, date: 2025-01-31, source: a test}
"""


class Flaky(BaseHTTPRequestHandler):
    """Answers `to <text>` with as many prompt tokens as the text says; every third request first gets a 503."""

    protocol_version = "HTTP/1.1"
    asked: Counter[str]
    refused: set[str]

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
        type(self).asked[text] += 1
        if text in self.refused:
            return self._send(400, {"error": {"message": "no"}})
        if int(text) % 3 == 0 and type(self).asked[text] == 1:
            return self._send(503, {"error": {"message": "busy"}})
        choice = {"index": 0, "message": {"role": "assistant", "content": f"to {text}"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": int(text), "completion_tokens": 2, "total_tokens": int(text) + 2}
        return self._send(200, {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def flaky() -> Iterator[tuple[str, type[Flaky]]]:
    class Handler(Flaky):
        pass

    Handler.asked, Handler.refused = Counter(), set()
    with served(Handler) as url:
        yield url, Handler


@contextmanager
def served(handler: type[Flaky]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def role(url: str, tmp_path: Path, **settings: Any) -> RoleModel:
    (tmp_path / "prices.yaml").write_text(PRICES)
    return RoleModel(
        endpoint=OptionalEndpointConfig(base_url=url, model="small"),
        limits=Limits(first_wait_seconds=0.001),
        prices=str(tmp_path / "prices.yaml"),
        **settings,
    )


def ask(model: ChatModel | None, *numbers: int) -> list[str]:
    assert model is not None
    return [wait_for(model.complete([Message("user", str(number))])).message.content for number in numbers]


def test_a_role_without_settings_has_no_model_and_no_account(tmp_path: Path) -> None:
    assert open_model("judge", RoleModel(), tmp_path) is None and usage_of(tmp_path) == {}


def test_a_run_that_goes_on_asks_nothing_twice_and_its_account_adds_up(flaky: Any, tmp_path: Path) -> None:
    url, server = flaky
    settings = role(url, tmp_path)
    server.refused.add("5")
    assert ask(open_model("judge", settings, tmp_path), 1, 2, 3) == ["to 1", "to 2", "to 3"]
    with pytest.raises(ChatError, match="HTTP 400"):
        ask(open_model("judge", settings, tmp_path), 5)
    server.refused.clear()  # what did not answer is asked again by the run that goes on
    assert ask(open_model("judge", settings, tmp_path), 1, 2, 3, 4, 5) == [f"to {number}" for number in range(1, 6)]
    assert server.asked == {"1": 1, "2": 1, "3": 2, "4": 1, "5": 2}
    ask(open_model("voice", settings, tmp_path), 1)
    usage = usage_of(tmp_path)
    assert sorted(usage) == ["judge", "voice"] and usage["voice"]["answered"] == 1
    judge = usage["judge"]
    assert (judge["requests"], judge["answered"], judge["given_up"], judge["from_record"], judge["retried"]) == (9, 5, 1, 3, 1)
    assert (judge["prompt_tokens"], judge["completion_tokens"], judge["unmetered"]) == (15, 10, 0)
    assert judge["cost"] == (15 * 2.0 + 10 * 10.0) / 1e6 and judge["currency"] == "EUR"
    json.dumps(usage)


def test_a_replay_needs_no_model_and_costs_nothing(flaky: Any, tmp_path: Path) -> None:
    url, server = flaky
    ask(open_model("voice", role(url, tmp_path), tmp_path / "live"), 1, 2)
    recorded = tmp_path / "live/models/voice.sqlite"
    before = recorded.read_bytes()
    model = open_model("voice", RoleModel(file=str(recorded)), tmp_path / "again")
    assert ask(model, 2, 1, 1) == ["to 2", "to 1", "to 1"]
    with pytest.raises(ChatError, match=r"small at http.*: this request is not in the recording voice.sqlite"):
        ask(model, 9)
    usage = usage_of(tmp_path / "again")["voice"]
    assert (usage["from_file"], usage["from_record"], usage["answered"], usage["prompt_tokens"]) == (3, 0, 0, 0)
    assert recorded.read_bytes() == before
    assert server.asked == {"1": 1, "2": 1}


def test_a_cache_serves_other_runs_and_roles_which_record_what_they_were_given(flaky: Any, tmp_path: Path) -> None:
    url, server = flaky
    settings = role(url, tmp_path, cache=str(tmp_path / "cache.sqlite"))
    for run, name in (("one", "voice"), ("two", "judge")):
        assert ask(open_model(name, settings, tmp_path / run), 1, 3, 1) == ["to 1", "to 3", "to 1"]
    first, second = usage_of(tmp_path / "one")["voice"], usage_of(tmp_path / "two")["judge"]
    assert (first["answered"], first["from_cache"], first["from_record"]) == (2, 0, 1)
    assert (second["answered"], second["from_cache"], second["from_record"], second["cost"]) == (0, 2, 1, 0.0)
    assert ask(open_model("judge", RoleModel(file=str(tmp_path / "two/models/judge.sqlite")), tmp_path / "three"), 1) == ["to 1"]
    assert server.asked == {"1": 1, "3": 2}


def test_a_model_without_a_price_costs_nobody_knows_what(flaky: Any, tmp_path: Path) -> None:
    url, _ = flaky
    settings = RoleModel(endpoint=OptionalEndpointConfig(base_url=url, model="small"), prices="example")
    ask(open_model("policy", settings, tmp_path), 1)
    usage = usage_of(tmp_path)["policy"]
    assert usage["cost"] is None and usage["unpriced"] == "small" and usage["prompt_tokens"] == 1


def test_ray_workers_share_one_record_and_their_account_adds_up(flaky: Any, tmp_path: Path) -> None:
    url, server = flaky
    model = open_model("judge", role(url, tmp_path), tmp_path)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    try:
        worker = ray.remote(num_cpus=1)(ask)
        heard = ray.get([worker.remote(model, *range(start, 60, 4)) for start in range(4)])
        heard += ray.get([worker.remote(model, *range(start, 60, 4)) for start in range(4)])
    finally:
        ray.shutdown()
    assert heard == [[f"to {number}" for number in range(start, 60, 4)] for start in range(4)] * 2
    usage = usage_of(tmp_path)["judge"]
    assert (usage["requests"], usage["answered"], usage["from_record"], usage["retried"]) == (120, 60, 60, 20)
    assert usage["prompt_tokens"] == sum(range(60)) and server.asked.total() == 80


ROLE = """
import sys
from pathlib import Path
from pipelines.models import *
from services.chat import *
from trajectories.messages import Message
endpoint = OptionalEndpointConfig(base_url=sys.argv[1], model="small")
settings = RoleModel(endpoint=endpoint, limits=Limits(first_wait_seconds=0.001))
model = open_model("judge", settings, Path(sys.argv[2]))
for number in range(5000):
    wait_for(model.complete([Message("user", str(number))]))
    print(number, flush=True)
"""


def test_a_process_that_is_killed_loses_no_tokens_that_were_paid(flaky: Any, tmp_path: Path) -> None:
    url, server = flaky
    process = subprocess.Popen(
        [sys.executable, "-c", ROLE, url, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "30":
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    process.stdout.close()
    usage = usage_of(tmp_path)["judge"]
    said = sum(server.asked.values()) - usage["retried"]
    assert 31 <= usage["answered"] <= said <= usage["answered"] + 1  # one may have been on its way
    assert usage["prompt_tokens"] == sum(range(usage["answered"]))
    replay = open_model("judge", RoleModel(file=str(tmp_path / "models/judge.sqlite")), tmp_path / "replay")
    assert ask(replay, *range(31)) == [f"to {number}" for number in range(31)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"file": "nowhere.sqlite"}, "judge: nowhere.sqlite: there is no recording"),
        ({"prices": "dollars"}, "judge: prices: there is no table 'dollars'; example ship"),
        ({"prices": "nowhere.yaml"}, "judge: prices: nowhere.yaml: No such file"),
        ({"prices": "bad.yaml"}, "judge: prices: bad.yaml: a price table has one key"),
        ({"prices": "worse.yaml"}, "judge: prices: worse.yaml: "),
        ({"cache": "nowhere/c"}, "judge: nowhere/c: unable to open"),
        ({"cache": "bad.yaml"}, "judge: bad.yaml: file is not a database"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_name(
    settings: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("- no table, and long enough to be seen as no database\n" * 20)
    Path("worse.yaml").write_text("{")
    live = {} if "file" in settings else {"endpoint": OptionalEndpointConfig(base_url="http://127.0.0.1:1/v1", model="m")}
    with pytest.raises(UserError, match=message):
        check_model(RoleModel(**live, **settings), "judge")


@pytest.mark.parametrize("path", sorted(str(entry) for entry in (files("conf") / "prices").iterdir()))
def test_tables_that_ship_can_be_read_and_are_marked_as_examples(path: str) -> None:
    check_model(RoleModel(endpoint=OptionalEndpointConfig(base_url="http://127.0.0.1:1/v1", model="m"), prices=path), "prices")
    assert "invented" in Path(path).read_text() and "EXAMPLE" in Path(path).read_text()
