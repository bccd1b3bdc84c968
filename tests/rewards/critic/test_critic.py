"""Groups are ranked by what is better, whatever pleases the comparer, whoever comes first and whatever fails."""

import asyncio
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.structured import build, plain
from rewards.critic import (
    Biases,
    Critic,
    CriticConfig,
    CriticRewardConfig,
    Features,
    Invalid,
    PairVerdict,
    Ranking,
    ScriptedComparer,
    combined_rewards,
    ranking_of,
)
from rewards.critic.comparison import Comparison, CriterionVerdict, decision
from tests.rewards.critic.cases import CONTEXT, CRITERIA, PLAIN, TASK, FailingComparer, ranked, response, responses
from trajectories.rewards import Reward

QUALITIES = {f"r{at}": Features(quality=at / 3) for at in range(6)}


def test_an_honest_comparer_ranks_by_quality():
    ranking = ranked(QUALITIES)
    assert ranking.order == tuple(sorted(QUALITIES, reverse=True)) and not ranking.faults
    assert len(ranking.comparisons) == 15 and all(item.is_consistent for item in ranking.comparisons)


PLANTED = {
    "praise": ({"praise": 1.0}, "no_opening_praise"),
    "self-justification": ({"praise": 0.7}, "no_self_justification"),
    "padding": ({"length": 1600}, "no_padding"),
    "confident invention": ({"confidence": 1.0}, "no_invention"),
}
BIASED = [
    Biases(),
    Biases(flattery=4.0),
    Biases(length=2.0),
    Biases(confidence=4.0),
    Biases(position=3.0),
    Biases(position=-1.0, length=1.0, flattery=2.0, confidence=2.0),
]


def place(ranking: Ranking, name: str) -> int:
    return ranking.order.index(name)


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("biases", BIASED)
@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_to_please_never_raises_a_rank_once_vetoes_apply(what, biases, noise):
    """Whoever it is planted in, however much the comparer likes it, and also where others have it too."""
    changes, veto = PLANTED[what]
    for others in ((), ("r1", "r5")):
        group = {
            name: replace(item, **changes, breaks=frozenset([veto])) if name in others else item
            for name, item in QUALITIES.items()
        }
        before = ranked(group, biases=biases, noise=noise)
        for name in ("r0", "r3"):
            planted = replace(group[name], **changes, breaks=frozenset([veto]))
            after = ranked(group | {name: planted}, biases=biases, noise=noise)
            assert place(after, name) >= place(before, name)
            if not others:
                assert after.order[-1] == name


def test_without_vetoes_the_same_biases_do_raise_it():
    criteria = [item for item in CRITERIA if not item.veto]
    for what, biases in [("praise", BIASED[1]), ("padding", BIASED[2]), ("confident invention", BIASED[3])]:
        group = QUALITIES | {"r0": replace(QUALITIES["r0"], **PLANTED[what][0])}
        assert ranked(group, criteria, biases=biases).order[0] == "r0"
        assert ranked(group, criteria).order[-1] == "r0"


def test_a_liking_for_a_place_decides_nothing():
    ranking = ranked({name: Features() for name in "abcd"}, biases=Biases(position=5.0))
    assert {item.result for item in ranking.comparisons} == {0.5} and not any(item.is_consistent for item in ranking.comparisons)
    assert {item.first_place for item in ranking.comparisons} == {1.0}
    assert all(score.value == 0 for score in ranking.scores)


@pytest.mark.parametrize(
    ("clear", "short", "praise", "overall", "by_overall", "by_weights"),
    [
        ("A", "A", "neither_breaks_it", "A", "A", "A"),
        ("A", "B", "neither_breaks_it", "B", "B", "A"),  # weights 2 and 1
        ("tie", "B", "neither_breaks_it", "tie", "tie", "B"),
        ("tie", "tie", "neither_breaks_it", "A", "A", "tie"),
        ("A", "A", "A_breaks_it", "A", "B", "B"),
        ("B", "B", "B_breaks_it", "B", "A", "A"),
        ("B", "B", "both_break_it", "B", "B", "B"),  # nobody is better for it: the rest decides
    ],
)
def test_a_veto_decides_before_anything_else(clear, short, praise, overall, by_overall, by_weights):
    said = zip(("clear", "short", "no_praise"), (clear, short, praise), strict=True)
    verdict = PairVerdict(overall, tuple(CriterionVerdict(name, word) for name, word in said))
    assert decision(verdict, PLAIN) == by_overall and decision(verdict, PLAIN, "weights") == by_weights


@given(st.permutations(sorted(QUALITIES)), st.sampled_from([None, 2]), st.integers(0, 2**40))
@settings(max_examples=12)
def test_a_permutation_of_the_responses_permutes_the_scores(names, opponents, seed):
    critic = Critic(ScriptedComparer(QUALITIES, noise=1.0), CriticConfig(opponents=opponents, seed=seed))

    def scores(order) -> dict:
        ranking = asyncio.run(critic.rank(CONTEXT, [response(name) for name in order], CRITERIA, key="t"))
        assert ranking.ids == tuple(order)
        return dict(zip(ranking.ids, ranking.scores, strict=True))

    assert scores(names) == scores(sorted(QUALITIES))


