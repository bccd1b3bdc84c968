"""GRPO: PPO's pessimistic clip per token, averaged over each response's own length, then over responses and prompts.

    loss = -E_x[ 1/K sum_i 1/|y_i| sum_t ( min(rho A, clip(rho, 1 - low, 1 + high) A) - beta KL_t ) ]

KL_t estimates KL(pi_theta || pi_ref) as e^d - 1 - d with d = log(pi_ref / pi_theta). The advantages are meant to be
scaled by the group's standard deviation (`group_advantages(..., scale="std")`). Source: DeepSeekMath (arXiv
2402.03300, equations 3 and 4).
"""

from rl.training.objectives.inputs import LossInputs, LossOutput
from rl.training.objectives.ratios import (
    advantage_of_tokens,
    clipped_surrogate,
    metrics,
    sequence_mean,
    sum_over_sequences,
    token_log_ratio,
    token_mean,
)

__all__ = ["grpo"]


def grpo(inputs: LossInputs, *, low: float = 0.2, high: float = 0.2, beta: float = 0.0) -> LossOutput:
    """`low` and `high` bound the ratio to [1 - low, 1 + high]; `beta` in reward units per nat, against `reference`."""
    surrogate, clipped = clipped_surrogate(token_log_ratio(inputs), advantage_of_tokens(inputs), low, high)
    distance = -token_log_ratio(inputs, inputs.reference)
    penalty = beta * (distance.exp() - 1 - distance)
    loss = sum_over_sequences(inputs, sequence_mean(inputs, penalty - surrogate))
    return LossOutput(loss, metrics(inputs, loss) | {"clipped_share_of_tokens": token_mean(inputs, clipped)})
