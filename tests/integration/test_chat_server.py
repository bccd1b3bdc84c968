"""Chat models against vLLM's own OpenAI server, with a nano policy that is made here."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from pipelines.models import RoleModel, open_model, usage_of
from rl.policy import dialects
from rl.policy.presets import build_model, save
from rl.policy.tokenizer import train_tokenizer
from rl.rollout.engine_config import EngineConfig, engine_environment
from services.chat import ChatError, ChatModel, ChatReply, Limits, OptionalEndpointConfig
from tests.rl.policy.dialects.dialogues import TOOLS, dialogue
from trajectories.messages import Message

pytest.importorskip("vllm")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HELLO = [Message("system", "You run an order desk."), Message("user", "Please cancel order 482.")]
VERDICT = {
    "type": "object",
    "properties": {"passed": {"enum": ["yes", "no"]}, "score": {"enum": [0, 1]}},
    "required": ["passed", "score"],
    "additionalProperties": False,
}
TOKENIZER = train_tokenizer(dialects.DIALECTS["kimi_k2"].texts(dialogue(), TOOLS) * 3, 384, dialect="kimi_k2")


@pytest.fixture(scope="module")
def url(memory_directory: Path) -> Iterator[str]:
    """The base URL of a vLLM server."""
    directory = memory_directory / "served"
    save(build_model("nano_k2", TOKENIZER, seed=0), TOKENIZER, directory)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = {
        "--model": str(directory), "--served-model-name": "nano", "--host": "127.0.0.1", "--port": str(port),
        "--dtype": "float32", "--max-model-len": "512", "--max-num-seqs": "16", "--seed": "0",
        "--kv-cache-memory-bytes": str(2**28), "--generation-config": "vllm", "--tool-call-parser": "kimi_k2",
        # vLLM's CPU rotary kernel reads MLA's strided queries and keys wrongly.
        "--compilation-config": json.dumps({"custom_ops": ["all", "-rotary_embedding"]}),
    }  # fmt: skip
    flags = ["--enforce-eager", "--enable-auto-tool-choice", "--no-enable-prefix-caching"]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *sum(arguments.items(), ()), *flags]
    with serving(command, memory_directory / "server.log", f"http://127.0.0.1:{port}"):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def serving(command: list[str], log: Path, address: str) -> Iterator[None]:
    """A server, from when it answers; its whole process group is ended, since an engine outlives its server."""
    with engine_environment(EngineConfig(model="")), log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        while not answers(f"{address}/health"):
            assert process.poll() is None, log.read_text()[-3000:]
            time.sleep(0.5)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def judge(url: str, directory: Path, **settings: Any) -> ChatModel:
    endpoint = OptionalEndpointConfig(base_url=url, model=settings.pop("model", "nano"))
    model = open_model("judge", RoleModel(endpoint=endpoint, limits=Limits(in_flight=8), **settings), directory)
    assert model is not None
    return model


def asked(model: ChatModel, numbers: range, **settings: Any) -> list[ChatReply]:
    """What many callers hear at once."""

    async def together() -> list[ChatReply]:
        try:
            return await asyncio.gather(*(model.complete(HELLO, seed=number, **settings) for number in numbers))
        finally:
            await model.close()

    return asyncio.run(together())


def test_many_callers_are_answered_accounted_to_the_token_and_replayed_without_the_server(url: str, tmp_path: Path) -> None:
    replies = asked(judge(url, tmp_path / "live"), range(24), temperature=1.0, max_tokens=12)
    assert len({reply.message.content for reply in replies}) > 12  # each draw has its own seed
    prompt = len(TOKENIZER.apply_chat_template([item.to_openai() for item in HELLO], add_generation_prompt=True)["input_ids"])
    assert all(reply.usage is not None and reply.usage.prompt_tokens == prompt for reply in replies)
    usage = usage_of(tmp_path / "live")["judge"]
    assert (usage["answered"], usage["unmetered"], usage["prompt_tokens"]) == (24, 0, 24 * prompt)
    assert usage["completion_tokens"] == sum(reply.usage.completion_tokens for reply in replies if reply.usage)
    assert usage["cost"] is None and usage["unpriced"] == "nano"
    again = open_model("judge", RoleModel(file=str(tmp_path / "live/models/judge.sqlite")), tmp_path / "again")
    assert again is not None and asked(again, range(24), temperature=1.0, max_tokens=12) == replies


def test_json_by_a_schema_is_json_by_that_schema(url: str, tmp_path: Path) -> None:
    replies = asked(judge(url, tmp_path), range(4), response_schema=VERDICT, temperature=1.0, max_tokens=200)
    for reply in replies:
        verdict = json.loads(reply.message.content)
        assert verdict["passed"] in ("yes", "no") and verdict["score"] in (0, 1) and len(verdict) == 2


def test_a_dialogue_with_tools_and_their_results_is_taken(url: str, tmp_path: Path) -> None:
    model = judge(url, tmp_path)
    reply = asyncio.run(model.complete(dialogue()[:5], tools=TOOLS, temperature=0.0, max_tokens=8, seed=1))
    assert reply.usage is not None and 0 < reply.usage.completion_tokens <= 8


def test_what_the_server_refuses_is_asked_once_and_says_why(url: str, tmp_path: Path) -> None:
    for settings, text, why in (({"model": "other"}, "Hi.", "HTTP 404"), ({}, "long " * 2000, "HTTP 400")):
        model = judge(url, tmp_path / why, **settings)
        with pytest.raises(ChatError, match=why) as caught:
            asyncio.run(model.complete([Message("user", text)], max_tokens=4))
        assert (caught.value.kind, caught.value.attempts) == ("refused", 1)
        assert usage_of(tmp_path / why)["judge"]["given_up"] == 1


def test_a_cut_off_verdict_is_an_error_that_is_paid_for_and_not_kept(url: str, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ChatError, match="cut off at max_tokens=2") as caught:
            asked(judge(url, tmp_path), range(1), response_schema=VERDICT, max_tokens=2)
        assert caught.value.kind == "truncated"
    usage = usage_of(tmp_path)["judge"]
    assert (usage["answered"], usage["completion_tokens"]) == (2, 4)