def test_tasks_and_seeds_have_draws_of_their_own_and_the_same_ones_again():
    def results(key: str, seed: int) -> list:
        return [item.orders for item in ranked(QUALITIES, noise=3.0, key=key, seed=seed).comparisons]

    assert results("t", 0) == results("t", 0)
    assert results("t", 0) != results("u", 0) and results("t", 0) != results("t", 1)


@pytest.mark.parametrize("opponents", [None, 4])
def test_when_a_tenth_fails_what_is_valid_gives_bitwise_what_it_gives_alone(opponents):
    rng, failures, partial = random.Random(3), 0, 0
    for group in range(15):
        features = {f"r{at}": Features(quality=rng.gauss(0, 1)) for at in range(8)}
        config, comparer = CriticConfig(opponents=opponents, seed=group), ScriptedComparer(features, noise=1.0)

        def rank(by, config=config, features=features) -> Ranking:
            return asyncio.run(Critic(by, config).rank(CONTEXT, responses(features), CRITERIA, key="t"))

        whole, hurt = rank(comparer), rank(FailingComparer(comparer, 0.1))
        valid = [item for item in hurt.comparisons if item.invalid is None]
        same = {(item.first, item.second): item for item in whole.comparisons}
        assert all(same[item.first, item.second] == item for item in valid)  # a failure changes no other comparison
        alone = ranking_of(hurt.ids, valid, hurt.critic)
        assert alone.scores == hurt.scores and all(fault == Invalid("overloaded", "HTTP 429") for fault in hurt.faults)
        failures += len(hurt.faults)
        partial += hurt.scores != whole.scores
    assert failures / (15 * len(whole.comparisons)) == pytest.approx(0.19, abs=0.08)  # of two requests, one or both
    assert partial > 10


def test_when_everything_fails_there_are_no_scores_and_no_rewards():
    critic = Critic(FailingComparer(ScriptedComparer(QUALITIES), 1.0))
    ranking = asyncio.run(critic.rank(CONTEXT, responses(QUALITIES), CRITERIA, key="t"))
    assert ranking.scores == (None,) * 6 and len(ranking.faults) == 15 and ranking.order == ()
    assert set(ranking.causes) == {"no valid comparison: 5 x overloaded"}
    rewards = combined_rewards(ranking, [Reward(1.0)] * 6, "maths")
    assert rewards == [Reward.invalid("critic: no valid comparison: 5 x overloaded")] * 6


class BrokenComparer:
    identity = "broken"

    async def compare(self, context, a, b, criteria, seed):
        if "r3" in (a.id, b.id):
            raise RuntimeError("a bug")
        verdicts = tuple(CriterionVerdict(item.id, "neither_breaks_it" if item.veto else "tie") for item in criteria)
        return PairVerdict("tie", verdicts if "r4" not in (a.id, b.id) else verdicts[:1])


def test_a_comparer_that_breaks_makes_no_verdict():
    ranking = asyncio.run(Critic(BrokenComparer()).rank(CONTEXT, responses(QUALITIES), CRITERIA, key="t"))
    assert {fault.cause for fault in ranking.faults} == {"broken"}
    assert ranking.faults[0].message and Invalid("broken", "RuntimeError: a bug") in ranking.faults
    assert [score is None for score in ranking.scores] == [name in ("r3", "r4") for name in ranking.ids]


def test_of_what_nothing_is_declared_there_is_no_scripted_verdict():
    critic = Critic(ScriptedComparer({"a": Features()}))
    ranking = asyncio.run(critic.rank(CONTEXT, [response("a"), response("b")], CRITERIA, key="t"))
    assert ranking.faults == (Invalid("unscripted", "nothing is declared of the response 'b'"),)


def test_ids_that_stand_twice_and_a_task_without_criteria_are_refused():
    critic = Critic(ScriptedComparer(QUALITIES))
    with pytest.raises(ValueError, match="no criteria apply to 't'"):
        asyncio.run(critic.rank(CONTEXT, responses(QUALITIES), [], key="t"))
    with pytest.raises(ValueError, match="ids must differ"):
        asyncio.run(critic.rank(CONTEXT, [response("r1"), response("r1")], CRITERIA, key="t"))


