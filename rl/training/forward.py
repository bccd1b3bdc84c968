"""Log-probabilities of the tokens in the loss, from one forward pass over packed sequences.

The output head, the widest matrix of a small model, is applied only where a token is in the loss. Logits are divided by
the temperature that the token was sampled at, so that what the trainer computes is the distribution that was sampled
from; log-softmax is always float32. Ranks that share a batch compute their positions each and all get the whole result.
"""

import contextlib
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rl.training.packing import PackedBatch

__all__ = ["Difference", "LogProbabilityError", "Scores", "log_probs", "score"]


class Scores(NamedTuple):
    log_probs: Tensor
    """[T] float32, nats: of each position's target; 0 outside the loss mask."""
    entropy: Tensor
    """Scalar: sum over the tokens in the loss of the entropy of their distribution, nats; no gradient. 0 where not asked for."""


def log_probs(model: nn.Module, batch: PackedBatch, autocast: torch.dtype | None = None) -> Tensor:
    """[T] float32, nats, differentiable: log p of each position's target, 0 outside the loss mask."""
    return score(model, batch, autocast, with_entropy=False).log_probs


def score(
    model: nn.Module, batch: PackedBatch, autocast: torch.dtype | None = None, with_entropy: bool = True
) -> Scores:
    """One forward pass; every rank of the batch's group takes part.

    Args:
        model: a causal model of transformers (or an engine around it) with the `orrery_varlen` attention.
        autocast: dtype of the matrix products; None computes in the dtype of the weights.
    """
    chosen = batch.counted_loss_positions
    device = batch.input_ids.device.type
    context = contextlib.nullcontext() if autocast is None else torch.autocast(device, dtype=autocast)
    with context:
        logits = model(**batch.model_inputs, logits_to_keep=chosen - batch.computed.start).logits[0]
    logits = logits.float()
    temperatures = batch.temperatures[chosen]
    if bool((temperatures != 1).any()):
        logits = logits / temperatures[:, None]
    distribution = logits.log_softmax(-1)
    values = distribution.gather(-1, batch.targets[chosen, None]).squeeze(-1)
    with torch.no_grad():
        entropy = -(distribution.exp() * distribution).sum() if with_entropy else values.new_zeros(())
    values = values.new_zeros(batch.targets.shape).index_copy(0, chosen, values)
    if batch.group is not None:
        values, entropy = batch.group.join(torch.cat([values, entropy[None]])).split_with_sizes([len(values), 1])
    return Scores(values, entropy.detach().squeeze())


class LogProbabilityError(RuntimeError):
    """Engine and trainer disagree about the policy that sampled: nothing may be learnt from such rollouts."""


class Difference:
    """|log-probability of the engine - log-probability of the trainer| over tokens, gathered batch by batch.

    Args:
        version: of the trainer's weights. Tokens that other weights sampled have other log-probabilities by right and are
            left out; where a batch does not say who sampled, these weights did.
    """

    def __init__(self, version: int | None = None) -> None:
        self.version = version
        self.max = 0.0
        self.sum = 0.0
        self.tokens = 0

    def add(self, scored: Tensor, batch: PackedBatch) -> None:
        """Takes the trainer's [T] log-probabilities of a batch that carries the engine's."""
        chosen = batch.loss_positions
        if batch.versions is not None and self.version is not None:
            chosen = chosen[batch.versions[chosen] == self.version]
        gaps = (scored.detach() - batch.behaviour_log_probs)[chosen].abs().double()
        if len(gaps):
            # NaN must not hide: max() of Python would drop it.
            self.max = float(torch.tensor([self.max, float(gaps.max())], dtype=torch.float64).max())
            self.sum += float(gaps.sum())
            self.tokens += len(gaps)

    def reduce(self, over_ranks: bool, group: Any = None) -> None:
        """Makes the figures those of all ranks, or of those of a group of `torch.distributed`."""
        if over_ranks:
            largest = torch.tensor([self.max], dtype=torch.float64)
            totals = torch.tensor([self.sum, self.tokens], dtype=torch.float64)
            torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX, group)
            torch.distributed.all_reduce(totals, group=group)
            self.max, self.sum, self.tokens = float(largest), float(totals[0]), int(totals[1])

    @property
    def mean(self) -> float:
        return self.sum / max(self.tokens, 1)

    def check(self, max_tolerance: float, mean_tolerance: float) -> None:
        """Raises `LogProbabilityError` unless both figures are within tolerance."""
        if not (self.max <= max_tolerance and self.mean <= mean_tolerance):
            raise LogProbabilityError(
                f"log-probability of engine and trainer differ over {self.tokens} rollout tokens: max {self.max:.2e} "
                f"(allowed {max_tolerance:.0e}), mean {self.mean:.2e} (allowed {mean_tolerance:.0e}) nats. The engine "
                "did not sample from the trainer's policy: look at the last weight sync, dtypes, the engine's kernels"
            )
