"""An engine without a model: a function answers. It keeps the whole contract, so whatever runs on it runs on vLLM.

What it returns depends only on the prompt, the sampling settings and the request's id, never on timing; where it takes
time (`latency`), how much of it is there when an update or an interruption comes depends on the event loop's clock alone.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence

from rl.rollout.engine import (
    Completion,
    EngineError,
    FinishReason,
    UpdateMode,
    UpdateReceipt,
    WeightSyncError,
    WeightUpdate,
    check_grammar,
)
from rl.rollout.update_gate import UpdateGate
from rl.rollout.version_marks import VersionMarks
from trajectories.trajectory import Sampling

__all__ = ["Latency", "Respond", "ScriptedEngine"]

Respond = Callable[[list[int], Sampling, str], tuple[list[int], list[float]]]
"""(prompt, sampling, request id) to token ids and their log-probabilities."""
Latency = Callable[[str, int], float]
"""(request id, n) to seconds from the request until its first n tokens are sampled; never less for a greater n."""

_CLOCK = 1e-9
"""Seconds that are nothing: sums of a clock's readings are off by less."""


class ScriptedEngine:
    """See `rl.rollout.engine.Engine`.

    Args:
        respond: gives a whole turn; it is cut after the first stop token and at ``max_tokens``, as an engine would. Whether
            it fits a grammar is the function's business.
        score: gives the log-probabilities for `prompt_log_probs`; without it that call is refused.
        latency: how long a request takes, by the event loop's clock; without it none takes any time.
    """

    def __init__(
        self,
        respond: Respond,
        score: Callable[[list[int]], list[float]] | None = None,
        latency: Latency | None = None,
    ) -> None:
        self._respond, self._score, self._latency = respond, score, latency
        self._gate, self._updates = UpdateGate(), asyncio.Lock()
        self._running: set[_Turn] = set()
        self._version = 0
        self._closed = False

    @property
    def version(self) -> int:
        return self._version

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
        check_grammar(sampling, grammar)
        if self._closed:
            raise EngineError(f"scripted engine: request {request_id} came after close")
        tokens, log_probs = self._respond(list(prompt_token_ids), sampling, request_id)
        stops = set(stop_token_ids)
        length = next((index + 1 for index, token in enumerate(tokens) if token in stops), None)
        stopped = length is not None and length <= max_tokens
        end = length if stopped and length is not None else max_tokens
        if not stopped and len(tokens) < max_tokens:
            raise EngineError(f"scripted engine: {request_id} got neither a stop token nor {max_tokens} tokens")
        async with self._gate.request():
            turn = _Turn(end, self._version)
            if self._latency is not None:
                latency = self._latency
                self._running.add(turn)
                try:
                    await turn.take_time(lambda count: latency(request_id, count))
                finally:
                    self._running.remove(turn)
            if self._closed:
                raise EngineError(f"scripted engine: it was closed while request {request_id} was waiting")
            sampled = turn.sampled
            reason: FinishReason = "cut" if sampled < end else "stop" if stopped else "length"
            return turn.marks.completion(tokens[:sampled], log_probs[:sampled], reason)

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode = "wait") -> UpdateReceipt:
        async with self._updates:
            if update.version <= self._version:
                raise WeightSyncError(f"weight sync: version {update.version} does not follow version {self._version}")
            if mode == "keep":
                for turn in self._running:
                    turn.marks.add(turn.there(), update.version)
                self._version = update.version
            else:
                if mode == "recompute":
                    await self.interrupt()
                async with self._gate.update():
                    self._version = update.version
        return UpdateReceipt(update.version, update.digest, tensors=0, seconds=0.0)

    async def interrupt(self) -> None:
        for turn in self._running:
            turn.cut()

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        if self._score is None:
            raise EngineError("scripted engine: no score function was given")
        return [self._score(list(ids)) for ids in token_ids]

    async def close(self) -> None:
        self._closed = True
        await self.interrupt()


class _Turn:
    """A turn that takes its time."""

    def __init__(self, end: int, version: int) -> None:
        self._end = end
        self.marks = VersionMarks(version)
        self._cut: asyncio.Future[int] | None = None

    @property
    def sampled(self) -> int:
        """Tokens, once it has taken its time."""
        return self._cut.result() if self._cut is not None and self._cut.done() else self._end

    async def take_time(self, seconds: Callable[[int], float]) -> None:
        loop = asyncio.get_running_loop()
        self._clock, self._begun, self._seconds = loop.time, loop.time(), seconds
        self._cut = loop.create_future()
        await asyncio.wait([self._cut], timeout=seconds(self._end))

    def there(self) -> int:
        """Tokens that are sampled by now."""
        if self._cut is not None and self._cut.done():
            return self._cut.result()
        elapsed = self._clock() - self._begun + _CLOCK
        return bisect_right(range(1, self._end + 1), elapsed, key=self._seconds)

    def cut(self) -> None:
        there = self.there()
        if there < self._end and self._cut is not None and not self._cut.done():
            self._cut.set_result(there)