def test_who_compared_by_what_travels_with_the_ranking():
    assert ranked(QUALITIES).critic == ranked(QUALITIES).critic
    others = {
        ranked(QUALITIES).critic,
        ranked(QUALITIES, biases=Biases(length=1.0)).critic,
        ranked(QUALITIES, PLAIN).critic,
        ranked(QUALITIES, [replace(CRITERIA[0], version=2), *CRITERIA[1:]]).critic,
    }
    assert len(others) == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [("opponents", 3), ("opponents", 0), ("decide", "reasons"), ("prior_sd", 0.0), ("prior_sd", float("inf"))],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_key(key, value):
    with pytest.raises(ValueError, match=rf"^{key}: "):
        CriticConfig(**{key: value})


def test_the_settings_are_configs_that_hydra_can_hold():
    for config in (CriticConfig(opponents=4), CriticRewardConfig(combinations={"maths": "gate"}, weights={"maths": 0.5})):
        assert build(type(config), plain(config)) == config


PASS, FAIL, BROKEN = Reward(1.0, grader="maths/1", components={"completed": 1.0}), Reward(0.0), Reward.invalid("engine: gone")
RANKING = ranking_of(
    list("abcd"),
    [Comparison("a", "b", ("A", "B")), Comparison("b", "c", ("A", "B")), Comparison("a", "c", ("A", "B"))],
    "x",
)
"""a, b, c in this order; nothing is known of d."""


def shares(how: str, verdicts: list[Reward | None], **settings) -> list[float | None]:
    config = CriticRewardConfig(combination=how, weight=0.25, **settings)  # type: ignore[arg-type]
    return [reward.value for reward in combined_rewards(RANKING, verdicts, "maths", config)]


def test_the_critic_adds_to_the_verdict_as_the_combination_says():
    full = shares("sum", [PASS, PASS, PASS, PASS])
    high = full[0] - 1
    assert full == [1 + high, pytest.approx(1), pytest.approx(1 - high), None] and 0 < high < 0.25
    assert shares("sum", [FAIL, FAIL, PASS, FAIL]) == [high, pytest.approx(0), pytest.approx(1 - high), None]
    assert shares("gate", [PASS, FAIL, FAIL, FAIL]) == [1 + high, 0, 0, 0]  # where it counts for nothing, nobody misses it
    half = Reward(0.5, components={"pass": 1.0})
    assert shares("gate", [half, FAIL, FAIL, FAIL])[0] == 0.5 + high
    assert shares("product", [half, FAIL, Reward(-0.2), FAIL]) == [0.5 + 0.5 * high, 0, -0.2, 0]
    assert shares("sum", [None, None, None, None]) == [high, pytest.approx(0), pytest.approx(-high), None]


def test_a_fault_stays_a_fault_and_the_others_are_centred_without_it():
    rewards = combined_rewards(RANKING, [BROKEN, PASS, PASS, PASS], "maths")
    assert rewards[0] is BROKEN
    assert rewards[1].value - 1 == pytest.approx(1 - rewards[2].value) and rewards[1].value > 1
    assert rewards[3].cause == "critic: no comparison: there is no other response" and not rewards[3].valid
    lone = combined_rewards(RANKING, [PASS, BROKEN, BROKEN, BROKEN], "maths")[0]
    assert lone.cause == "critic: no other response has a score and a verdict"


def test_a_reward_says_what_the_critic_added_and_who_it_was():
    reward = combined_rewards(RANKING, [PASS] * 4, "maths")[0]
    assert reward.components["completed"] == 1 and reward.components["critic"] == reward.value - 1
    assert reward.components["critic/score"] == RANKING.scores[0].value and reward.grader == "maths/1+critic/x"
    assert combined_rewards(RANKING, [None] * 4, TASK.domain)[0].grader == "critic/x"


@given(st.lists(st.sampled_from([PASS, FAIL]), min_size=4, max_size=4), st.floats(0.01, 0.49))
def test_no_fail_is_worth_more_than_a_pass(verdicts, weight):
    for how in ("sum", "gate", "product"):
        config = CriticRewardConfig(combination=how, weight=weight)
        rewards = [
            (r.value, v.value) for r, v in zip(combined_rewards(RANKING, verdicts, "maths", config), verdicts, strict=True)
        ]
        passes, fails = ([value for value, said in rewards if said == mark and value is not None] for mark in (1.0, 0.0))
        assert min(passes, default=2) > max(fails, default=-2)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"weight": 0.0}, "weight: "), ({"weights": {"maths": float("nan")}}, "weights.maths: "),
        ({"weights": {"sums": 1.0}}, "weights.sums: no such domain"), ({"combination": "max"}, "combination: "),
        ({"combinations": {"maths": "max"}}, "combinations.maths: "),
        ({"combinations": {"maths": "product"}, "weights": {"maths": 1.5}}, "weights.maths: is at most 1"),
    ],
)  # fmt: skip
def test_a_weight_that_makes_no_sense_is_refused_by_its_key(changed, key):
    with pytest.raises(ValueError, match=f"^{key}"):
        CriticRewardConfig(**changed)
    with pytest.raises(ValueError, match="3 verdicts of 4 responses"):
        combined_rewards(RANKING, [PASS] * 3, "maths")
