"""What is wrong with a critic shows in its figures, and nothing shows where nothing is wrong."""

import asyncio
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.statistics import bootstrap_mean, wilson_interval
from rewards.critic import Biases, Comparer, Critic, Features, KnownPair, ScriptedComparer, calibrate
from rewards.critic.calibration import cyclic_triples
from rewards.critic.comparison import Comparison, Invalid
from tests.rewards.critic.cases import CONTEXT, CRITERIA, FailingComparer, compared, responses

TASKS, SIZE = 40, 4
"""The stated sample: 40 tasks with 4 responses each, 240 pairs, 480 questions."""
OPEN = [item for item in CRITERIA if not item.veto]

PLANTED = {
    "position": Biases(position=2.5),
    "length": Biases(length=1.2),
    "praise": Biases(flattery=4.0),
    "confidence": Biases(confidence=4.0),
}


def group(rng: random.Random) -> dict[str, Features]:
    """Right and wrong answers, the features drawn apart from them but for length: right ones tend to be longer."""
    features = {}
    for at in range(SIZE):
        right = rng.random() < 0.5
        features[f"r{at}"] = Features(
            quality=2.5 * right,
            length=round(200 * 2 ** (rng.gauss(0, 1) + 0.5 * right)),
            praise=float(rng.random() < 0.5),
            confidence=rng.random(),
        )
    return features


def known(biases: Biases, *, seed: int = 0, noise: float = 1.0, failing: float = 0.0) -> list[KnownPair]:
    rng, pairs = random.Random(seed), []
    for task in range(TASKS):
        features = group(rng)
        comparer: Comparer = FailingComparer(ScriptedComparer(features, biases, noise=noise), failing)
        ranking = asyncio.run(Critic(comparer).rank(CONTEXT, responses(features), OPEN, key=f"{seed}/{task}"))
        for item in ranking.comparisons:
            one, other = features[item.first], features[item.second]
            declared = {
                name: (float(getattr(one, name)), float(getattr(other, name))) for name in ("length", "praise", "confidence")
            }
            truth = 0.5 if one.quality == other.quality else float(one.quality > other.quality)
            pairs.append(KnownPair(f"{seed}/{task}", item, truth, declared))
    return pairs


def row(pairs: list[KnownPair]):
    return calibrate(pairs, critic="x", policy_version=3)


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_each_planted_bias_is_caught_and_called_by_its_name(planted, noise):
    assert row(known(PLANTED[planted], noise=noise)).flags() == (planted,)


def test_an_honest_critic_is_not_accused():
    """Of eight samples, though its right answers are longer: at most one flag of 40 figures, and their intervals hold 0."""
    rows = [row(known(Biases(), seed=seed)) for seed in range(8)]
    assert sum(len(item.flags()) for item in rows) <= 1
    held = [figure.low <= 0 <= figure.high for item in rows for figure in (*item.biases.values(), item.position)]
    assert np.mean(held) >= 0.85
    assert all(item.agreement.low > 0.8 and item.consistency.value > 0.5 for item in rows)
    raw = [
        pair
        for pair in known(Biases())
        if pair.comparison.result != 0.5 and pair.features["length"][0] != pair.features["length"][1]
    ]
    longer = [pair.comparison.result == (pair.features["length"][0] > pair.features["length"][1]) for pair in raw]
    assert np.mean(longer) > 0.55  # what a figure would accuse it of that does not compare like with like


def test_a_critic_that_tosses_coins_is_found_out():
    found = row(known(Biases(), noise=1e6))
    assert found.flags() == ("agreement",) and found.consistency.value == pytest.approx(0.5, abs=0.1)
    assert found.cyclic == pytest.approx(0.25, abs=0.15)


