"""Mini-batches that every objective is tried on, in float64: off-policy, partly masked, partly invalid."""

from typing import Any

import torch
from torch import Tensor

from rl.training.advantages import group_advantages
from rl.training.objectives import OBJECTIVES, CorrectionConfig, LossInputs, LossOutput, corrected, mini_batch_shares

NAMES = sorted(OBJECTIVES)
SETTINGS: dict[str, dict[str, float]] = {
    "grpo": {"beta": 0.05},
    "dr_grpo": {"length": 7.0},
    "gspo": {"low": 0.1, "high": 0.15},
    "cispo": {"low": 0.3, "high": 0.4},
}
"""Where the defaults would leave a part of the formula out, or clip every sequence of these batches."""
CORRECTIONS = {
    "none": CorrectionConfig(),
    "truncate tokens": CorrectionConfig("truncate", "token", 0.7, 1.4),
    "mask tokens": CorrectionConfig("mask", "token", 0.7, 1.4),
    "truncate sequences": CorrectionConfig("truncate", "sequence", 0.5, 2.0),
    "mask sequences": CorrectionConfig("mask", "sequence", 0.5, 2.0),
}
PER_TOKEN = ("log_probs", "old_log_probs", "ref_log_probs", "behaviour_log_probs", "loss_mask", "sequence_ids")


def batch(seed: int, groups: int = 3, members: int = 4, valid_share: float = 0.75) -> LossInputs:
    """Whole sequences of 2 to 9 tokens; the four policies differ by a quarter to half a nat per token."""
    random = torch.Generator().manual_seed(seed)
    count = groups * members
    valid = torch.rand(count, generator=random) < valid_share
    return draw(random, valid, torch.arange(count) // members, torch.randn(count, generator=random, dtype=torch.float64))


def draw(random: torch.Generator, valid: Tensor, groups: Tensor, rewards: Tensor, scale: Any = "none") -> LossInputs:
    """Random tokens for responses of the given groups ([sequences]) and rewards."""
    lengths = torch.randint(2, 10, (len(valid),), generator=random)
    sequence_ids = torch.repeat_interleave(torch.arange(len(valid)), lengths)
    tokens = len(sequence_ids)
    noise = torch.randn((4, tokens), generator=random, dtype=torch.float64)
    old = -noise[0].abs()
    loss_mask = torch.rand(tokens, generator=random) < 0.7
    policy_tokens = torch.zeros(len(valid), dtype=torch.long).index_add(0, sequence_ids, loss_mask.long())
    shares = mini_batch_shares(valid, groups, policy_tokens, dtype=torch.float64)
    return LossInputs(
        log_probs=(old + 0.5 * noise[1]).requires_grad_(),
        old_log_probs=old,
        ref_log_probs=old + 0.3 * noise[2],
        behaviour_log_probs=old + 0.25 * noise[3],
        loss_mask=loss_mask,
        sequence_ids=sequence_ids,
        advantages=group_advantages(rewards, valid, groups, scale),
        weights=shares.weights,
        num_tokens=shares.num_tokens,
    )


def evaluate(name: str, inputs: LossInputs, correction: str = "none") -> LossOutput:
    return corrected(OBJECTIVES[name], CORRECTIONS[correction])(inputs, **SETTINGS.get(name, {}))


def value_and_gradient(name: str, inputs: LossInputs, correction: str = "none") -> tuple[LossOutput, Tensor]:
    output = evaluate(name, inputs, correction)
    return output, torch.autograd.grad(output.loss, inputs.log_probs)[0]
