"""The real engine: vLLM's AsyncLLM, token ids in and out, every weight update checked before and after it is loaded.

Which version sampled which token is a matter of order, not of time. A request is handed to vLLM while no update runs, and
an update of mode `recompute` or `keep` begins only when every request before it is vLLM's; what vLLM sampled before it
stood still comes through one queue, whose end is waited for before anything is counted (`QueueEnd`).

No process outlives the engine: `close` ends them and looks again, and they end by themselves when this process dies.
"""

import asyncio
import os
import time
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from typing import Any

from rl.rollout.engine import (
    Completion,
    EngineDiedError,
    EngineError,
    UpdateMode,
    UpdateReceipt,
    WeightSyncError,
    WeightUpdate,
    check_grammar,
)
from rl.rollout.engine_config import EngineConfig, engine_arguments, engine_environment
from rl.rollout.processes import end_processes
from rl.rollout.update_gate import UpdateGate
from rl.rollout.version_marks import VersionMarks
from rl.rollout.vllm_requests import QueueEnd, Turn, completion_of, failed, sampling_params
from trajectories.trajectory import Sampling

__all__ = ["VLLMEngine"]

_DIED = "rollout engine: vLLM's process died"


class VLLMEngine:
    """An engine in this process's event loop; it computes in a process of its own. See `rl.rollout.engine.Engine`.

    `start` before the first request, in the event loop that makes the requests.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._flight, self._entrance = UpdateGate(), UpdateGate()
        """Held by a request until it is whole, and until it is vLLM's."""
        self._updates = asyncio.Lock()
        self._turns: dict[str, Turn] = {}  # those that are vLLM's, by its own ids
        self._interruptions = 0
        self._version = 0
        self._llm: Any = None
        self._processes: list[int] = []
        self._broken: str | None = None
        self._probes = 0
        self.start_digest = ""
        """Digest over the tensors of the directory that the engine was started with."""

    @property
    def version(self) -> int:
        return self._version

    @property
    def process_ids(self) -> list[int]:
        """The processes that compute; vLLM's own end with them."""
        return list(self._processes)

    async def start(self) -> None:
        """Starts vLLM and loads the model: 15 to 20 s on two CPU cores.

        Raises:
            EngineError: when there is no model at ``engine.model``, or vLLM cannot load it.
        """
        if not os.path.isfile(os.path.join(self.config.model, "config.json")):
            raise EngineError(f"rollout engine: engine.model={self.config.model} holds no model (no config.json)")
        with engine_environment(self.config):
            from vllm import AsyncEngineArgs
            from vllm.v1.engine.async_llm import AsyncLLM

            try:
                arguments = engine_arguments(self.config)
                self._llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
            except Exception as error:
                raise EngineError(f"rollout engine: vLLM could not start with {self.config.model}: {error}") from error
        begun = await self._answer(self._llm.collective_rpc("orrery_begin", args=(self.config.model,)))
        self._processes = [worker["process"] for worker in begun]
        self.start_digest = begun[0]["digest"]

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
        if grammar is not None and not self.config.grammars:
            raise EngineError(f"rollout engine: request {request_id} brings a grammar; start it with engine.grammars=true")
        room = self.config.max_model_len - len(prompt_token_ids)
        if room < 1 or max_tokens < 1:
            raise EngineError(
                f"rollout engine: no room for request {request_id}: {len(prompt_token_ids)} prompt tokens, max_tokens="
                f"{max_tokens}; raise engine.max_model_len ({self.config.max_model_len}) or lower the token limits"
            )
        parameters = sampling_params(sampling, min(max_tokens, room), stop_token_ids, grammar)
        async with self._flight.request():
            interruptions = self._interruptions
            while True:
                async with self._entrance.request():
                    collector = await self._add(list(prompt_token_ids), parameters, request_id)
                    turn = self._turns[collector.request_id] = Turn(collector, VersionMarks(self._version))
                try:
                    output = await self._final(collector)
                finally:
                    del self._turns[collector.request_id]
                if not turn.again or self._interruptions > interruptions:
                    return completion_of(request_id, output.outputs[0], turn.marks)

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        async with self._flight.request(), self._entrance.request():  # no update falls into it
            return await asyncio.gather(*(self._score(list(ids)) for ids in token_ids))

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode = "wait") -> UpdateReceipt:
        if mode == "keep" and self.config.enable_prefix_caching:
            raise WeightSyncError(
                "weight sync: mode keep would answer later requests from the older weights' cache without a stamp; "
                "set engine.enable_prefix_caching=false, or use wait or recompute"
            )
        start = time.perf_counter()
        async with self._updates:
            if update.version <= self._version:
                raise WeightSyncError(f"weight sync: version {update.version} does not follow version {self._version}")
            gate = self._flight if mode == "wait" else self._entrance
            async with gate.update():
                llm = self._ready()
                # From here on an error, or being cancelled, leaves an engine of which nobody knows what it holds.
                try:
                    if mode != "wait":
                        await self._stop_sampling(mode)
                    waited = time.perf_counter() - start
                    worker = await self._load(update)
                    if mode == "keep":
                        await self._mark(update.version)
                    if mode != "wait":
                        await self._answer(llm.resume_generation())
                    elif self.config.enable_prefix_caching and not await self._answer(llm.reset_prefix_cache()):
                        raise WeightSyncError("the prefix cache of the older weights could not be dropped")
                except BaseException as error:
                    self._fail(f"weight sync: version {update.version}: {str(error) or 'it was cancelled half-way'}")
                    if isinstance(error, Exception) and not isinstance(error, EngineDiedError):
                        raise WeightSyncError(self._broken) from error
                    raise
                self._version = update.version
        seconds = time.perf_counter() - start - waited
        return UpdateReceipt(update.version, worker["digest"], worker["tensors"], seconds, waited)

    async def interrupt(self) -> None:
        self._interruptions += 1
        async with self._entrance.update():  # whoever is being handed over is vLLM's by then
            await self._ready().abort(list(self._turns), internal=True)

    async def resident_digest(self) -> str:
        """Digest of the tensors that the engine computes with, in its own layout."""
        async with self._flight.request(), self._entrance.request():
            return (await self._answer(self._ready().collective_rpc("orrery_resident_digest")))[0]

    async def close(self) -> None:
        if self._llm is None:
            return
        self._fail("it is closed")
        llm, self._llm = self._llm, None
        if llm.output_handler is not None:
            llm.output_handler.cancel()  # it would report the end of the engine as an error
            await asyncio.gather(llm.output_handler, return_exceptions=True)
        await asyncio.to_thread(llm.shutdown)
        await asyncio.to_thread(end_processes, self._processes)

    @property
    def _died(self) -> bool:
        """Whether a process of vLLM's is gone; it notices at once."""
        return self._llm is not None and self._llm.errored

    def _ready(self) -> Any:
        if self._died:
            raise EngineDiedError("rollout engine: no requests are taken: vLLM's process died")
        if self._broken is not None or self._llm is None:
            raise EngineError(f"rollout engine: no requests are taken: {self._broken or 'start() was not called'}")
        return self._llm

    async def _answer(self, call: Coroutine[Any, Any, Any]) -> Any:
        """What the call gives. vLLM leaves a call unanswered when its process dies, but the task that takes outputs ends."""
        asked = asyncio.ensure_future(call)
        try:
            await asyncio.wait([asked, self._llm.output_handler], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise EngineDiedError(_DIED)
            return asked.result()
        except EngineDiedError:
            raise
        except Exception as error:
            if self._died:
                raise EngineDiedError(_DIED) from error
            raise
        finally:
            asked.cancel()

    def _fail(self, reason: str) -> None:
        """Nothing is sampled any more: whoever waits is told, and whoever comes."""
        self._broken = reason
        for turn in self._turns.values():
            kind = EngineDiedError if self._died else EngineError
            turn.collector.put(kind(f"rollout engine: the request ended with the engine: {reason}"))

    async def _stop_sampling(self, mode: UpdateMode) -> None:
        """No request is being computed afterwards, and every token that was sampled has been counted."""
        pause = {"recompute": "abort", "keep": "keep"}[mode]
        # Not `pause_generation`, which sleeps a while at the end in place of the next line.
        core = self._llm.engine_core
        await self._answer(core.pause_scheduler_async(mode=pause, clear_cache=mode == "recompute"))
        end = QueueEnd()
        core.outputs_queue.put_nowait(end)
        await self._answer(end.reached.wait())

    async def _load(self, update: WeightUpdate) -> dict[str, Any]:
        """What the first worker acknowledged, once all have loaded."""
        arguments = (asdict(update), self.config.plant_bug != "experts")
        workers = await self._answer(self._llm.collective_rpc("orrery_update", args=arguments))
        for worker in workers:
            if worker["error"]:
                raise WeightSyncError(worker["error"])
        return workers[0]

    async def _mark(self, version: int) -> None:
        """Notes in every request that stands still how many of its tokens the older weights sampled."""
        states = self._llm.output_processor.request_states
        unbegun = []
        for number, turn in self._turns.items():
            if (state := states.get(number)) is None:
                continue  # whole: its last token came before the update
            if (tokens := state.detokenizer.num_output_tokens()) > 0:
                turn.marks.add(tokens, version)
            else:
                # Perhaps a part of its prompt is in the cache, perhaps nothing: it begins anew, and is all the new weights'.
                turn.again = True
                unbegun.append(number)
        await self._llm.abort(unbegun, internal=True)

    async def _add(self, prompt: list[int], parameters: Any, request_id: str) -> Any:
        """Hands a request to vLLM; returns where its output comes."""
        from vllm.inputs.engine import tokens_input

        llm = self._ready()
        try:
            return await llm.add_request(request_id, tokens_input(prompt), parameters)
        except Exception as error:
            raise self._failed(request_id, error) from error

    async def _final(self, collector: Any) -> Any:
        """The output of a request that ended, by itself or because it was aborted; ends it when this task is cancelled."""
        try:
            while not (output := await collector.get()).finished:
                pass
            return output
        except asyncio.CancelledError:
            if self._llm is not None:
                await self._llm.abort(collector.request_id, internal=True)
            raise
        except EngineError:
            raise
        except Exception as error:
            raise self._failed(collector.request_id, error) from error
        finally:
            collector.close()

    def _failed(self, request_id: str, error: Exception) -> EngineError:
        return EngineDiedError(f"{_DIED}, and with it {request_id}") if self._died else failed(request_id, error)

    async def _score(self, ids: list[int]) -> list[float]:
        from vllm import SamplingParams

        self._probes += 1
        parameters = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False, ignore_eos=True)
        output = await self._final(await self._add(ids, parameters, f"probe-{self._probes}"))
        return [output.prompt_logprobs[index][token].logprob for index, token in enumerate(ids) if index]
