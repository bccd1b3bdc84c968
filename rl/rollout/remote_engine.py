"""The same engine in a Ray actor: many requests travel in one call, and answers come back as soon as they are there.

Requests made in one tick of the event loop are submitted by one remote call, and one waiting call brings back whatever
has finished since. A dead actor fails every request that waits for it, with an `EngineDiedError`.
"""

import asyncio
import contextlib
import itertools
import os
import uuid
from collections.abc import Sequence
from typing import Any

import ray

from rl.rollout.engine import Completion, EngineDiedError, EngineError, UpdateMode, UpdateReceipt, WeightUpdate
from rl.rollout.engine_config import EngineConfig
from rl.rollout.vllm_engine import VLLMEngine
from trajectories.trajectory import Sampling

__all__ = ["RemoteVLLMEngine"]

Request = tuple[int, tuple[int, ...], Sampling, int, tuple[int, ...], str, str | None]
"""Number, prompt, sampling, max_tokens, stop tokens, request id, grammar."""
Answer = tuple[int, Completion | EngineError]
"""Number, and the completion or what went wrong."""


class RemoteVLLMEngine:
    """See `rl.rollout.engine.Engine`; belongs to one event loop.

    The actor begins to start at once; `start` waits for it (and is not needed: the first request waits as well).

    Args:
        num_cpus: of the actor, as Ray counts them. Rollouts and training take turns on the same cores, so 0 is usual.
    """

    def __init__(self, config: EngineConfig, *, num_cpus: float = 0.0, num_gpus: float = 0.0) -> None:
        self.config = config
        options = {"num_cpus": num_cpus, "num_gpus": num_gpus, "max_concurrency": 1000, "max_restarts": 0}
        self._actor = ray.remote(_EngineActor).options(**options).remote(config)
        self._starting = self._actor.start.remote()
        self._client = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._unsent: list[Request] = []
        self._waiting: dict[int, asyncio.Future[Completion]] = {}
        self._collecting: asyncio.Task[None] | None = None
        self._version = 0
        self._closed = False

    @property
    def version(self) -> int:
        return self._version

    async def start(self) -> None:
        await self._call(self._starting)

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        sampling: Sampling,
        *,
        max_tokens: int,
        stop_token_ids: Sequence[int],
        request_id: str,
        grammar: str | None = None,
    ) -> Completion:
        if self._closed:
            raise EngineError(f"rollout engine: request {request_id} came after close")
        number, loop = next(self._numbers), asyncio.get_running_loop()
        answer = self._waiting[number] = loop.create_future()
        if not self._unsent:
            loop.call_soon(self._send)
        prompt, stops = tuple(prompt_token_ids), tuple(stop_token_ids)
        self._unsent.append((number, prompt, sampling, max_tokens, stops, request_id, grammar))
        try:
            return await answer
        except asyncio.CancelledError:
            self._actor.cancel.remote(self._client, number)
            raise
        finally:
            self._waiting.pop(number, None)

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        return await self._call(self._actor.prompt_log_probs.remote([list(ids) for ids in token_ids]))

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode = "wait") -> UpdateReceipt:
        self._send()
        return await asyncio.shield(asyncio.ensure_future(self._update(update, mode)))  # an actor does not stop half-way

    async def interrupt(self) -> None:
        self._send()
        await self._call(self._actor.interrupt.remote())

    async def resident_digest(self) -> str:
        """See `VLLMEngine.resident_digest`."""
        return await self._call(self._actor.resident_digest.remote())

    async def process_ids(self) -> list[int]:
        """The actor's process and those of its engine."""
        return await self._call(self._actor.process_ids.remote())

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._collecting is not None:
            self._collecting.cancel()
        self._fail_all(EngineError("rollout engine: it was closed while requests were waiting"))
        try:
            with contextlib.suppress(ray.exceptions.RayActorError):  # already gone, and its processes with it
                await self._actor.close.remote()
        finally:
            ray.kill(self._actor)

    async def _update(self, update: WeightUpdate, mode: UpdateMode) -> UpdateReceipt:
        receipt = await self._call(self._actor.update_weights.remote(update, mode))
        self._version = receipt.version
        return receipt

    def _send(self) -> None:
        """Hands over what was asked for up to now."""
        if not self._unsent:
            return
        requests, self._unsent = self._unsent, []
        self._actor.submit.remote(self._client, requests)
        if self._collecting is None or self._collecting.done():
            self._collecting = asyncio.get_running_loop().create_task(self._collect())

    async def _collect(self) -> None:
        while self._waiting:
            try:
                answers = await self._call(self._actor.collect.remote(self._client))
            except Exception as error:
                self._fail_all(error)
                return
            for number, answer in answers:
                waiting = self._waiting.get(number)
                if waiting is None or waiting.done():
                    continue
                if isinstance(answer, EngineError):
                    waiting.set_exception(answer)
                else:
                    waiting.set_result(answer)
            await asyncio.sleep(0)  # those who got an answer leave `_waiting` now

    def _fail_all(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)

    async def _call(self, reference: Any) -> Any:
        try:
            return await reference
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except ray.exceptions.RayActorError as error:
            raise EngineDiedError(f"rollout engine: its actor died: {error}") from error


