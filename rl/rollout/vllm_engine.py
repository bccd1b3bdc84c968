"""The real engine: vLLM's AsyncLLM, token ids in and out, every weight update checked before and after it is loaded.

No process outlives the engine: `close` ends them and looks again, and they end by themselves when this process dies.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from rl.rollout.engine import Completion, EngineError, UpdateReceipt, WeightSyncError, WeightUpdate, check_grammar
from rl.rollout.engine_config import EngineConfig, engine_arguments, engine_environment
from rl.rollout.update_gate import UpdateGate
from trajectories.trajectory import Sampling

__all__ = ["VLLMEngine"]


class VLLMEngine:
    """An engine in this process's event loop; it computes in a process of its own. See `rl.rollout.engine.Engine`.

    `start` before the first request, in the event loop that makes the requests.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._gate = UpdateGate()
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
        begun = await self._llm.collective_rpc("orrery_begin", args=(self.config.model,))
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
        parameters = _sampling_params(sampling, min(max_tokens, room), stop_token_ids, grammar)
        async with self._gate.request():
            output = await self._run(list(prompt_token_ids), parameters, request_id)
            version = self._version
        completion = output.outputs[0]
        if completion.finish_reason not in ("stop", "length"):
            raise EngineError(f"rollout engine: request {request_id} ended with {completion.finish_reason!r}")
        tokens = tuple(completion.token_ids)
        # With logprobs=0 each position holds the sampled token alone.
        log_probs = tuple(completion.logprobs.logprobs)
        if len(log_probs) != len(tokens):
            raise EngineError(f"rollout engine: {len(tokens)} tokens came with {len(log_probs)} log-probabilities")
        return Completion(tokens, log_probs, completion.finish_reason, version)

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        async with self._gate.request():
            return await asyncio.gather(*(self._score(list(ids)) for ids in token_ids))

    async def update_weights(self, update: WeightUpdate) -> UpdateReceipt:
        if update.version <= self._version:
            raise WeightSyncError(f"weight sync: version {update.version} does not follow version {self._version}")
        start = time.perf_counter()
        async with self._gate.update():
            waited = time.perf_counter() - start
            llm = self._ready()
            arguments = (update.path, update.digest, self.config.plant_bug != "experts")
            try:
                workers = await llm.collective_rpc("orrery_update", args=arguments)
            except Exception as error:
                raise self._fail(f"weight sync: version {update.version} could not be loaded: {error}") from error
            for worker in workers:
                if worker["error"]:
                    raise self._fail(f"weight sync: version {update.version}: {worker['error']}")
            if self.config.enable_prefix_caching:
                await llm.reset_prefix_cache()
            self._version = update.version
        seconds = time.perf_counter() - start - waited
        return UpdateReceipt(update.version, workers[0]["digest"], workers[0]["tensors"], seconds, waited)

    async def resident_digest(self) -> str:
        """Digest of the tensors that the engine computes with, in its own layout."""
        async with self._gate.request():
            return (await self._ready().collective_rpc("orrery_resident_digest"))[0]

    async def close(self) -> None:
        if self._llm is None:
            return
        self._broken = "it is closed"
        llm, self._llm = self._llm, None
        if llm.output_handler is not None:
            llm.output_handler.cancel()  # it would report the end of the engine as an error
            await asyncio.gather(llm.output_handler, return_exceptions=True)
        await asyncio.to_thread(llm.shutdown)
        await asyncio.to_thread(_end, self._processes)

    def _ready(self) -> Any:
        if self._broken is not None or self._llm is None:
            raise EngineError(f"rollout engine: no requests are taken: {self._broken or 'start() was not called'}")
        return self._llm

    def _fail(self, message: str) -> WeightSyncError:
        self._broken = message  # half-loaded weights must not sample another token
        return WeightSyncError(message)

    async def _run(self, prompt: list[int], parameters: Any, request_id: str) -> Any:
        from vllm.inputs.engine import tokens_input

        final = None
        try:
            async for output in self._ready().generate(tokens_input(prompt), parameters, request_id):
                final = output
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f"rollout engine: {request_id} failed: {type(error).__name__}: {error}") from error
        if final is None:
            raise EngineError(f"rollout engine: {request_id} gave no output")
        return final

    async def _score(self, ids: list[int]) -> list[float]:
        from vllm import SamplingParams

        self._probes += 1
        parameters = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False, ignore_eos=True)
        output = await self._run(ids, parameters, f"probe-{self._probes}")
        return [output.prompt_logprobs[index][token].logprob for index, token in enumerate(ids) if index]


def _sampling_params(sampling: Sampling, max_tokens: int, stop_token_ids: Sequence[int], grammar: str | None) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=max(sampling.top_k, 0),
        seed=sampling.seed,
        max_tokens=max_tokens,
        stop_token_ids=list(stop_token_ids),
        ignore_eos=True,  # the dialect says what stops a turn
        logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
        structured_outputs=None if grammar is None else StructuredOutputsParams(grammar=grammar),
    )


def _end(processes: list[int], patience: float = 5.0) -> None:
    """Waits for processes to end, and kills those that do not."""
    deadline = time.monotonic() + patience
    left = [process for process in processes if process != os.getpid()]
    while left and time.monotonic() < deadline:
        left = [process for process in left if _alive(process)]
        time.sleep(0.05 if left else 0)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    multiprocessing.active_children()  # reaps those that were this process's children


def _alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
