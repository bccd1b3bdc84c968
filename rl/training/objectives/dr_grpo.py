"""Dr. GRPO ("done right"): GRPO without the two biases, division by each response's length and by the group's spread.

    loss = -E_x[ 1/K sum_i 1/L sum_t min(rho A, clip(rho, 1 - low, 1 + high) A) ],   A = r - r_bar

L is one constant for every response, so that long wrong answers are not favoured. Source: Liu et al., "Understanding
R1-Zero-like training" (arXiv 2503.20783).
"""

from rl.training.objectives.inputs import LossInputs, LossOutput
from rl.training.objectives.ratios import (
    advantage_of_tokens,
    clipped_surrogate,
    metrics,
    sequence_sum,
    sum_over_sequences,
    token_log_ratio,
    token_mean,
)

__all__ = ["dr_grpo"]


def dr_grpo(inputs: LossInputs, *, low: float = 0.2, high: float = 0.2, length: float = 1.0) -> LossOutput:
    """`length` is L in tokens (the paper's code takes the generation budget; 1 is the formula without it)."""
    surrogate, clipped = clipped_surrogate(token_log_ratio(inputs), advantage_of_tokens(inputs), low, high)
    loss = -sum_over_sequences(inputs, sequence_sum(inputs, surrogate) / length)
    return LossOutput(loss, metrics(inputs, loss) | {"clipped_share_of_tokens": token_mean(inputs, clipped)})
