"""CISPO: REINFORCE per token, weighted by a clipped ratio that is a constant, so that no token loses its gradient.

    loss = -1/N sum_t sg( clip(rho_t, 1 - low, 1 + high) ) A log pi_theta(y_t),    rho_t = pi_theta / pi_old

sg stops the gradient; N is the number of policy tokens of the mini-batch (the paper writes the tokens of each prompt's
group, then the mean over prompts: the same for groups of equal token counts). Inside the range the gradient is that of
rho A; outside, where PPO's clip gives 0, it is that of the bound times A log pi. The advantages are meant to be scaled
by the group's standard deviation. Source: MiniMax-M1 (arXiv 2506.13585, equations 4 and 5), which sets no lower bound
(`low` = 1) and does not say the upper one: weights up to 5, `high` = 4, is ours after ScaleRL (arXiv 2510.13786).
"""

from rl.training.objectives.inputs import LossInputs, LossOutput
from rl.training.objectives.ratios import advantage_of_tokens, metrics, token_log_ratio, token_mean

__all__ = ["cispo"]


def cispo(inputs: LossInputs, *, low: float = 1.0, high: float = 4.0) -> LossOutput:
    """Loss in units of the advantage times nats; `low` and `high` bound the weight to [1 - low, 1 + high]."""
    ratio = token_log_ratio(inputs).exp().detach()
    weight = ratio.clamp(1 - low, 1 + high)
    loss = -token_mean(inputs, weight * advantage_of_tokens(inputs) * inputs.log_probs)
    outside = (weight != ratio).to(loss.dtype)
    return LossOutput(loss, metrics(inputs, loss) | {"clipped_share_of_tokens": token_mean(inputs, outside)})
