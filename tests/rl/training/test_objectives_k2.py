"""K2's objective against its closed form in float64, and its relatives where they must agree with it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.training.advantages import group_advantages
from rl.training.objectives import LossInputs, grpo, k2, k15, k25, mini_batch_shares, reinforce

VOCABULARY, HIDDEN = 11, 5


class World:
    """A differentiable toy policy over whole sequences: log pi_theta(y) = sum_t log_softmax(features_t theta)[y_t]."""

    def __init__(self, seed: int, groups: int = 3, members: int = 4) -> None:
        random = torch.Generator().manual_seed(seed)
        count = groups * members
        self.lengths = torch.randint(1, 7, (count,), generator=random).tolist()
        total = sum(self.lengths)
        self.features = torch.randn(total, HIDDEN, generator=random, dtype=torch.float64)
        self.targets = torch.randint(VOCABULARY, (total,), generator=random)
        self.mask = torch.rand(total, generator=random) < 0.8
        self.old = torch.randn(HIDDEN, VOCABULARY, generator=random, dtype=torch.float64)
        drift = 0.4 * torch.randn(HIDDEN, VOCABULARY, generator=random, dtype=torch.float64)
        self.theta = (self.old + drift).requires_grad_()
        self.rewards = torch.randint(2, (count,), generator=random).double()
        self.valid = torch.rand(count, generator=random) < 0.8
        self.groups = torch.arange(count) // members

    def token_log_probs(self, theta):
        return (self.features @ theta).log_softmax(-1).gather(1, self.targets[:, None]).squeeze(1)

    def sequence_log_probs(self, theta):
        masked = self.token_log_probs(theta) * self.mask
        return [part.sum() for part in masked.split(self.lengths)]

    def inputs(self, theta) -> LossInputs:
        sequence_ids = torch.repeat_interleave(torch.arange(len(self.lengths)), torch.tensor(self.lengths))
        tokens = torch.zeros(len(self.lengths), dtype=torch.long).index_add(0, sequence_ids, self.mask.long())
        shares = mini_batch_shares(self.valid, self.groups, tokens, dtype=torch.float64)
        return LossInputs(
            log_probs=self.token_log_probs(theta),
            old_log_probs=self.token_log_probs(self.old).detach(),
            loss_mask=self.mask,
            sequence_ids=sequence_ids,
            advantages=group_advantages(self.rewards, self.valid, self.groups),
            weights=shares.weights,
            num_tokens=shares.num_tokens,
        )

    def responses(self):
        """(index, r - r_bar) of the valid responses, one list per prompt, computed here without the library."""
        for group in range(int(self.groups.max()) + 1):
            inside = [i for i in range(len(self.lengths)) if self.groups[i] == group and self.valid[i]]
            if inside:
                mean = sum(self.rewards[i].item() for i in inside) / len(inside)
                yield [(i, self.rewards[i].item() - mean) for i in inside]

    def closed_form(self, theta, tau):
        now, old = self.sequence_log_probs(theta), self.sequence_log_probs(self.old)
        prompts = [
            sum((advantage - tau * (now[i] - old[i].detach())) ** 2 for i, advantage in group) / len(group)
            for group in self.responses()
        ]
        return sum(prompts) / len(prompts)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), tau=st.floats(0.01, 2))
def test_value_and_gradient_equal_autograd_of_the_closed_form(seed, tau):
    world = World(seed)
    if not world.valid.any():
        return
    expected = world.closed_form(world.theta, tau)
    found = k2(world.inputs(world.theta), tau=tau).loss
    assert found.item() == pytest.approx(expected.item(), abs=1e-9, rel=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(found, world.theta)[0], torch.autograd.grad(expected, world.theta)[0], rtol=0, atol=1e-9
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), tau=st.floats(0.01, 2))
def test_gradient_at_pi_old_is_minus_two_tau_times_the_policy_gradient(seed, tau):
    world = World(seed)
    if not world.valid.any():
        return
    theta = world.old.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(k2(world.inputs(theta), tau=tau).loss, theta)
    log_probs, groups = world.sequence_log_probs(theta), list(world.responses())
    mean = sum(sum(a * log_probs[i] for i, a in group) / len(group) for group in groups) / len(groups)
    expected = -2 * tau * torch.autograd.grad(mean, theta)[0]
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-9)


def one_sequence(log_ratios, advantage=0.0) -> LossInputs:
    ratios = torch.tensor(log_ratios, dtype=torch.float64)
    return LossInputs(
        log_probs=ratios.clone().requires_grad_(),
        old_log_probs=torch.zeros_like(ratios),
        loss_mask=torch.ones_like(ratios).bool(),
        sequence_ids=torch.zeros(len(ratios), dtype=torch.long),
        advantages=torch.tensor([advantage], dtype=torch.float64),
        weights=torch.ones(1, dtype=torch.float64),
        num_tokens=len(ratios),
    )


def test_a_token_wise_square_is_another_loss():
    """Two tokens whose log-ratios cancel: the sequence is as likely as before, so K2 pays nothing for it."""
    inputs = one_sequence([0.5, -0.5])
    loss = k2(inputs, tau=1.0).loss
    assert loss.item() == 0.0
    assert not torch.autograd.grad(loss, inputs.log_probs)[0].any()
    token_wise = inputs.log_probs.square().sum()
    assert token_wise.item() == 0.5
    assert torch.autograd.grad(token_wise, inputs.log_probs)[0].tolist() == [1.0, -1.0]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=2, max_size=8), st.floats(-1, 1), st.floats(0.05, 2))
def test_a_token_wise_square_lacks_the_products_of_different_tokens(log_ratios, advantage, tau):
    """(A - tau sum_t x_t)^2 = A^2 - 2 tau A sum_t x_t + tau^2 (sum_t x_t^2 + sum_{s != t} x_s x_t)."""
    inputs = one_sequence(log_ratios, advantage)
    loss = k2(inputs, tau=tau).loss
    x = inputs.log_probs
    token_wise = advantage**2 - 2 * tau * advantage * x.sum() + tau**2 * x.square().sum()
    products = sum(a * b for i, a in enumerate(log_ratios) for j, b in enumerate(log_ratios) if i != j)
    assert (loss - token_wise).item() == pytest.approx(tau**2 * products, abs=1e-9)
    (of_sequence,), (of_tokens,) = torch.autograd.grad(loss, x), torch.autograd.grad(token_wise, x)
    missing = [2 * tau**2 * (sum(log_ratios) - own) for own in log_ratios]  # what the other tokens did
    assert (of_sequence - of_tokens).tolist() == pytest.approx(missing, abs=1e-9)


def test_token_wise_squares_move_a_policy_elsewhere_than_k2():
    """On a whole mini-batch: the gradients agree at pi_old and part as soon as the policy has moved."""
    world = World(7)
    for theta, agree in ((world.old.clone().requires_grad_(), True), (world.theta, False)):
        inputs = world.inputs(theta)
        (of_sequences,) = torch.autograd.grad(k2(inputs, tau=0.5).loss, theta)
        x = torch.where(inputs.mask, world.token_log_probs(theta) - inputs.old_log_probs, 0.0)
        weight = inputs.weights[inputs.sequence_ids]
        per_token = 0.25 * x.square() - 2 * 0.5 * inputs.advantages[inputs.sequence_ids] * x
        (of_tokens,) = torch.autograd.grad((weight * per_token).sum(), theta)
        assert torch.allclose(of_sequences, of_tokens, rtol=0, atol=1e-12) is agree
        if not agree:
            assert (of_sequences - of_tokens).norm() > 0.1 * of_sequences.norm()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), tau=st.floats(0.05, 2))
def test_k15_with_the_reference_at_pi_old_has_the_gradient_of_k2_over_two_tau(seed, tau):
    world = World(seed)
    (first,) = torch.autograd.grad(k15(world.inputs(world.theta), tau=tau).loss, world.theta)
    (second,) = torch.autograd.grad(k2(world.inputs(world.theta), tau=tau).loss, world.theta)
    torch.testing.assert_close(first, second / (2 * tau), rtol=0, atol=1e-9)


def test_k15_pulls_to_the_given_reference():
    inputs = replace(one_sequence([0.5, 0.25]), ref_log_probs=torch.tensor([0.1, 0.1], dtype=torch.float64))
    loss = k15(inputs, tau=0.3).loss
    assert loss.item() == pytest.approx(0.15 * 0.55**2)
    assert torch.autograd.grad(loss, inputs.log_probs)[0].tolist() == pytest.approx([0.3 * 0.55] * 2)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_k25_gives_no_reward_gradient_outside_the_range_whatever_the_sign(advantage):
    inputs = one_sequence([0.7, 0.2, -0.7], advantage)
    output = k25(inputs, alpha=-0.5, beta=0.5, tau=0.0)
    gradient = torch.autograd.grad(output.loss, inputs.log_probs)[0]
    assert gradient[[0, 2]].tolist() == [0.0, 0.0]
    assert gradient[1].item() == pytest.approx(-advantage * torch.tensor(0.2, dtype=torch.float64).exp().item() / 3)
    assert output.metrics["clipped_share_of_tokens"].item() == pytest.approx(2 / 3)


def test_k25_pulls_every_token_by_its_own_square():
    inputs = one_sequence([0.7, 0.2, -0.7])
    gradient = torch.autograd.grad(k25(inputs, tau=0.3).loss, inputs.log_probs)[0]
    assert gradient.tolist() == pytest.approx([2 * 0.3 * ratio / 3 for ratio in (0.7, 0.2, -0.7)])


def test_grpo_clips_only_where_the_clip_is_the_worse_value():
    up, down = one_sequence([0.5, -0.5], 1.0), one_sequence([0.5, -0.5], -1.0)
    half = torch.tensor(0.5, dtype=torch.float64).exp().item()
    gradients = [torch.autograd.grad(grpo(inputs).loss, inputs.log_probs)[0].tolist() for inputs in (up, down)]
    assert gradients[0] == pytest.approx([0.0, -1 / half / 2])
    assert gradients[1] == pytest.approx([half / 2, 0.0])


def test_grpo_penalty_is_the_k3_distance_to_the_reference():
    inputs = replace(one_sequence([0.5, -0.2]), ref_log_probs=torch.tensor([0.1, 0.1], dtype=torch.float64))
    distance = torch.tensor([-0.4, 0.3], dtype=torch.float64)
    expected = 0.2 * (distance.exp() - 1 - distance).mean()
    assert grpo(inputs, beta=0.2).loss.item() == pytest.approx(expected.item(), abs=1e-12)


def test_reinforce_is_the_advantage_times_the_whole_sequence():
    inputs = one_sequence([-0.5, -0.2], 0.4)
    loss = reinforce(inputs).loss
    assert loss.item() == pytest.approx(0.4 * 0.7)
    assert torch.autograd.grad(loss, inputs.log_probs)[0].tolist() == pytest.approx([-0.4, -0.4])


def test_metrics_say_the_divergence_in_nats_per_token():
    metrics = k2(one_sequence([0.5, -0.2])).metrics
    ratios = torch.tensor([0.5, -0.2], dtype=torch.float64)
    assert metrics["kl_per_token"].item() == pytest.approx((ratios.exp() - 1 - ratios).mean().item())
    assert metrics["log_ratio_per_sequence"].item() == pytest.approx(0.3)
