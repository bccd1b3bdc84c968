"""Balance and spread agree with their definitions, computed another way."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajectories.card.balance import Balance, balance, spread

counts = st.dictionaries(st.text(max_size=3), st.integers(0, 50), max_size=8)


def test_equal_counts_are_in_perfect_balance() -> None:
    found = balance({"a": 5, "b": 5, "c": 5, "never": 0})
    assert found.values == 3 and found.entropy == pytest.approx(1) and found.gini == pytest.approx(0)
    assert found.smallest_share == found.largest_share == pytest.approx(1 / 3)


def test_a_known_imbalance() -> None:
    found = balance({"a": 3, "b": 1})
    assert found == Balance(2, pytest.approx(0.8112781244591328), 0.25, 0.75, 0.25)


@pytest.mark.parametrize("values", [{}, {"a": 0}])
def test_nothing_has_no_balance(values: dict[str, int]) -> None:
    assert balance(values) == Balance(0, None, None, None, None)


def test_one_value_has_no_entropy() -> None:
    assert balance({"a": 7}) == Balance(1, None, 1.0, 1.0, 0.0)


@given(counts)
def test_balance_is_what_its_definition_says(values: dict[str, int]) -> None:
    sizes = [size for size in values.values() if size]
    found = balance(values)
    if len(sizes) < 2:
        return
    total = sum(sizes)
    differences = sum(abs(one - other) for one in sizes for other in sizes)
    assert found.gini == pytest.approx(differences / (2 * len(sizes) * total))  # the mean absolute difference's form
    bits = sum(size / total * math.log2(total / size) for size in sizes)
    assert found.entropy == pytest.approx(bits / math.log2(len(sizes)))


@given(st.lists(st.integers(0, 30), max_size=60))
def test_spread_is_that_of_the_sorted_numbers(numbers: list[int]) -> None:
    found = spread({number: numbers.count(number) for number in numbers})
    if not numbers:
        assert found is None
        return
    ordered = sorted(numbers)
    assert found is not None
    assert (found.count, found.total, found.least, found.most) == (len(ordered), sum(ordered), ordered[0], ordered[-1])
    assert found.median == statistics.median_low(ordered)
    assert found.p95 == ordered[math.ceil(95 * len(ordered) / 100) - 1]
    assert found.mean == pytest.approx(statistics.fmean(ordered))
