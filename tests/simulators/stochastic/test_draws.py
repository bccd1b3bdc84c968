"""Rates are hit within binomial error, and a draw depends on what it is for alone, never on when it is made."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import worlds
from simulators.environment import Environment
from simulators.stochastic import ChangeRates, ReadRates, SearchRates, ToolTroubles
from simulators.stochastic.draws import strike, tools_down, trouble_rng
from simulators.tasks import compose
from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolCall

RATES = SearchRates(timeout=0.05, rate_limit=0.1, transient=0.02, malformed=0.15, slow=0.2, stale=0.08, partial=0.01)


def believable(hits: int, draws: int, rate: float, error: float = 1e-6) -> bool:
    """Whether `hits` lies in the exact two-sided binomial interval around `rate` that misses with this probability."""

    def mass(k: int) -> float:
        choices = math.lgamma(draws + 1) - math.lgamma(k + 1) - math.lgamma(draws - k + 1)
        return math.exp(choices + k * math.log(rate) + (draws - k) * math.log1p(-rate))

    at_most = math.fsum(mass(k) for k in range(hits + 1))
    return min(at_most, 1 - at_most + mass(hits)) > error / 2


def test_the_interval_itself_is_no_rubber_stamp():
    assert believable(500, 10_000, 0.05)
    assert not believable(620, 10_000, 0.05) and not believable(390, 10_000, 0.05)


def test_every_rate_of_a_call_is_hit_within_binomial_error():
    draws = 10_000
    counts = Counter(
        strike(RATES, trouble_rng(draw % 7, f"task {draw // 97}", draw % 97, "find")) for draw in range(draws)
    )
    for name, rate in RATES.per_call().items():
        assert believable(counts[name], draws, rate), (name, counts[name] / draws, rate)
    assert believable(counts[None], draws, 1 - sum(RATES.per_call().values()))


def test_rates_are_hit_by_the_calls_of_episodes():
    world = worlds.load("order_desk")
    task = compose(world, 0, run_seed=1, split="train", difficulty=1)
    troubles = ToolTroubles(
        read=ReadRates(timeout=0.1, stale=0.2, slow=0.3), update=ChangeRates(timeout=0.1, transient=0.3, permanent=0.2)
    )
    environment = Environment(world, max_turns=2, troubles=troubles)
    keys = list(world.instantiate(task.seed, task.gold.initialise).records("order"))
    reads: Counter[str | None] = Counter()
    for seed in range(400):
        environment.reset(task, seed)
        calls = [
            ToolCall(f"functions.get_order:{n}", "get_order", canonical_json({"order_id": key}))
            for n, key in enumerate(keys)
        ]
        environment.step(Message("assistant", tool_calls=tuple(calls)))
        reads.update(record.trouble and record.trouble.kind for record in environment.outcome().calls)
    total = 400 * len(keys)
    for kind, rate in {"timeout": 0.1, "stale": 0.2, "slow": 0.3, None: 0.4}.items():
        assert believable(reads[kind], total, rate), (kind, reads[kind] / total)


def test_tools_are_down_as_often_as_set_and_never_those_of_the_gold():
    world, troubles = worlds.load("travel"), ToolTroubles.uniform(permanent=0.3)
    spared = {"get_booking", "add_bag"}
    counts = Counter(tool for seed in range(2000) for tool in tools_down(troubles, world, spared, seed, "t"))
    assert not spared & counts.keys() and world.decline_operation.name not in counts
    for tool in world.operations.keys() - spared - {world.decline_operation.name}:
        assert believable(counts[tool], 2000, 0.3), tool


@settings(max_examples=30)
@given(st.permutations(range(12)), st.integers(0, 2**62), st.sampled_from(["", "t", "3f9c", "é\u2028"]))
def test_the_order_of_drawing_changes_nothing(order: list[int], seed: int, task_id: str):
    in_turn = [strike(RATES, trouble_rng(seed, task_id, index, "find")) for index in range(12)]
    shuffled = {index: strike(RATES, trouble_rng(seed, task_id, index, "find")) for index in order}
    assert [shuffled[index] for index in range(12)] == in_turn


@settings(max_examples=50)
@given(st.integers(0, 10**6))
def test_a_higher_rate_keeps_the_troubles_of_a_lower_one(seed: int):
    """Common random numbers: sweeping a rate adds troubles to an episode and moves none."""
    low, high = ReadRates(timeout=0.1), ReadRates(timeout=0.4)
    for index in range(20):
        if strike(low, trouble_rng(seed, "t", index, "get")) == "timeout":
            assert strike(high, trouble_rng(seed, "t", index, "get")) == "timeout"


@pytest.mark.parametrize("other", [(2, "t", 0, "get"), (1, "u", 0, "get"), (1, "t", 1, "get"), (1, "t", 0, "put")])
def test_every_key_counts(other: tuple[int, str, int, str]):
    assert trouble_rng(1, "t", 0, "get").random() != trouble_rng(*other).random()
