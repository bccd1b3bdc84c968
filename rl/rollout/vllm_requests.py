"""One request of vLLM's: what it is asked with, what is known of it while it runs, and what becomes of its output."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rl.rollout.engine import Completion, EngineError, FinishReason
from rl.rollout.version_marks import VersionMarks
from trajectories.trajectory import Sampling

__all__ = ["QueueEnd", "Turn", "completion_of", "failed", "sampling_params"]

_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "abort": "cut"}


@dataclass
class Turn:
    """A request that is vLLM's."""

    collector: Any
    marks: VersionMarks
    again: bool = False
    """It ends without a token, to be asked again under other weights."""


class QueueEnd:
    """Stands in the queue of vLLM's outputs: once it is reached, all that were put there before have been counted.

    For the one task that takes them it is an `EngineCoreOutputs` with nothing in it.
    """

    timestamp = 0.0
    scheduler_stats = None
    engine_index = 0

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    @property
    def outputs(self) -> list[Any]:
        self.reached.set()
        return []


def completion_of(request_id: str, output: Any, marks: VersionMarks) -> Completion:
    """From vLLM's ``CompletionOutput``.

    Raises:
        EngineError: it is none that a request of ours can have.
    """
    reason = _REASONS.get(output.finish_reason)
    if reason is None:
        raise EngineError(f"rollout engine: request {request_id} ended with {output.finish_reason!r}")
    tokens = tuple(output.token_ids)
    # With logprobs=0 each position holds the sampled token alone.
    log_probs = tuple(output.logprobs.logprobs)
    if len(log_probs) != len(tokens):
        raise EngineError(f"rollout engine: {len(tokens)} tokens came with {len(log_probs)} log-probabilities")
    return marks.completion(tokens, log_probs, reason)


def failed(request_id: str, error: Exception) -> EngineError:
    """For an error of vLLM's."""
    return EngineError(f"rollout engine: {request_id} failed: {type(error).__name__}: {error}")


def sampling_params(sampling: Sampling, max_tokens: int, stop_token_ids: Sequence[int], grammar: str | None) -> Any:
    """vLLM's ``SamplingParams`` for one turn; its output comes once, when it ends."""
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
