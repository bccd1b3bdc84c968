"""The length reward against a computation of its own."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.lengths import excess, is_over_budget, length_rewards
from trajectories.outcomes import Outcome

responses = st.lists(st.tuples(st.none() | st.integers(0, 10**6), st.booleans()), max_size=12)


@given(responses)
def test_it_is_the_formula_over_those_that_have_a_length(group: list[tuple[int | None, bool]]):
    found = length_rewards([length for length, _ in group], [right for _, right in group])
    known = [length for length, _ in group if length is not None]
    for (length, right), reward in zip(group, found, strict=True):
        if length is None:
            assert reward is None
            continue
        least, most = min(known), max(known)
        wanted = Fraction(1, 2) - Fraction(length - least, most - least) if most > least else Fraction(0)
        assert reward == pytest.approx(float(wanted if right else min(Fraction(0), wanted)), abs=1e-12)
        assert -0.5 <= reward <= 0.5 and (right or reward <= 0)


@given(responses, st.integers(1, 50))
def test_neither_the_unit_of_length_nor_those_without_one_matter(group: list[tuple[int | None, bool]], factor: int):
    lengths, right = [length for length, _ in group], [right for _, right in group]
    found = length_rewards(lengths, right)
    assert length_rewards([None if n is None else factor * n for n in lengths], right) == pytest.approx(found, abs=1e-12)
    alone = [(n, r) for n, r in group if n is not None]
    assert length_rewards([n for n, _ in alone], [r for _, r in alone]) == [reward for reward in found if reward is not None]


def test_the_shortest_right_answer_gains_a_half_and_the_longest_loses_it():
    assert length_rewards([100, 200, 300, 150], [True, True, True, False]) == [0.5, 0.0, -0.5, 0.0]
    assert length_rewards([100, 300], [False, False]) == [0.0, -0.5]
    assert length_rewards([7, 7], [True, False]) == [0.0, 0.0]
    assert length_rewards([7], [True]) == [0.0] and length_rewards([], []) == []


def test_a_budget_is_exceeded_by_tokens_or_by_being_cut_off():
    assert (excess(512, 512), excess(768, 512), excess(0, 512)) == (0.0, 0.5, 0.0)
    assert not is_over_budget(512, 512, Outcome("completed")) and is_over_budget(513, 512, Outcome("completed"))
    assert is_over_budget(5, 512, Outcome("token_limit")) and not is_over_budget(5, 512, Outcome("turn_limit"))
