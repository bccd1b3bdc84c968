"""Importance weights around objectives: what they leave alone, what is unbiased, what is refused."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.training.objectives import (
    OBJECTIVES,
    CorrectionConfig,
    LossInputs,
    check_settings,
    corrected,
    effective_sample_share,
    k2,
)
from tests.rl.training.objective_cases import CORRECTIONS, NAMES, SETTINGS, batch, value_and_gradient

OVER_SEQUENCES = ("k2", "k15", "reinforce", "grpo", "dr_grpo", "gspo")
EXACT = CorrectionConfig("truncate", "sequence", 0.0, math.inf)
PER_TOKEN = CorrectionConfig("truncate", "token", 0.0, math.inf)


class Tree:
    """Every response of a language of two words, of one or two tokens: `a`, `b a`, `b b`. Policies are tables of logits."""

    CONTEXTS = torch.tensor([0, 0, 1, 0, 1])
    WORDS = torch.tensor([0, 1, 0, 1, 1])
    OWNERS = torch.tensor([0, 1, 1, 2, 2])

    def __init__(self, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        tables = torch.randn((4, 2, 2), generator=random, dtype=torch.float64)
        self.mu, self.old, self.ref, drift = tables
        self.theta = (self.old + 0.3 * drift).requires_grad_()
        self.rewards = torch.randn(3, generator=random, dtype=torch.float64)

    def log_probs(self, table):
        return table.log_softmax(-1)[self.CONTEXTS, self.WORDS]

    def probabilities(self, table):
        """[responses]: p(y), exact."""
        return torch.zeros(3, dtype=torch.float64).index_add(0, self.OWNERS, self.log_probs(table)).exp()

    def expected_gradient(self, name, sampled_from, correction, theta, groups_of=1):
        """E[gradient] over all groups of that many responses drawn from a policy, exactly: each with its probability.

        Groups of one take the reward as their advantage, larger ones the reward minus the group's mean.
        """
        drawn = torch.tensor(list(itertools.product(range(3), repeat=groups_of)))
        rewards = self.rewards[drawn]
        advantages = rewards if groups_of == 1 else rewards - rewards.mean(1, keepdim=True)
        chances = self.probabilities(sampled_from)[drawn].prod(1, keepdim=True) / groups_of
        members = drawn.flatten().tolist()
        tokens = torch.cat([self.OWNERS.eq(member).nonzero().squeeze(1) for member in members])
        lengths = torch.tensor([1, 2, 2])[drawn.flatten()]
        inputs = LossInputs(
            log_probs=self.log_probs(theta)[tokens],
            old_log_probs=self.log_probs(self.old)[tokens],
            behaviour_log_probs=self.log_probs(sampled_from)[tokens],
            ref_log_probs=self.log_probs(self.ref)[tokens],
            loss_mask=torch.ones(len(tokens), dtype=torch.bool),
            sequence_ids=torch.repeat_interleave(torch.arange(len(members)), lengths),
            advantages=advantages.flatten(),
            weights=chances.expand(-1, groups_of).flatten(),
            num_tokens=len(tokens),
        )
        output = corrected(OBJECTIVES[name], correction)(inputs, **SETTINGS.get(name, {}))
        return torch.autograd.grad(output.loss, theta)[0], output.metrics


@pytest.mark.parametrize("name", OVER_SEQUENCES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_unbounded_sequence_weights_are_unbiased_for_any_policy(name, seed):
    tree = Tree(seed)
    on_policy, _ = tree.expected_gradient(name, tree.old, CorrectionConfig(), tree.theta)
    found, metrics = tree.expected_gradient(name, tree.mu, EXACT, tree.theta)
    torch.testing.assert_close(found, on_policy, rtol=1e-9, atol=1e-9)
    assert metrics["correction_weight"].item() == pytest.approx(1)  # importance weights have mean 1
    second_moment = (tree.probabilities(tree.old) ** 2 / tree.probabilities(tree.mu)).sum().item()
    sums = {key: value.item() for key, value in metrics.items()}
    assert effective_sample_share(sums) == pytest.approx(1 / second_moment)


@pytest.mark.parametrize("name", ["k2", "k15", "reinforce", "dr_grpo"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_at_pi_old_a_baseline_of_mus_responses_changes_nothing_where_no_length_divides(name, seed):
    tree = Tree(seed)
    theta = tree.old.clone().requires_grad_()
    on_policy, _ = tree.expected_gradient(name, tree.old, CorrectionConfig(), theta, groups_of=3)
    found, _ = tree.expected_gradient(name, tree.mu, EXACT, theta, groups_of=3)
    torch.testing.assert_close(found, on_policy, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["grpo", "gspo"])
def test_where_a_length_divides_mus_baseline_is_a_bias(name):
    tree = Tree(0)
    theta = tree.old.clone().requires_grad_()
    on_policy, _ = tree.expected_gradient(name, tree.old, CorrectionConfig(), theta, groups_of=3)
    found, _ = tree.expected_gradient(name, tree.mu, EXACT, theta, groups_of=3)
    assert (found - on_policy).abs().max() > 1e-2


def test_weights_per_token_and_bounds_are_biased_and_no_correction_is_more_so():
    tree = Tree(3)
    on_policy, _ = tree.expected_gradient("k2", tree.old, CorrectionConfig(), tree.theta)
    errors = {
        key: (tree.expected_gradient("k2", tree.mu, config, tree.theta)[0] - on_policy).norm().item()
        for key, config in {
            "exact": EXACT,
            "per token": PER_TOKEN,
            "bounded": CorrectionConfig("truncate", "sequence", 0.0, 1.1),
            "none": CorrectionConfig(),
        }.items()
    }
    assert errors["exact"] < 1e-12 < 1e-3 < min(errors["per token"], errors["bounded"])
    assert max(errors["per token"], errors["bounded"]) < errors["none"]


@pytest.mark.parametrize("correction", [name for name in CORRECTIONS if name != "none"])
@pytest.mark.parametrize("name", NAMES)
def test_where_the_engine_agrees_with_the_trainer_nothing_changes(name, correction):
    inputs = batch(4)
    inputs = replace(inputs, behaviour_log_probs=inputs.old_log_probs)
    plain, gradient = value_and_gradient(name, inputs)
    output, found = value_and_gradient(name, inputs, correction)
    assert torch.equal(found, gradient)
    assert output.loss.item() == plain.loss.item()
    metrics = {key: value.item() for key, value in output.metrics.items()}
    assert metrics["correction_outside_share"] == 0
    assert effective_sample_share(metrics) == pytest.approx(1)


@pytest.mark.parametrize("correction", list(CORRECTIONS))
@pytest.mark.parametrize("name", NAMES)
def test_corrections_leave_the_value_and_the_objectives_own_metrics(name, correction):
    plain, _ = value_and_gradient(name, batch(6))
    output, _ = value_and_gradient(name, batch(6), correction)
    assert output.loss.item() == plain.loss.item()
    assert {key: output.metrics[key] for key in plain.metrics} == plain.metrics


def two_tokens(*weights: float) -> LossInputs:
    zeros = torch.zeros(len(weights), dtype=torch.float64)
    return LossInputs(
        log_probs=zeros.clone().requires_grad_(),
        old_log_probs=zeros,
        behaviour_log_probs=-torch.tensor(weights, dtype=torch.float64).log(),
        loss_mask=zeros == 0,
        sequence_ids=zeros.long(),
        advantages=torch.tensor([-1.0], dtype=torch.float64),
        weights=torch.ones(1, dtype=torch.float64),
        num_tokens=len(weights),
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CorrectionConfig("truncate", "token", 0.5, 2.0), [0.5, 2.0, 1.5]),
        (CorrectionConfig("mask", "token", 0.5, 2.0), [0.0, 0.0, 1.5]),
        (CorrectionConfig("truncate", "sequence", 0.0, 2.0), [1.5, 1.5, 1.5]),
        (CorrectionConfig("truncate", "sequence", 0.0, 1.25), [1.25, 1.25, 1.25]),
        (CorrectionConfig("mask", "sequence", 0.0, 1.25), [0.0, 0.0, 0.0]),
    ],
)
def test_weights_by_hand(config, expected):
    inputs = two_tokens(0.25, 4.0, 1.5)
    output = corrected(OBJECTIVES["reinforce"], config)(inputs)
    assert torch.autograd.grad(output.loss, inputs.log_probs)[0].tolist() == pytest.approx(expected)


def test_a_weight_beyond_float_is_bounded():
    inputs = replace(two_tokens(1.0, 1.0), behaviour_log_probs=torch.full((2,), -1e6, dtype=torch.float64))
    for level, name in itertools.product(("token", "sequence"), ("truncate", "mask")):
        output = corrected(OBJECTIVES["reinforce"], CorrectionConfig(name, level, 0.0, 2.0))(inputs)
        (gradient,) = torch.autograd.grad(output.loss, inputs.log_probs)
        assert gradient.tolist() == ([2.0, 2.0] if name == "truncate" else [0.0, 0.0])


@pytest.mark.parametrize("correction", [name for name in CORRECTIONS if name != "none"])
def test_a_fault_of_the_engine_never_looks_like_a_mask(correction):
    inputs = replace(two_tokens(1.0, 1.0), behaviour_log_probs=torch.tensor([0.0, torch.nan], dtype=torch.float64))
    output, gradient = value_and_gradient("k2", inputs, correction)
    assert gradient.isnan().any()
    assert output.metrics["correction_weight"].isnan()


def test_everything_masked_is_an_effective_share_of_zero():
    output, gradient = value_and_gradient("k2", two_tokens(9.0, 9.0), "mask tokens")
    assert not gradient.any()
    assert effective_sample_share({key: value.item() for key, value in output.metrics.items()}) == 0.0


def test_a_corrected_objective_has_the_name_and_the_settings_of_its_own():
    objective = corrected(k2, CORRECTIONS["mask tokens"])
    check_settings(objective, {"tau": 0.5})
    with pytest.raises(ValueError, match="k2: tau must be a number above 0"):
        check_settings(objective, {"tau": 0})
    assert corrected(k2, CorrectionConfig()) is k2


def test_what_makes_no_sense_is_named():
    for key, value in {"name": "clip", "level": "group", "low": 1.5, "high": 0.5}.items():
        with pytest.raises(ValueError, match=f"correction.{key} must be"):
            CorrectionConfig(**{key: value})
    with pytest.raises(ValueError, match="correction.high"):
        CorrectionConfig(high=math.nan)
    with pytest.raises(ValueError, match=r'correction.name="mask" needs LossInputs.behaviour_log_probs'):
        value_and_gradient("k2", replace(batch(0), behaviour_log_probs=None), "mask tokens")
