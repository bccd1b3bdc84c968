"""Advantages: the whole group, valid members only."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.training.advantages import group_advantages

MEMBERS = st.lists(st.tuples(st.floats(-2, 2, width=32), st.booleans(), st.integers(-2, 3)), min_size=1, max_size=24)


def columns(members):
    rewards, valid, groups = zip(*members, strict=True)
    return torch.tensor(rewards, dtype=torch.float64), torch.tensor(valid), torch.tensor(groups)


@settings(max_examples=60, deadline=None)
@given(MEMBERS)
def test_advantage_is_reward_minus_the_mean_of_the_valid_members(members):
    rewards, valid, groups = columns(members)
    advantages = group_advantages(rewards, valid, groups)
    for i, (reward, is_valid, group) in enumerate(members):
        peers = [r for r, v, g in members if v and g == group]
        expected = reward - sum(peers) / len(peers) if is_valid else 0.0
        assert advantages[i].item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(MEMBERS, st.sampled_from(["none", "std"]), st.randoms(use_true_random=False))
def test_what_stands_in_an_invalid_place_and_the_order_change_nothing(members, scale, random):
    rewards, valid, groups = columns(members)
    hostile = torch.where(valid, rewards, torch.tensor(float("nan"), dtype=torch.float64))
    expected = group_advantages(rewards, valid, groups, scale)
    torch.testing.assert_close(group_advantages(hostile, valid, groups, scale), expected, rtol=0, atol=0)
    order = torch.tensor(random.sample(range(len(members)), len(members)))
    shuffled = group_advantages(rewards[order], valid[order], groups[order], scale)
    torch.testing.assert_close(shuffled, expected[order], rtol=1e-12, atol=1e-12)


def test_std_scale_divides_by_the_sample_deviation_of_the_valid_members():
    rewards = torch.tensor([1.0, 0.0, 0.0, 9.0, 5.0])
    valid = torch.tensor([True, True, True, False, True])
    groups = torch.tensor([7, 7, 7, 7, 8])
    advantages = group_advantages(rewards, valid, groups, scale="std")
    peers = torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(advantages[:3], (peers - peers.mean()) / peers.std())
    assert advantages[3:].tolist() == [0.0, 0.0]


def test_equal_rewards_give_exactly_zero_although_their_mean_rounds():
    rewards = torch.full((3,), 0.1, dtype=torch.float32).double() * 3
    for scale in ("none", "std"):
        assert group_advantages(rewards, torch.ones(3), torch.zeros(3), scale).tolist() == [0.0, 0.0, 0.0]


def test_bad_arguments_are_named():
    ones = torch.ones(2)
    with pytest.raises(ValueError, match="one shape"):
        group_advantages(ones, torch.ones(3).bool(), torch.zeros(2))
    with pytest.raises(ValueError, match="finite"):
        group_advantages(torch.tensor([1.0, float("inf")]), ones.bool(), torch.zeros(2))
    with pytest.raises(ValueError, match="scale"):
        group_advantages(ones, ones.bool(), ones, scale="max")  # type: ignore[arg-type]
