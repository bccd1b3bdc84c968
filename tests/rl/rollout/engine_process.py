"""A scripted engine in a process of its own, which can be killed like a real one: `ProcessEngine` starts one and asks it.

The process (`python -m tests.rl.rollout.engine_process`) samples, takes versions and counts tokens by version; what a turn says
and how long it takes is sent along with the request.
"""

import asyncio
import itertools
import os
import pickle
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from rl.rollout.engine import EngineDiedError, UpdateReceipt, WeightUpdate
from rl.rollout.scripted_engine import Respond, ScriptedEngine
from trajectories.trajectory import Sampling

Score = Callable[[list[int]], list[float]]
SIZE = 4


class ProcessEngine:
    """See `rl.rollout.engine.Engine`; made by `start`.

    Args:
        respond: what a request is answered with.
        score: what the weights compute for a probe; this process computes it in the other's stead, if that lives.
        rate: seconds of a token.
    """

    def __init__(self, respond: Respond, score: Score, rate: float, process: asyncio.subprocess.Process) -> None:
        self._respond, self._score, self._rate, self.process = respond, score, rate, process
        self._numbers, self._waiting = itertools.count(), dict[int, asyncio.Future[Any]]()
        self._listening = asyncio.ensure_future(self._listen())
        self.version = 0

    @staticmethod
    async def start(respond: Respond, score: Score = lambda ids: [0.0] * (len(ids) - 1), rate: float = 0.0) -> "ProcessEngine":
        arguments = (sys.executable, "-m", "tests.rl.rollout.engine_process")
        process = await asyncio.create_subprocess_exec(*arguments, stdin=-1, stdout=-1)
        engine = ProcessEngine(respond, score, rate, process)
        try:
            await engine._ask("alive")
        except BaseException:
            await engine.close()
            raise
        return engine

    def kill(self) -> None:
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)

    async def generate(self, prompt_token_ids: Any, sampling: Sampling, *, request_id: str, **limits: Any) -> Any:
        answer = self._respond(list(prompt_token_ids), sampling, request_id)
        return await self._ask("generate", answer, self._rate, prompt_token_ids, sampling, request_id=request_id, **limits)

    async def update_weights(self, update: WeightUpdate, mode: str = "wait") -> UpdateReceipt:
        receipt = await self._ask("update_weights", update, mode)
        self.version = receipt.version
        return receipt

    async def interrupt(self) -> None:
        await self._ask("interrupt")

    async def prompt_log_probs(self, token_ids: Any) -> list[list[float]]:
        await self._ask("alive")
        return [self._score(list(ids)) for ids in token_ids]

    async def close(self) -> None:
        self.kill()
        await self.process.wait()
        await self._listening

    async def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            assert self.process.stdin is not None
            if self._listening.done():
                raise EngineDiedError("rollout engine: its process died")
            self.process.stdin.write(framed((number, name, arguments, named)))
            return await answer
        finally:
            del self._waiting[number]

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        while (message := await received(self.process.stdout)) is not None:
            number, value = message
            if (waiting := self._waiting.get(number)) is None or waiting.done():
                continue
            if isinstance(value, Exception):
                waiting.set_exception(value)
            else:
                waiting.set_result(value)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EngineDiedError("rollout engine: its process died"))


def framed(message: Any) -> bytes:
    body = pickle.dumps(message)
    return len(body).to_bytes(SIZE, "big") + body


async def received(stream: asyncio.StreamReader) -> Any:
    """The next message; None at the end of the other process."""
    try:
        return pickle.loads(await stream.readexactly(int.from_bytes(await stream.readexactly(SIZE), "big")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def serve() -> NoReturn:
    said: dict[str, tuple[list[int], list[float]]] = {}
    rates: dict[str, float] = {}
    engine = ScriptedEngine(lambda prompt, sampling, name: said[name], None, lambda name, tokens: rates[name] * tokens)
    loop, stream = asyncio.get_running_loop(), asyncio.StreamReader(limit=2**30)
    await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, stream), sys.stdin)
    tasks = set()

    async def answer(number: int, name: str, arguments: Any, named: Any) -> None:
        value = None
        try:
            if name == "generate":
                request, (said[request], rates[request]) = named["request_id"], arguments[:2]
                arguments = arguments[2:]
            if name != "alive":
                value = await getattr(engine, name)(*arguments, **named)
        except Exception as error:
            value = error
        os.write(1, framed((number, value)))

    while (message := await received(stream)) is not None:
        tasks.add(task := asyncio.ensure_future(answer(*message)))
        task.add_done_callback(tasks.discard)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve())
