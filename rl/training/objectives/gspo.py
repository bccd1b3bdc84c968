"""GSPO: one ratio per sequence, the geometric mean of its tokens' ratios, and one clip of it.

    loss = -E_x[ 1/K sum_i min(s_i A_i, clip(s_i, 1 - low, 1 + high) A_i) ]
    s_i  = (pi_theta(y_i|x) / pi_old(y_i|x))^(1/|y_i|) = exp( 1/|y_i| sum_t log rho_t )

Its gradient gives every token of a response the same weight, s_i A_i / |y_i|, or none where the response is clipped. s_i
is not the importance weight of the sequence: the root keeps its spread independent of length. The advantages are meant
to be scaled by the group's standard deviation. Source: GSPO (arXiv 2507.18071, equations 5 to 7), which takes ranges as
narrow as 3e-4 and 4e-4, because a mean moves less than a single token does.
"""

from rl.training.objectives.inputs import LossInputs, LossOutput
from rl.training.objectives.ratios import (
    clipped_surrogate,
    metrics,
    sequence_mean,
    sum_over_sequences,
    token_log_ratio,
)

__all__ = ["gspo"]


def gspo(inputs: LossInputs, *, low: float = 3e-4, high: float = 4e-4) -> LossOutput:
    """Loss in units of the advantage; `low` and `high` bound the sequence's ratio to [1 - low, 1 + high]."""
    log_ratio = sequence_mean(inputs, token_log_ratio(inputs))
    surrogate, clipped = clipped_surrogate(log_ratio, inputs.advantages, low, high)
    loss = -sum_over_sequences(inputs, surrogate)
    share = sum_over_sequences(inputs, clipped)
    return LossOutput(loss, metrics(inputs, loss) | {"clipped_share_of_sequences": share})
