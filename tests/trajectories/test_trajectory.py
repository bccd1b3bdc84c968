"""The tokens of a trajectory are those of its segments, and per-token streams stay aligned with them."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.trajectories import strategies
from trajectories.rewards import Reward
from trajectories.trajectory import Sampling, Segment, Trajectory


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.trajectories)
def test_per_token_streams_have_the_length_of_the_tokens(trajectory):
    count = len(trajectory.token_ids)
    assert count == sum(len(segment.token_ids) for segment in trajectory.segments)
    assert len(trajectory.loss_mask) == len(trajectory.behaviour_log_probs) == len(trajectory.temperatures) == count
    shown = sum(len(segment.token_ids) for segment in trajectory.segments if segment.origin == "demonstration")
    assert sum(trajectory.loss_mask) == trajectory.num_policy_tokens + shown


def test_streams_say_which_token_was_sampled_and_how():
    context = Segment("context", (1, 2))
    policy = Segment("policy", (3, 4), (-0.5, -0.25), Sampling(temperature=0.7), policy_version=2)
    trajectory = Trajectory("a", "t", segments=(context, policy, Segment("context", (5,))))
    assert trajectory.token_ids == [1, 2, 3, 4, 5]
    assert trajectory.loss_mask == [False, False, True, True, False]
    assert trajectory.behaviour_log_probs == [0.0, 0.0, -0.5, -0.25, 0.0]
    assert trajectory.temperatures == [1.0, 1.0, 0.7, 0.7, 1.0]


@pytest.mark.parametrize(("ids", "log_probs"), [((1,), None), ((1, 2), (0.0,)), ((), (0.0,))])
def test_a_policy_segment_needs_one_log_probability_per_token(ids, log_probs):
    with pytest.raises(ValueError, match="one log-probability per token"):
        Segment("policy", ids, log_probs)


def test_a_context_segment_has_no_log_probabilities():
    with pytest.raises(ValueError, match="no log-probabilities"):
        Segment("context", (1,), (0.0,))


@pytest.mark.parametrize(
    ("sampling", "renormalises"),
    [
        (Sampling(), False),
        (Sampling(0.2, seed=3), False),
        (Sampling(top_p=0.9), True),
        (Sampling(top_k=1), True),
        (Sampling(top_k=0), False),
    ],
)
def test_only_top_p_and_top_k_renormalise(sampling, renormalises):
    assert sampling.renormalises is renormalises


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_valid_reward_is_a_finite_number(value):
    with pytest.raises(ValueError, match="finite"):
        Reward(value)


@pytest.mark.parametrize("settings", [{"value": 0.0, "cause": "x"}, {"value": None}, {"value": None, "cause": ""}])
def test_an_invalid_reward_has_a_cause_and_no_value(settings):
    with pytest.raises(ValueError, match="names its cause"):
        Reward(valid=False, **settings)


def test_a_fault_is_no_zero():
    assert Reward.invalid("judge: timeout").value is None
