"""What every objective keeps, with every correction: shares add up, packing order and invalid sequences change nothing."""

import inspect
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.training.advantages import group_advantages
from rl.training.objectives import OBJECTIVES, check_settings, get_objective, k2, mini_batch_shares, ptx, reads_reference
from rl.training.objectives.settings import RANGES
from tests.rl.training.objective_cases import (
    CORRECTIONS,
    NAMES,
    PER_TOKEN,
    batch,
    draw,
    evaluate,
    value_and_gradient,
)

every_objective = pytest.mark.parametrize("name", NAMES)
every_correction = pytest.mark.parametrize("correction", list(CORRECTIONS))


@every_correction
@every_objective
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.integers(2, 5))
def test_micro_batch_split_does_not_change_value_gradient_or_metrics(name, correction, seed, parts):
    inputs = batch(seed)
    whole, gradient = value_and_gradient(name, inputs, correction)
    owner = torch.randint(parts, (len(inputs.weights),), generator=torch.Generator().manual_seed(seed))
    loss, collected = 0.0, torch.zeros_like(gradient)
    metrics = dict.fromkeys(whole.metrics, 0.0)
    for part in range(parts):
        piece = inputs.select((owner == part).nonzero().squeeze(1))
        output = evaluate(name, piece, correction)
        collected += torch.autograd.grad(output.loss, inputs.log_probs)[0]
        loss += output.loss.item()
        metrics = {key: total + output.metrics[key].item() for key, total in metrics.items()}
    assert loss == pytest.approx(whole.loss.item(), abs=1e-9)
    torch.testing.assert_close(collected, gradient, rtol=0, atol=1e-9)
    assert metrics == pytest.approx({key: value.item() for key, value in whole.metrics.items()}, abs=1e-9)


@every_correction
@every_objective
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_packing_order_does_not_change_value_or_gradient(name, correction, seed):
    inputs = batch(seed)
    whole, gradient = value_and_gradient(name, inputs, correction)
    order = torch.randperm(len(inputs.weights), generator=torch.Generator().manual_seed(seed + 1))
    repacked = inputs.select(order)
    tokens = torch.argsort(repacked.sequence_ids, stable=True)  # now the tokens stand in the new order as well
    repacked = replace(repacked, **{field: getattr(repacked, field)[tokens] for field in PER_TOKEN})
    output = evaluate(name, repacked, correction)
    assert output.loss.item() == pytest.approx(whole.loss.item(), abs=1e-9)
    torch.testing.assert_close(torch.autograd.grad(output.loss, inputs.log_probs)[0], gradient, rtol=0, atol=1e-9)


@every_correction
@every_objective
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_invalid_sequences_and_masked_tokens_leave_value_and_gradient_whatever_they_hold(name, correction, seed):
    inputs = batch(seed, valid_share=0.5)
    expected, gradient = value_and_gradient(name, inputs, correction)
    poison = ~inputs.mask
    spoiled = replace(
        inputs,
        log_probs=inputs.log_probs.detach().masked_fill(poison, torch.nan).requires_grad_(),
        old_log_probs=inputs.old_log_probs.masked_fill(poison, torch.inf),
        ref_log_probs=inputs.ref_log_probs.masked_fill(poison, -torch.inf),
        behaviour_log_probs=inputs.behaviour_log_probs.masked_fill(poison, torch.nan),
        advantages=inputs.advantages.masked_fill(inputs.weights == 0, torch.nan),
    )
    output, found = value_and_gradient(name, spoiled, correction)
    assert output.loss.item() == expected.loss.item()
    torch.testing.assert_close(found, gradient, rtol=0, atol=0)
    assert all(torch.isfinite(value) for value in output.metrics.values())
    assert not found[poison].any()


@pytest.mark.parametrize("failing", [4, 54])
@every_correction
@every_objective
def test_four_and_fifty_four_per_cent_of_failures_leave_the_gradients_of_the_healthy_rest(name, correction, failing):
    """Faults hold NaN everywhere: in the reward, and in every policy's log-probabilities."""
    random = torch.Generator().manual_seed(failing)
    groups, rewards = torch.arange(100) // 10, torch.randint(2, (100,), generator=random).double()
    valid = torch.ones(100, dtype=torch.bool)
    valid[torch.randperm(100, generator=random)[:failing]] = False
    scale = "std" if name in ("grpo", "dapo", "gspo", "cispo") else "none"
    faulty = draw(random, valid, groups, rewards.masked_fill(~valid, torch.nan), scale)
    failed = ~valid[faulty.sequence_ids]
    faulty = replace(
        faulty,
        log_probs=faulty.log_probs.detach().masked_fill(failed, torch.nan).requires_grad_(),
        **{
            field: getattr(faulty, field).masked_fill(failed, torch.nan)
            for field in ("old_log_probs", "ref_log_probs", "behaviour_log_probs")
        },
    )
    found, gradient = value_and_gradient(name, faulty, correction)

    kept, tokens = valid.nonzero().squeeze(1), ~failed
    numbers = torch.searchsorted(kept, faulty.sequence_ids[tokens])
    lengths = torch.zeros(len(kept), dtype=torch.long).index_add(0, numbers, faulty.loss_mask[tokens].long())
    shares = mini_batch_shares(valid[kept], groups[kept], lengths, dtype=torch.float64)
    healthy = replace(
        faulty,
        **{field: getattr(faulty, field)[tokens] for field in PER_TOKEN if field not in ("log_probs", "sequence_ids")},
        log_probs=faulty.log_probs.detach()[tokens].requires_grad_(),
        sequence_ids=numbers,
        advantages=group_advantages(rewards[kept], valid[kept], groups[kept], scale),
        weights=shares.weights,
        num_tokens=shares.num_tokens,
    )
    expected, alone = value_and_gradient(name, healthy, correction)
    assert alone.any()
    assert not gradient[failed].any()
    torch.testing.assert_close(gradient[tokens], alone, rtol=0, atol=1e-12)
    assert {key: value.item() for key, value in found.metrics.items()} == pytest.approx(
        {key: value.item() for key, value in expected.metrics.items()}, abs=1e-12
    )


