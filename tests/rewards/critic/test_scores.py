"""Scores recover what made the comparisons, and their standard errors are honest."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.critic import Ranking, group_rewards, ranking_of
from rewards.critic.bradley_terry import components, elo, fit
from rewards.critic.comparison import Comparison, Invalid
from rewards.critic.design import pairs
from tests.rewards.critic.cases import compared

FITS = 800


def simulated(count: int, times: int, opponents: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True strengths, shape [fits, count], and wins when each pair of the design is compared so many times."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(FITS, count))
    true -= true.mean(-1, keepdims=True)
    wins = np.zeros((FITS, count, count))
    for one, other in pairs(count, opponents, seed):
        won = rng.binomial(times, 1 / (1 + np.exp(true[:, other] - true[:, one])))
        wins[:, one, other], wins[:, other, one] = won, times - won
    return true, wins


@pytest.mark.parametrize(("count", "times", "opponents"), [(4, 20, None), (8, 4, None), (8, 20, 4), (12, 2, None)])
def test_a_95_percent_interval_holds_the_truth_in_92_to_98_percent(count, times, opponents):
    true, wins = simulated(count, times, opponents)
    scores, errors = fit(wins)
    assert 0.92 <= (abs(scores - true) <= 1.96 * errors).mean() <= 0.98


def test_intervals_are_never_too_narrow_with_one_comparison_of_each_pair():
    for count, opponents in [(4, None), (8, None), (8, 4)]:
        true, wins = simulated(count, 1, opponents)
        scores, errors = fit(wins)
        assert (abs(scores - true) <= 1.96 * errors).mean() >= 0.95


def test_strengths_are_recovered_and_the_error_shrinks_with_the_root_of_the_comparisons():
    def error(times: int) -> float:
        true, wins = simulated(6, times)
        return float(np.sqrt(((fit(wins)[0] - true) ** 2).mean()))

    few, more, many = error(5), error(80), error(1280)
    assert few > 3.5 * more > 12 * many and many < 0.04


def test_one_pair_has_the_known_solution():
    """Of 3 wins to 1, without a prior to speak of: the odds, and an error from n p (1 - p); a score is half of the difference."""
    scores, errors = fit([[0, 3], [1, 0]], prior_sd=1e4)
    assert scores.tolist() == pytest.approx([math.log(3) / 2, -math.log(3) / 2])
    assert errors.tolist() == pytest.approx([math.sqrt(1 / (4 * 3 / 16)) / 2] * 2)


def test_the_scores_are_a_maximum_of_the_penalised_likelihood():
    _, wins = simulated(5, 3)
    wins = wins[0]
    scores, _ = fit(wins)

    def likelihood(at: np.ndarray) -> float:
        return float(-(wins * np.logaddexp(0, at[None, :] - at[:, None])).sum() - (at**2).sum() / 18)

    rng = np.random.default_rng(1)
    assert all(likelihood(scores) > likelihood(scores + 1e-3 * rng.normal(size=5)) for _ in range(200))


@settings(max_examples=40)
@given(st.integers(1, 7), st.integers(0, 2**32), st.sampled_from([1, 3, 1000, 10**6]), st.sampled_from([0.1, 3.0, 100.0]))
def test_a_fit_is_finite_and_centred_whatever_was_won(count, seed, most, prior_sd):
    wins = np.random.default_rng(seed).integers(0, most + 1, size=(count, count)) * (1 - np.eye(count))
    scores, errors = fit(np.triu(wins) if seed % 2 else wins, prior_sd)
    assert np.isfinite(scores).all() and np.isfinite(errors).all() and abs(scores.sum()) < 1e-8


def test_a_tie_is_half_a_win_of_either_side():
    tied = ranking_of(["a", "b", "c"], [compared("a", "b", 0.5), compared("b", "c", 1.0)], "x")
    scores = [score.value for score in tied.scores]
    assert scores == pytest.approx(fit([[0, 0.5, 0], [0.5, 0, 1], [0, 0, 0]])[0].tolist())
    assert tied.order == ("b", "a", "c")


@pytest.mark.parametrize("wins", [[[0, -1], [0, 0]], [[1, 0], [0, 0]], [[0, math.inf], [0, 0]], [[0, 1, 2]], [[]]])
def test_wins_that_are_none_are_refused(wins):
    with pytest.raises(ValueError, match="wins are"):
        fit(wins)


@pytest.mark.parametrize("count", range(2, 33))
def test_every_design_is_connected_and_compares_everybody_as_often(count):
    for opponents in (2, 4, 10):
        for seed in range(8):
            design = pairs(count, opponents, seed)
            games = np.zeros((count, count))
            for one, other in design:
                assert 0 <= one < other < count
                games[one, other] = games[other, one] = 1
            assert len(components(games)) == 1
            assert set(games.sum(-1)) == {min(opponents, count - 1)} and len(design) == games.sum() / 2


@settings(max_examples=60)
@given(st.integers(0, 32), st.none() | st.sampled_from([2, 4, 8]), st.integers(0, 2**63))
def test_a_design_is_a_function_of_its_seed(count, opponents, seed):
    design = pairs(count, opponents, seed)
    assert design == pairs(count, opponents, seed) and list(design) == sorted(set(design))
    if opponents is None:
        assert len(design) == count * (count - 1) // 2


def test_seeds_draw_different_designs():
    assert len({pairs(16, 4, seed) for seed in range(20)}) == 20


@pytest.mark.parametrize("opponents", [0, 1, 3, -2])
def test_an_odd_number_of_opponents_is_refused(opponents):
    with pytest.raises(ValueError, match="^opponents: is an even number"):
        pairs(8, opponents, 0)


FAILED = Invalid("timeout", "no answer")


def broken(first: str, second: str) -> Comparison:
    return Comparison(first, second, ("A", FAILED))


def test_who_has_no_valid_comparison_has_no_score_and_the_others_are_scored_without_him():
    valid = [compared("a", "b", 1.0), compared("a", "c", 1.0), compared("b", "c", 0.5)]
    ranking = ranking_of(["a", "d", "b", "c"], [*valid, broken("a", "d"), broken("b", "d"), broken("c", "d")], "x")
    assert ranking.scores[1] is None and ranking.causes == (None, "no valid comparison: 3 x timeout", None, None)
    assert ranking.order == ("a", "b", "c") and ranking.faults == (FAILED,) * 3
    alone = ranking_of(["a", "b", "c"], valid, "x")
    assert [score for score in ranking.scores if score is not None] == list(alone.scores)


def test_a_group_that_falls_apart_is_scored_in_its_one_largest_part():
    ranking = ranking_of(list("abcde"), [compared("a", "b", 1.0), compared("b", "c", 1.0), compared("d", "e", 1.0)], "x")
    assert [score is not None for score in ranking.scores] == [True, True, True, False, False]
    assert ranking.causes[3] == "not comparable: 2 of 5 responses were compared with each other only"
    halves = ranking_of(list("abcd"), [compared("a", "b", 1.0), compared("c", "d", 1.0)], "x")
    assert halves.scores == (None,) * 4


def test_nobody_is_ranked_alone():
    assert ranking_of(["a"], [], "x") == Ranking("x", ("a",), (None,), ("no comparison: there is no other response",), ())
    assert ranking_of([], [], "x").order == ()


def test_comparisons_of_strangers_and_ids_that_stand_twice_are_refused():
    with pytest.raises(ValueError, match="ids must differ"):
        ranking_of(["a", "a"], [], "x")
    with pytest.raises(ValueError, match="'z' were compared, and one is no response"):
        ranking_of(["a", "b"], [compared("a", "z", 1.0)], "x")


@given(st.lists(st.none() | st.floats(-50, 50), max_size=12))
def test_group_rewards_are_bounded_centred_and_rise_with_the_score(scores):
    rewards = group_rewards(scores)
    known = [(score, reward) for score, reward in zip(scores, rewards, strict=True) if score is not None]
    if len(known) < 2:
        assert rewards == [None] * len(scores)
        return
    assert [reward is None for reward in rewards] == [score is None for score in scores]
    assert abs(math.fsum(reward for _, reward in known)) < 1e-12 and all(-1 <= reward <= 1 for _, reward in known)
    ordered = [reward for _, reward in sorted(known)]
    assert all(lower <= higher + 1e-15 for lower, higher in pairwise(ordered))


def test_elo_is_for_show():
    assert elo(0.0) == 1500 and elo(math.log(10)) == pytest.approx(1900)
    assert json.dumps(elo(1.0))
