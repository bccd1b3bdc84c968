"""DAPO's objective: GRPO's clip with a range of its own on either side, averaged over tokens instead of responses.

    loss = -1/N sum_t min(rho_t A, clip(rho_t, 1 - low, 1 + high) A),    rho_t = pi_theta / pi_old

N is the number of policy tokens of the mini-batch, so a long response counts as much as its tokens do. (The paper writes
the mean over the tokens of each prompt's group, then the mean over prompts; with one group, or groups of equal token
counts, the two are the same.) The higher upper bound lets unlikely tokens grow; there is no KL term. The advantages are
meant to be scaled by the group's standard deviation. Source: DAPO (arXiv 2503.14476, equations 8 and 9), which takes
0.2 and 0.28. Its other parts are not objectives: dynamic sampling leaves out groups whose rewards are all equal,
overlong shaping is a reward.
"""

from rl.training.objectives.inputs import LossInputs, LossOutput
from rl.training.objectives.ratios import advantage_of_tokens, clipped_surrogate, metrics, token_log_ratio, token_mean

__all__ = ["dapo"]


def dapo(inputs: LossInputs, *, low: float = 0.2, high: float = 0.28) -> LossOutput:
    """Loss in units of the advantage; `low` and `high` bound the ratio to [1 - low, 1 + high]."""
    surrogate, clipped = clipped_surrogate(token_log_ratio(inputs), advantage_of_tokens(inputs), low, high)
    loss = -token_mean(inputs, surrogate)
    return LossOutput(loss, metrics(inputs, loss) | {"clipped_share_of_tokens": token_mean(inputs, clipped)})
