"""An engine without a model: a function answers. It keeps the whole contract, so whatever runs on it runs on vLLM.

What it returns depends only on the prompt, the sampling settings and the request's id, never on timing.
"""

from collections.abc import Callable, Sequence

from rl.rollout.engine import Completion, EngineError, UpdateReceipt, WeightSyncError, WeightUpdate, check_grammar
from trajectories.trajectory import Sampling

__all__ = ["Respond", "ScriptedEngine"]

Respond = Callable[[list[int], Sampling, str], tuple[list[int], list[float]]]
"""(prompt, sampling, request id) to token ids and their log-probabilities."""


class ScriptedEngine:
    """See `rl.rollout.engine.Engine`.

    Args:
        respond: gives a whole turn; it is cut after the first stop token and at ``max_tokens``, as an engine would. Whether
            it fits a grammar is the function's business.
        score: gives the log-probabilities for `prompt_log_probs`; without it that call is refused.
    """

    def __init__(self, respond: Respond, score: Callable[[list[int]], list[float]] | None = None) -> None:
        self._respond, self._score = respond, score
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
        end = length if stopped else max_tokens
        if not stopped and len(tokens) < max_tokens:
            raise EngineError(f"scripted engine: {request_id} got neither a stop token nor {max_tokens} tokens")
        return Completion(tuple(tokens[:end]), tuple(log_probs[:end]), "stop" if stopped else "length", self._version)

    async def update_weights(self, update: WeightUpdate) -> UpdateReceipt:
        if update.version <= self._version:
            raise WeightSyncError(f"weight sync: version {update.version} does not follow version {self._version}")
        self._version = update.version
        return UpdateReceipt(update.version, update.digest, tensors=0, seconds=0.0)

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        if self._score is None:
            raise EngineError("scripted engine: no score function was given")
        return [self._score(list(ids)) for ids in token_ids]

    async def close(self) -> None:
        self._closed = True
