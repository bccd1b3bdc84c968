"""The pieces that objectives are composed of: log-ratios per token or sequence, clips, and reductions to global shares.

Every piece reads only policy tokens of valid sequences, and masks before it computes, so that what stands elsewhere
(NaN included) reaches neither a value nor a gradient.
"""

import torch
from torch import Tensor

from rl.training.objectives.inputs import LossInputs

__all__ = [
    "advantage_of_tokens",
    "clip_log_ratio",
    "clipped_surrogate",
    "metrics",
    "sequence_mean",
    "sequence_sum",
    "sum_over_sequences",
    "token_log_ratio",
    "token_mean",
]


def token_log_ratio(inputs: LossInputs, base: Tensor | None = None) -> Tensor:
    """[tokens]: log(pi_theta / pi_base) of each policy token (base: pi_old unless given), 0 elsewhere."""
    base = inputs.old_log_probs if base is None else base
    return torch.where(inputs.mask, inputs.log_probs - base, 0.0)


def clip_log_ratio(log_ratio: Tensor, low: float, high: float) -> Tensor:
    """exp of the log-ratio clamped to [low, high] (nats); no gradient outside."""
    return log_ratio.clamp(low, high).exp()


def clipped_surrogate(log_ratio: Tensor, advantages: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """PPO's pessimistic clip (arXiv 1707.06347) of tokens or of sequences: whatever shape the log-ratio has.

    Returns:
        min(rho A, clip(rho, 1 - low, 1 + high) A), and 1.0 where the clip took the gradient away: above the range at a
        positive advantage, below it at a negative one. On the other sides the gradient stays whole.
    """
    ratio = log_ratio.exp()
    free, held = ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages
    return free.minimum(held), (held < free).to(free.dtype).detach()


def sequence_sum(inputs: LossInputs, values: Tensor) -> Tensor:
    """[sequences]: sum of the values ([tokens]) over each sequence's policy tokens."""
    values = torch.where(inputs.mask, values, 0.0)
    sums = values.new_zeros(len(inputs.weights))
    return sums.index_add(0, inputs.sequence_ids.clamp(min=0), values)


def sequence_mean(inputs: LossInputs, values: Tensor) -> Tensor:
    """[sequences]: mean of the values over each sequence's policy tokens, 0 for a sequence without any."""
    lengths = sequence_sum(inputs, torch.ones_like(values)).clamp(min=1)
    return sequence_sum(inputs, values) / lengths


def sum_over_sequences(inputs: LossInputs, values: Tensor) -> Tensor:
    """Scalar share: each valid sequence's value times its weight, the mean over prompts of the mean over responses."""
    return (inputs.weights * torch.where(inputs.weights > 0, values, 0.0)).sum()


def token_mean(inputs: LossInputs, values: Tensor) -> Tensor:
    """Scalar share of the mean over every policy token of the mini-batch."""
    return torch.where(inputs.mask, values, 0.0).sum() / max(float(inputs.num_tokens), 1.0)


def advantage_of_tokens(inputs: LossInputs) -> Tensor:
    """[tokens]: the advantage of the token's sequence, 0 where no objective reads."""
    return torch.where(inputs.mask, inputs.advantages[inputs.sequence_ids], 0.0)


def metrics(inputs: LossInputs, loss: Tensor) -> dict[str, Tensor]:
    """What every objective reports.

    `loss`; `kl_per_token`: the non-negative estimate of KL(pi_old || pi_theta) in nats, from tokens sampled from pi_old
    (Schulman's k3); `log_ratio_per_sequence`: mean of log(pi_theta / pi_old) over sequences, in nats.
    """
    with torch.no_grad():
        log_ratio = token_log_ratio(inputs)
        return {
            "loss": loss.detach(),
            "kl_per_token": token_mean(inputs, log_ratio.exp() - 1 - log_ratio),
            "log_ratio_per_sequence": sum_over_sequences(inputs, sequence_sum(inputs, log_ratio)),
        }
