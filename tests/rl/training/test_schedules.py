"""Schedules: pure functions of progress, each group's own rate kept in proportion."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.training.schedules import ScheduleConfig


def test_linear_decay_goes_from_one_to_the_final_factor_and_stays():
    schedule = ScheduleConfig(name="linear", total=10, final=0.1)
    assert [round(schedule.factor(step), 6) for step in (0, 5, 10, 99)] == [1.0, 0.55, 0.1, 0.1]


def test_warm_up_rises_in_equal_parts_and_never_starts_at_zero():
    schedule = ScheduleConfig(name="constant", warmup=4, total=10)
    assert [schedule.factor(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@given(st.sampled_from(["constant", "linear"]), st.floats(0, 50), st.floats(1, 100), st.floats(0, 1), st.floats(0, 500))
def test_factor_is_a_share_of_the_rate(name, warmup, extra, final, done):
    schedule = ScheduleConfig(name=name, warmup=warmup, total=warmup + extra, final=final)
    assert 0 <= schedule.factor(done) <= 1
    assert name == "linear" or done < warmup or schedule.factor(done) == 1


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("name", {"name": "cosine"}),
        ("warmup", {"warmup": 5.0, "total": 5.0}),
        ("warmup", {"warmup": -1.0}),
        ("final", {"final": 2.0}),
    ],
)
def test_a_bad_setting_is_named(key, settings):
    with pytest.raises(ValueError, match=rf"schedule\.{key}"):
        ScheduleConfig(**settings)


def test_the_total_may_come_later_and_is_then_held_against_the_warm_up():
    schedule = ScheduleConfig("linear", warmup=3)
    with pytest.raises(ValueError, match=r"schedule\.total is not known"):
        schedule.factor(0)
    assert replace(schedule, total=13.0).factor(8) == 0.5
    with pytest.raises(ValueError, match=r"schedule\.warmup must be in \[0, total=2\.0\)"):
        replace(schedule, total=2.0)
    assert [ScheduleConfig("constant", warmup=2).factor(step) for step in range(3)] == [0.5, 1.0, 1.0]
