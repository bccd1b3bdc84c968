"""Off-policy correction: importance weights between the policy that sampled and pi_old, around any objective.

Objectives take their samples to come from pi_old, the trainer's policy when the iteration began. Where the engine
sampled from another one, mu (older weights, other kernels), each token's contribution to the gradient is scaled by

    token:     w_t = pi_old(y_t | what precedes) / mu(y_t | what precedes)
    sequence:  w_t = pi_old(y | x) / mu(y | x), the product over the policy tokens of its sequence

bounded to keep the variance finite: "truncate" takes clip(w, low, high); "mask" takes w inside [low, high] and 0
outside. The weight is a constant: it has no gradient, and the objective's own ratios, clips, loss value and metrics are
those without it. Denominators are those of the objective and count what is masked (ordinary importance sampling, never
self-normalised), so that shares still add up.

Unbiased: with "sequence" and no bounds (low 0, high infinite) the gradient's expectation over mu is that over pi_old,
whatever pi_theta is, for objectives that average over sequences (k2, k15, reinforce, grpo, dr_grpo, gspo), where mu may
sample all that pi_old may and A is a given function of the response. A baseline is the mean reward of mu's responses. At
pi_theta = pi_old that changes nothing for objectives that do not divide by length (k2, k15, reinforce, dr_grpo: the other
members' rewards meet a gradient whose mean is 0); elsewhere it is the objective with mu's baseline.

Not unbiased: "token" (prefixes stay as mu sampled them; what is gained is a spread that does not grow with length),
bounds (each is a bias, taken for less variance), means over tokens (k25, dapo, cispo divide by a count that depends on the
responses, with and without correction), and advantages divided by a standard deviation. Tokens outside the loss mask are
in no weight.

Sources: Ionides, "Truncated importance sampling" (2008) and IMPALA (arXiv 1802.01561) for truncation; Ring-1T (arXiv
2510.18855, IcePop) for masking tokens on both sides; "decoupled" weights around a clip: Hilton et al. (arXiv 2110.00641),
AReaL (arXiv 2505.24298). The defaults are ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal

import torch
from torch import Tensor

from rl.training.objectives.inputs import LossInputs, LossOutput, Objective
from rl.training.objectives.ratios import sequence_sum, sum_over_sequences, token_mean

__all__ = ["CorrectionConfig", "corrected", "effective_sample_share"]

NAMES = ("none", "truncate", "mask")
LEVELS = ("token", "sequence")
Mean = Callable[[LossInputs, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class CorrectionConfig:
    name: Literal["none", "truncate", "mask"] = "none"
    """"none": weights of 1; "truncate": weights are brought into [low, high]; "mask": weights outside it become 0."""
    level: Literal["token", "sequence"] = "token"
    """One weight for each token, or the product of them for each whole sequence."""
    low: float = 0.0
    """Smallest weight, in [0, 1]."""
    high: float = 2.0
    """Largest weight, at least 1; infinity for no bound."""

    def __post_init__(self) -> None:
        checks = {
            "name": (self.name in NAMES, f"one of {', '.join(NAMES)}"),
            "level": (self.level in LEVELS, f"one of {', '.join(LEVELS)}"),
            "low": (0 <= self.low <= 1, "in [0, 1]"),
            "high": (self.high >= 1, "at least 1"),
        }
        for key, (good, wanted) in checks.items():
            if not good:
                raise ValueError(f"correction.{key} must be {wanted}, not {getattr(self, key)!r}")


def corrected(objective: Objective, config: CorrectionConfig) -> Objective:
    """The same call as `objective`, with corrected gradients and, unless `name` is "none", three more metrics.

    `correction_weight` and `correction_weight_squared` are means of the bounded weight and of its square,
    `correction_outside_share` is the share that was outside the bounds: of policy tokens, or of sequences (mean over
    prompts of the mean over responses) at that level. All three are shares that add up over parts.

    Raises (the returned function):
        ValueError: inputs without `behaviour_log_probs`.
    """
    if config.name == "none":
        return objective

    @wraps(objective)
    def with_weights(inputs: LossInputs, **settings: Any) -> LossOutput:
        weights, metrics = _importance_weights(inputs, config)
        values = inputs.log_probs.detach()
        scaled = values + weights * (inputs.log_probs - values)
        output = objective(replace(inputs, log_probs=scaled), **settings)
        return LossOutput(output.loss, output.metrics | metrics)

    return with_weights


def effective_sample_share(metrics: Mapping[str, float]) -> float:
    """Kish's effective sample size as a share of the samples: (mean w)^2 / mean w^2, 1 for equal weights.

    It is a ratio, which does not add up over parts: take it of metrics that were added up over all of them.
    """
    squared = metrics["correction_weight_squared"]
    return metrics["correction_weight"] ** 2 / squared if squared > 0 else 0.0


@torch.no_grad()
def _importance_weights(inputs: LossInputs, config: CorrectionConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """[tokens] weights, of no meaning where no objective reads, and their metrics."""
    if inputs.behaviour_log_probs is None:
        raise ValueError(f'correction.name="{config.name}" needs LossInputs.behaviour_log_probs')
    log_ratio = torch.where(inputs.mask, inputs.old_log_probs - inputs.behaviour_log_probs, 0.0)
    if config.level == "sequence":
        weights, outside = _bounded(sequence_sum(inputs, log_ratio).exp(), config)
        return weights[inputs.sequence_ids], _weight_metrics(inputs, weights, outside, sum_over_sequences)
    weights, outside = _bounded(log_ratio.exp(), config)
    return weights, _weight_metrics(inputs, weights, outside, token_mean)


def _bounded(weights: Tensor, config: CorrectionConfig) -> tuple[Tensor, Tensor]:
    """(bounded weights, 1 where they were outside). A NaN stays one: an engine's fault must not look like a mask."""
    outside = (weights < config.low) | (weights > config.high)
    bounded = weights.clamp(config.low, config.high) if config.name == "truncate" else weights.masked_fill(outside, 0.0)
    return bounded, outside.to(weights.dtype)


def _weight_metrics(inputs: LossInputs, weights: Tensor, outside: Tensor, mean: Mean) -> dict[str, Tensor]:
    return {
        "correction_weight": mean(inputs, weights),
        "correction_weight_squared": mean(inputs, weights.square()),
        "correction_outside_share": mean(inputs, outside),
    }
