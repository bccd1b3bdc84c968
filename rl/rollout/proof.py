"""Law 5: an engine's weights are proven by what it computes with them.

A probe is a set of token sequences that the trainer routes through every expert of every layer; the engine's
log-probabilities for it must be the trainer's. A mismatch raises, and nothing is sampled from such an engine.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rl.rollout.engine import Engine, WeightSyncError
from rl.rollout.replicated_engine import replicas_of

__all__ = ["Probe", "Proof", "WeightSyncError", "build_probe", "prove"]

MAX_TOLERANCE = 1e-3
MEAN_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Probe:
    """Token sequences, and what the trainer computes for them."""

    token_ids: tuple[tuple[int, ...], ...]
    log_probs: tuple[tuple[float, ...], ...]
    """For each sequence of n tokens the n - 1 log-probabilities of those after the first; float32, temperature 1."""
    experts: int
    """Routed experts of the model, over all layers; 0 for a dense model."""
    covered: int
    """Those that at least one token of the probe is routed to."""

    @property
    def coverage(self) -> float:
        """Fraction of the routed experts that the probe reaches; 1.0 for a dense model."""
        return self.covered / self.experts if self.experts else 1.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What `prove` found: absolute differences of log-probabilities over the probe's tokens."""

    version: int
    max_difference: float
    mean_difference: float
    """Of several replicas, the largest mean."""
    tokens: int


def build_probe(
    model: nn.Module, vocab_size: int, seed: int, *, length: int = 32, least: int = 4, most: int = 256
) -> Probe:
    """Random sequences that together reach every routed expert: the first `least`, then those that reach a new one.

    An expert that no token reaches (a router can leave one unused) does not count against the proof: the digest still
    covers its weights, and `Probe.coverage` says that the probe does not.

    Args:
        model: the trainer's causal language model as it is now, in transformers' layout.
        length: tokens of a sequence.
        most: sequences that are tried.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    tokens: list[list[int]] = []
    log_probs: list[list[float]] = []
    with _routing(model) as layers, torch.no_grad():
        reached = {name: torch.zeros(experts, dtype=torch.bool) for name, experts in layers.experts.items()}
        tried = 0
        while not tried or (tried < most and not all(bool(seen.all()) for seen in reached.values())):
            ids = torch.randint(vocab_size, (max(least, tried), length), generator=generator)
            logits = model(input_ids=ids.to(device)).logits[:, :-1].float()
            scores = logits.log_softmax(-1).cpu().gather(-1, ids[:, 1:, None])[..., 0]
            for row in range(len(ids)):
                new = [bool((~reached[name][layers.routes[name][row]]).any()) for name in reached]
                if tried and not any(new):
                    continue
                tokens.append(ids[row].tolist())
                log_probs.append(scores[row].tolist())
                for name, seen in reached.items():
                    seen[layers.routes[name][row]] = True
            tried += len(ids)
    return Probe(
        token_ids=tuple(map(tuple, tokens)),
        log_probs=tuple(map(tuple, log_probs)),
        experts=sum(seen.numel() for seen in reached.values()),
        covered=sum(int(seen.sum()) for seen in reached.values()),
    )


async def prove(
    engine: Engine,
    expected_log_probs: Sequence[Sequence[float]],
    probe: Probe | Sequence[Sequence[int]],
    max_tolerance: float = MAX_TOLERANCE,
    mean_tolerance: float = MEAN_TOLERANCE,
) -> Proof:
    """Compares the engine's log-probabilities of the probe, those of each replica, with the trainer's (`Probe.log_probs`).

    Raises:
        WeightSyncError: when they differ by more than a tolerance anywhere or on average, or one is not finite.
    """
    sequences = probe.token_ids if isinstance(probe, Probe) else probe
    computed = await asyncio.gather(*(replica.prompt_log_probs(sequences) for replica in replicas_of(engine)))
    differences = [
        [
            abs(theirs - ours)
            for engine_row, trainer_row in zip(rows, expected_log_probs, strict=True)
            for theirs, ours in zip(engine_row, trainer_row, strict=True)
        ]
        for rows in computed
    ]
    if not differences[0]:
        raise ValueError("a probe holds at least one sequence of two tokens")
    finite = all(math.isfinite(difference) for of in differences for difference in of)
    largest = max(max(of) for of in differences) if finite else math.inf
    mean = max(sum(of) / len(of) for of in differences)
    tokens = len(differences[0])
    if not finite or largest > max_tolerance or mean > mean_tolerance:
        raise WeightSyncError(
            f"weight sync: version {engine.version} of the weights is not what the trainer holds: over "
            f"{tokens} probe tokens the engine's log-probabilities differ by up to {largest:.1e} (allowed "
            f"{max_tolerance:.0e}) and by {mean:.1e} on average (allowed {mean_tolerance:.0e})"
        )
    return Proof(engine.version, largest, mean, tokens)


@dataclass
class _Routing:
    experts: dict[str, int]
    """Layer to its number of routed experts."""
    routes: dict[str, Tensor]
    """Layer to the experts of each sequence of the last forward pass: ``[sequences, tokens x experts per token]``."""


@contextmanager
def _routing(model: nn.Module) -> Iterator[_Routing]:
    """Watches where tokens are routed to, with the model in evaluation mode.

    transformers 5 holds the experts of a layer in one module, called with (hidden states, expert indices, weights).
    """
    routing = _Routing({}, {})
    batch = [1]
    hooks = [model.register_forward_pre_hook(_remember_batch(batch), with_kwargs=True)]
    for name, module in model.named_modules():
        if name.endswith("experts") and hasattr(module, "num_experts"):
            routing.experts[name] = int(module.num_experts)
            remember = _remember_routes(routing.routes, name, batch)
            hooks.append(module.register_forward_pre_hook(remember, with_kwargs=True))
    training = model.training
    tracking: list[Any] = [module for module in model.modules() if getattr(module, "track_max_logits", False)]
    model.eval()
    for module in tracking:
        module.track_max_logits = False  # the probe is no training batch: its maxima must not clip anything
    try:
        yield routing
    finally:
        model.train(training)
        for module in tracking:
            module.track_max_logits = True
        for hook in hooks:
            hook.remove()


def _remember_batch(batch: list[int]) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def remember(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        batch[0] = keywords["input_ids"].shape[0]

    return remember


def _remember_routes(
    routes: dict[str, Tensor], name: str, batch: list[int]
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def remember(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        indices = keywords["top_k_index"] if "top_k_index" in keywords else arguments[1]
        routes[name] = indices.detach().cpu().long().reshape(batch[0], -1)

    return remember