@every_objective
def test_a_number_that_is_none_in_a_valid_sequence_shows(name):
    inputs = batch(2)
    inputs.log_probs.data[inputs.mask.nonzero()[0]] = torch.nan
    assert value_and_gradient(name, inputs)[0].loss.isnan()


@every_objective
def test_a_batch_without_a_valid_sequence_gives_zero_loss_and_zero_gradient(name):
    output, gradient = value_and_gradient(name, batch(3, valid_share=0.0))
    assert output.loss.item() == 0.0
    assert not gradient.any()


@every_objective
def test_at_pi_old_every_objective_ascends_the_policy_gradient_of_each_sequence(name):
    inputs = batch(5)
    on_policy = replace(inputs, log_probs=inputs.old_log_probs.clone().requires_grad_(), ref_log_probs=None)
    _, gradient = value_and_gradient(name, on_policy)
    pull = torch.where(inputs.mask, inputs.advantages[inputs.sequence_ids], 0.0)
    assert (gradient * pull <= 0).all()
    assert torch.equal(gradient != 0, pull != 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 50)), min_size=1, max_size=20))
def test_weights_of_a_mini_batch_add_up_to_one_over_its_valid_sequences(members):
    valid, groups, tokens = (torch.tensor(column) for column in zip(*members, strict=True))
    shares = mini_batch_shares(valid, groups, tokens, dtype=torch.float64)
    assert shares.weights.sum().item() == pytest.approx(float(valid.any()), abs=1e-12)
    assert not shares.weights[~valid].any()
    assert shares.num_tokens == sum(length for is_valid, _, length in members if is_valid)
    for group in set(groups.tolist()):
        inside = shares.weights[valid & (groups == group)]
        assert inside.numel() == 0 or inside.sum().item() == pytest.approx(1 / len(set(groups[valid].tolist())))


def test_ptx_is_the_mean_cross_entropy_and_its_parts_add_up():
    log_probs = -torch.rand(12, dtype=torch.float64)
    mask = torch.arange(12) % 3 != 0
    spoiled = log_probs.masked_fill(~mask, torch.nan)
    whole = ptx(spoiled, mask, int(mask.sum()))
    assert whole.item() == pytest.approx(-log_probs[mask].mean().item(), abs=1e-12)
    parts = ptx(spoiled[:5], mask[:5], int(mask.sum())) + ptx(spoiled[5:], mask[5:], int(mask.sum()))
    assert parts.item() == pytest.approx(whole.item(), abs=1e-12)


def test_bad_inputs_are_named():
    inputs = batch(0)
    with pytest.raises(ValueError, match="old_log_probs"):
        replace(inputs, old_log_probs=inputs.old_log_probs[:-1])
    with pytest.raises(ValueError, match="advantages"):
        replace(inputs, advantages=inputs.advantages[:-1])
    with pytest.raises(ValueError, match="k2, k15"):
        get_objective("ppo")
    assert get_objective("k2") is k2


@every_objective
def test_every_setting_of_an_objective_has_a_range_that_its_default_is_in(name):
    parameters = list(inspect.signature(OBJECTIVES[name]).parameters.values())[1:]
    assert {parameter.name for parameter in parameters} == set(RANGES[name])
    check_settings(OBJECTIVES[name], {parameter.name: parameter.default for parameter in parameters})


@every_objective
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), beta=st.sampled_from([None, 0.0, 0.3]))
def test_a_reference_changes_value_or_gradient_exactly_where_the_objective_reads_it(name, seed, beta):
    objective, inputs = OBJECTIVES[name], batch(seed, valid_share=1.0)
    wanted = {"beta": beta} if name == "grpo" and beta is not None else {}
    found = []
    for given_inputs in (inputs, replace(inputs, ref_log_probs=None)):
        loss = objective(given_inputs, **wanted).loss
        found.append((loss.item(), torch.autograd.grad(loss, inputs.log_probs)[0]))
    same = found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])
    assert same is not reads_reference(objective, wanted)


def test_a_reference_is_read_with_the_default_settings_in_k15_alone():
    assert [name for name in NAMES if reads_reference(OBJECTIVES[name], {})] == ["k15"]
    with pytest.raises(TypeError, match="gamma"):
        reads_reference(OBJECTIVES["grpo"], {"gamma": 1.0})