def test_failures_leave_every_figure_bitwise_as_it_is_without_them():
    pairs = known(Biases(length=0.5), failing=0.1)
    valid = [pair for pair in pairs if pair.comparison.invalid is None]
    hurt, alone = row(pairs), row(valid)
    assert hurt.invalid == len(pairs) - len(valid) > 20
    assert replace(hurt, pairs=alone.pairs, invalid=0) == alone


def pair(result: float, truth: float | None = 1.0, name: str = "t", **features: tuple[float, float]) -> KnownPair:
    return KnownPair(name, compared("a", "b", result), truth, features)


def test_figures_of_a_few_pairs_by_hand():
    pairs = [
        pair(1.0, 1.0, "t0", length=(9, 1)), pair(0.0, 1.0, "t1", length=(1, 9)), pair(0.5, 0.0, "t2", length=(5, 2)),
        pair(1.0, 0.0, "t3", length=(3, 3)), pair(1.0, 0.5, "t4"), pair(0.0, None, "t5"),
        KnownPair("t6", Comparison("a", "b", ("A", Invalid("timeout", "x"))), 1.0),
        KnownPair("t7", Comparison("a", "b", ("A", "A")), 1.0),
    ]  # fmt: skip
    found = row(pairs)
    assert (found.pairs, found.invalid) == (8, 1)
    assert (found.agreement.value, found.agreement.pairs) == (1 / 3, 3)
    assert (found.agreement.low, found.agreement.high) == pytest.approx(wilson_interval(1, 3))
    assert (found.decided.value, found.decided.pairs) == (3 / 5, 5)
    assert (found.consistency.value, found.position.value) == (6 / 7, 1 / 7)
    # the longer one: preferred once of once where it is better, and 1.5 of 2 times where it is worse
    assert (found.biases["length"].value, found.biases["length"].pairs) == (1 + 0.75 - 1, 3)


def test_pairs_of_one_group_are_not_counted_as_independent():
    apart = row([pair(float(at % 4 > 0), name=f"t{at}") for at in range(400)]).agreement
    together = row([pair(float(at // 20 % 4 > 0), name=f"t{at // 20}") for at in range(400)]).agreement
    assert apart.value == together.value == 0.75
    assert together.high - together.low > 3 * (apart.high - apart.low)
    means = bootstrap_mean([float(at % 4 > 0) for at in range(20)])
    assert (together.low, together.high) == pytest.approx((means.low, means.high), abs=0.051)


def test_where_all_groups_say_the_same_the_interval_has_a_width():
    found = row([pair(1.0, name=f"t{at // 2}", length=(2, 1)) for at in range(20)] + [pair(0.0, 0.0, "u", length=(1, 2))])
    assert (found.agreement.low, found.agreement.high) == pytest.approx(wilson_interval(11, 11))
    assert found.position.low == -found.position.high != 0


def test_what_cannot_be_told_is_none():
    empty = row([])
    assert empty.agreement is empty.position is empty.cyclic is None and empty.biases == {} and empty.flags() == ()
    one_sided = row([pair(1.0, 1.0, f"t{at}", length=(2, 1)) for at in range(9)])
    assert one_sided.biases == {}  # the longer is always better: quality or length, nobody knows


@given(st.permutations("abc"))
def test_circles_are_counted(names):
    a, b, c = names
    circle = [compared(a, b, 1.0), compared(b, c, 1.0), compared(a, c, 0.0)]
    line = [compared(a, b, 1.0), compared(b, c, 1.0), compared(c, a, 0.0)]
    assert cyclic_triples([circle]) == 1 and cyclic_triples([line]) == 0 and cyclic_triples([circle, line, line]) == 1 / 3
    assert cyclic_triples([[*circle[:2], compared(a, c, 0.5)]]) is None


def test_a_row_is_flat_and_json():
    written = row(known(Biases())[:60]).to_row()
    assert json.loads(json.dumps(written)) == written
    assert {"critic", "policy_version", "agreement", "agreement_low", "bias_length_high", "position", "cyclic"} <= set(written)
    assert row([]).to_row()["agreement_pairs"] is None