class _EngineActor:
    """Holds the engine; answers wait in one box per client until they are collected."""

    def __init__(self, config: EngineConfig) -> None:
        self._engine = VLLMEngine(config)
        self._started: asyncio.Task[None] | None = None
        self._boxes: dict[str, list[Answer]] = {}
        self._filled: dict[str, asyncio.Event] = {}
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}

    async def start(self) -> None:
        if self._started is None:
            self._started = asyncio.ensure_future(self._engine.start())
        await asyncio.shield(self._started)

    async def submit(self, client: str, requests: list[Request]) -> None:
        self._boxes.setdefault(client, [])
        self._filled.setdefault(client, asyncio.Event())
        for request in requests:
            self._running[client, request[0]] = asyncio.ensure_future(self._answer(client, *request))

    async def collect(self, client: str) -> list[Answer]:
        """Everything that has finished since the last call; waits until there is something."""
        filled = self._filled.setdefault(client, asyncio.Event())
        await filled.wait()
        await asyncio.sleep(0)  # requests that ended in the same engine step come along
        filled.clear()
        answers, self._boxes[client] = self._boxes[client], []
        return answers

    async def cancel(self, client: str, number: int) -> None:
        if (task := self._running.get((client, number))) is not None:
            task.cancel()

    async def prompt_log_probs(self, token_ids: list[list[int]]) -> list[list[float]]:
        await self.start()
        return await self._engine.prompt_log_probs(token_ids)

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode) -> UpdateReceipt:
        await self.start()
        return await self._engine.update_weights(update, mode)

    async def interrupt(self) -> None:
        await self.start()
        await asyncio.sleep(0)  # requests that were submitted before it have their tasks begin first
        await self._engine.interrupt()

    async def resident_digest(self) -> str:
        await self.start()
        return await self._engine.resident_digest()

    async def process_ids(self) -> list[int]:
        await self.start()
        return [os.getpid(), *self._engine.process_ids]

    async def close(self) -> None:
        await self._engine.close()

    async def _answer(
        self,
        client: str,
        number: int,
        prompt: tuple[int, ...],
        sampling: Sampling,
        max_tokens: int,
        stops: tuple[int, ...],
        request_id: str,
        grammar: str | None,
    ) -> None:
        answer: Completion | EngineError
        try:
            await self.start()
            answer = await self._engine.generate(
                prompt,
                sampling,
                max_tokens=max_tokens,
                stop_token_ids=stops,
                request_id=request_id,
                grammar=grammar,
            )
        except Exception as error:
            answer = error if isinstance(error, EngineError) else EngineError(str(error))
        finally:
            self._running.pop((client, number), None)
        self._boxes[client].append((number, answer))
        self._filled[client].set()
