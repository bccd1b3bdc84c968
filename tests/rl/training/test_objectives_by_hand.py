"""Every objective and correction against plain loops over sequences: numbers, `math`, gradients derived by hand."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.training.objectives import LossInputs
from tests.rl.training.objective_cases import CORRECTIONS, NAMES, SETTINGS, batch, value_and_gradient

GROUP = 4


@dataclass
class Token:
    position: int
    now: float
    old: float
    ref: float
    mu: float

    @property
    def ratio(self) -> float:
        return math.exp(self.now - self.old)


@dataclass
class Response:
    group: int
    advantage: float
    tokens: list[Token]


Result = tuple[float, list[float]]
"""(loss, its derivative with respect to each token's log-probability) of one response, before normalisation."""


def k2(response: Response, tau: float = 0.1) -> Result:
    residual = response.advantage - tau * sum(token.now - token.old for token in response.tokens)
    return residual**2, [-2 * tau * residual for _ in response.tokens]


def k15(response: Response, tau: float = 0.1) -> Result:
    pulled = sum(token.now - token.ref for token in response.tokens)
    loss = tau / 2 * pulled**2 - response.advantage * sum(token.now for token in response.tokens)
    return loss, [tau * pulled - response.advantage for _ in response.tokens]


def k25(response: Response, alpha: float = -0.5, beta: float = 0.5, tau: float = 0.01) -> Result:
    loss, slopes = 0.0, []
    for token in response.tokens:
        log_ratio = token.now - token.old
        slope = 2 * tau * log_ratio
        if alpha <= log_ratio <= beta:
            slope -= math.exp(log_ratio) * response.advantage
        loss += tau * log_ratio**2 - math.exp(min(max(log_ratio, alpha), beta)) * response.advantage
        slopes.append(slope)
    return loss, slopes


def reinforce(response: Response) -> Result:
    loss = -response.advantage * sum(token.now for token in response.tokens)
    return loss, [-response.advantage for _ in response.tokens]


def clipped(ratio: float, advantage: float, low: float, high: float) -> tuple[float, float]:
    """(-min(rho A, clip(rho) A), its derivative with respect to log rho)"""
    if advantage > 0 and ratio > 1 + high:
        return -(1 + high) * advantage, 0.0
    if advantage < 0 and ratio < 1 - low:
        return -(1 - low) * advantage, 0.0
    return -ratio * advantage, -ratio * advantage


def summed_over_tokens(response: Response, low: float, high: float) -> Result:
    results = [clipped(token.ratio, response.advantage, low, high) for token in response.tokens]
    return sum(loss for loss, _ in results), [slope for _, slope in results]


def grpo(response: Response, low: float = 0.2, high: float = 0.2, beta: float = 0.0) -> Result:
    loss, slopes = summed_over_tokens(response, low, high)
    for number, token in enumerate(response.tokens):
        inverse = math.exp(token.ref - token.now)
        loss += beta * (inverse - 1 - (token.ref - token.now))
        slopes[number] += beta * (1 - inverse)
    length = max(len(slopes), 1)
    return loss / length, [slope / length for slope in slopes]


def dr_grpo(response: Response, low: float = 0.2, high: float = 0.2, length: float = 1.0) -> Result:
    loss, slopes = summed_over_tokens(response, low, high)
    return loss / length, [slope / length for slope in slopes]


def dapo(response: Response, low: float = 0.2, high: float = 0.28) -> Result:
    return summed_over_tokens(response, low, high)


def gspo(response: Response, low: float, high: float) -> Result:
    length = max(len(response.tokens), 1)
    ratio = math.exp(sum(token.now - token.old for token in response.tokens) / length)
    loss, slope = clipped(ratio, response.advantage, low, high)
    return loss, [slope / length for _ in response.tokens]


def cispo(response: Response, low: float, high: float) -> Result:
    weights = [min(max(token.ratio, 1 - low), 1 + high) for token in response.tokens]
    pairs = list(zip(weights, response.tokens, strict=True))
    return -response.advantage * sum(w * token.now for w, token in pairs), [-response.advantage * w for w in weights]


BY_HAND: dict[str, Callable[..., Result]] = {
    function.__name__: function for function in (k2, k15, k25, reinforce, grpo, dr_grpo, dapo, gspo, cispo)
}
MEANS_OVER_TOKENS = ("k25", "dapo", "cispo")


def responses(inputs: LossInputs) -> list[Response]:
    """The valid ones, with the policy's tokens only."""
    found = []
    for sequence, weight in enumerate(inputs.weights.tolist()):
        if weight == 0:
            continue
        positions = [
            position
            for position, owner in enumerate(inputs.sequence_ids.tolist())
            if owner == sequence and inputs.loss_mask[position]
        ]
        tokens = [
            Token(
                position,
                inputs.log_probs[position].item(),
                inputs.old_log_probs[position].item(),
                inputs.ref_log_probs[position].item(),
                inputs.behaviour_log_probs[position].item(),
            )
            for position in positions
        ]
        found.append(Response(sequence // GROUP, inputs.advantages[sequence].item(), tokens))
    return found


def weight_in_mean(response: Response, all_of_them: list[Response], name: str) -> float:
    if name in MEANS_OVER_TOKENS:
        return 1 / max(sum(len(other.tokens) for other in all_of_them), 1)
    prompts = {other.group for other in all_of_them}
    return 1 / (len(prompts) * sum(other.group == response.group for other in all_of_them))


def importance(response: Response, correction: str) -> list[tuple[float, bool]]:
    """(weight, whether it was outside) of each token."""
    config = CORRECTIONS[correction]
    gaps = [token.old - token.mu for token in response.tokens]
    result = []
    for gap in gaps:
        weight = math.exp(sum(gaps) if config.level == "sequence" else gap)
        outside = not config.low <= weight <= config.high
        if outside:
            weight = 0.0 if config.name == "mask" else min(max(weight, config.low), config.high)
        result.append((weight, outside))
    return result


@pytest.mark.parametrize("correction", list(CORRECTIONS))
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_value_and_gradient_equal_the_formula_written_out(name, correction, seed):
    inputs = batch(seed, members=GROUP)
    valid = responses(inputs)
    loss, slopes = 0.0, [0.0] * len(inputs.sequence_ids)
    for response in valid:
        share = weight_in_mean(response, valid, name)
        value, derivatives = BY_HAND[name](response, **SETTINGS.get(name, {}))
        loss += share * value
        weights = [(1.0, False)] * len(response.tokens) if correction == "none" else importance(response, correction)
        for token, derivative, (weight, _) in zip(response.tokens, derivatives, weights, strict=True):
            slopes[token.position] = share * derivative * weight
    output, gradient = value_and_gradient(name, inputs, correction)
    assert output.loss.item() == pytest.approx(loss, abs=1e-9)
    assert gradient.tolist() == pytest.approx(slopes, abs=1e-9)


@pytest.mark.parametrize("correction", [name for name in CORRECTIONS if name != "none"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_metrics_of_corrections_equal_plain_means(correction, seed):
    inputs = batch(seed, members=GROUP)
    valid = responses(inputs)
    mean = square = outside = 0.0
    for response in valid:
        share = weight_in_mean(response, valid, "dapo" if CORRECTIONS[correction].level == "token" else "k2")
        weights = importance(response, correction)
        if CORRECTIONS[correction].level == "sequence":
            weights = weights[:1] or [(1.0, False)]  # a response without a policy token is as likely under both
        for weight, was_outside in weights:
            mean, square, outside = mean + share * weight, square + share * weight**2, outside + share * was_outside
    metrics = value_and_gradient("k2", inputs, correction)[0].metrics
    assert metrics["correction_weight"].item() == pytest.approx(mean, abs=1e-9)
    assert metrics["correction_weight_squared"].item() == pytest.approx(square, abs=1e-9)
    assert metrics["correction_outside_share"].item() == pytest.approx(outside, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("k2", "k15", "reinforce")])
def test_these_batches_reach_every_branch_of_the_clips(name):
    key = "clipped_share_of_sequences" if name == "gspo" else "clipped_share_of_tokens"
    assert 0.05 < value_and_gradient(name, batch(1))[0].metrics[key].item() < 0.95
