"""The composed reward is the verdict plus what the settings say, in the order that is stated, and a fault stays a fault."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.composition import CompositeReward, RewardConfig, answers_of, verdict_of
from rewards.lengths import length_rewards
from simulators import worlds
from simulators.tasks import OracleAgent, compose, make_agent, play
from tests.rewards.planted import answer, find, planted_task
from trajectories.outcomes import Ending, Fault, Outcome
from trajectories.rewards import Reward
from trajectories.trajectory import Segment, Trajectory

WORLD = worlds.load("travel")
TASK = compose(WORLD, 0, run_seed=3, split="train", difficulty=1)
BEST = play(TASK, WORLD, OracleAgent(TASK), 0)[2]
WORST = play(TASK, WORLD, make_agent("null", TASK, WORLD), 0)[2]

amounts = st.floats(0, 4, width=16)
names = st.sampled_from(["pass", "criterion/a", "criterion/b", "criterion/absent", "product/both"])
configs = st.builds(
    RewardConfig,
    pass_weight=st.floats(0.125, 4, width=16),
    weights=st.dictionaries(names.filter(lambda name: name not in ("pass", "product/both")), amounts),
    domain_weights=st.dictionaries(st.sampled_from(["tool_use", "maths"]), amounts),
    products=st.just({"both": ("criterion/a", "criterion/b")}),
    gates=st.lists(names, max_size=2).map(lambda found: tuple(found)),
    vetoes=st.dictionaries(names, amounts.map(lambda value: 0.0 - value), max_size=2).map(lambda v: {**v, "product/both": -2.0}),
    malformed_penalty=amounts,
    length_penalty=amounts,
    budget_penalty=amounts,
    length_budget=st.integers(1, 40),
    repetition_penalty=amounts,
    repetition_ngram=st.integers(1, 4),
    length_reward=amounts,
    clip=st.none() | st.tuples(st.floats(-3, 0, width=16), st.floats(0.25, 3, width=16)),
)
verdicts = st.builds(
    lambda a, b, c: Reward(float(a == b == c == 1), components={"a": a, "b": b, "c": c}, grader="planted/1"),
    *[st.sampled_from([0.0, 0.5, 1.0])] * 3,
)
endings: st.SearchStrategy[Ending] = st.sampled_from(["completed", "malformed", "token_limit", "turn_limit"])
members = st.tuples(verdicts | st.just(Reward.invalid("judge: gone")), endings, st.integers(0, 80))


def trajectory(tokens: int, outcome: Outcome | None = None) -> Trajectory:
    policy = Segment("policy", tuple(range(tokens)), (0.0,) * tokens)
    return Trajectory("t", TASK.id, segments=(Segment("context", (1, 2, 3)), policy), outcome=outcome)


def test_by_default_the_reward_is_the_bare_verdict():
    assert CompositeReward().score(TASK, BEST).value == 1.0
    reward = CompositeReward().score(TASK, WORST)
    assert reward.value == 0.0 and reward.components["pass"] == 0.0 and "missed" in (reward.cause or "")
    assert "criterion/state" in reward.components


def test_the_task_names_its_domain_and_the_reward_its_grader():
    score = CompositeReward(find=find).score
    maths, tools = score(planted_task(7), answer("7")), score(TASK, BEST)
    assert maths.value == 1.0 and "criterion/right" in maths.components and maths.grader == "planted/1"
    assert tools.value == 1.0 and (tools.grader or "").startswith("tool_use/")
    with pytest.raises(ValueError, match="no verifier for domain 'alchemy'"):
        score(replace(TASK, domain="alchemy"), BEST)


def test_a_verifier_that_breaks_says_nothing_about_the_policy():
    reward = verdict_of(planted_task(7, deed="raise"), answer("7"), find)
    assert not reward.valid and reward.cause == "verifier: maths: RuntimeError: a mistake of ours"


def test_a_malformed_end_costs_its_penalty_and_nothing_else_does():
    score = CompositeReward(RewardConfig(malformed_penalty=0.25)).score
    assert score(TASK, replace(WORST, ending="malformed")).value == -0.25
    assert score(TASK, WORST).value == 0.0 and score(TASK, BEST).value == 1.0


def test_only_policy_tokens_beyond_the_budget_cost():
    score = CompositeReward(RewardConfig(length_penalty=0.5, length_budget=10)).score
    assert score(TASK, BEST, trajectory(10)).value == 1.0
    reward = score(TASK, BEST, trajectory(15))
    assert reward.value == pytest.approx(0.75) and reward.components["length"] == pytest.approx(-0.25)
    assert reward.components["pass"] == 1.0


def test_a_budget_is_of_the_tasks_domain_and_its_penalty_is_whole():
    config = RewardConfig(budget_penalty=0.5, length_budget=10, length_budgets={"maths": 20})
    score = CompositeReward(config, find).score
    assert score(TASK, BEST, trajectory(11)).value == 0.5 and score(TASK, BEST, trajectory(10)).value == 1.0
    for tokens, value in ((20, 1.0), (21, 0.5), (2000, 0.5)):
        assert score(planted_task(7), answer("7"), trajectory(tokens)).value == value
    cut_off = replace(answer("6"), ending="token_limit")
    assert score(planted_task(7), cut_off, trajectory(3)).components["budget"] == -0.5


@pytest.mark.parametrize("key", ["length_penalty", "budget_penalty", "repetition_penalty", "length_reward"])
def test_tokens_are_counted_or_asked_for_and_never_made_up(key: str):
    score = CompositeReward(RewardConfig(**{key: 1.0})).score
    with pytest.raises(ValueError, match=rf"rewards\.{key} counts tokens"):
        score(TASK, BEST)
    reward = score(TASK, BEST, Trajectory("t", TASK.id))  # nobody tokenised it
    assert reward.value == 1.0 and not {"length", "budget", "repetition", "length_reward"} & set(reward.components)


def test_repetition_costs_its_share():
    loop = Trajectory("t", TASK.id, segments=(Segment("policy", (1, 2) * 50, (0.0,) * 100),))
    reward = CompositeReward(RewardConfig(repetition_penalty=0.5, repetition_ngram=2)).score(TASK, BEST, loop)
    assert reward.components["repetition"] == pytest.approx(-0.5 * (1 - 2 / 99))
    assert reward.value == pytest.approx(1 + reward.components["repetition"])


def test_a_fault_passes_through_without_a_value():
    faulty = replace(BEST, ending="fault", faults=(Fault("engine", "gone"),))
    reward = CompositeReward(RewardConfig(malformed_penalty=1.0)).score(TASK, faulty)
    assert reward.value is None and not reward.valid and reward.cause == "engine: gone"


def compose_one(config: RewardConfig, verdict: Reward, ending: Ending = "completed", tokens: int = 0) -> Reward:
    outcome = Outcome(ending)
    return CompositeReward(config).compose(TASK, outcome, trajectory(tokens, outcome), verdict)


def test_a_closed_gate_takes_what_is_earned_and_leaves_the_penalties():
    partly = Reward(0.0, components={"a": 1.0, "b": 0.0})
    config = RewardConfig(weights={"criterion/a": 0.5}, malformed_penalty=0.25)
    assert compose_one(config, partly).value == 0.5
    closed = compose_one(replace(config, gates=("criterion/b",)), partly, "malformed")
    assert closed.value == -0.25 and closed.components["gate/criterion/b"] == 0.0
    absent = compose_one(replace(config, gates=("criterion/other",)), partly)
    assert absent.value == 0.5 and "gate/criterion/other" not in absent.components


def test_a_veto_is_the_reward_and_the_least_of_several_counts():
    config = RewardConfig(vetoes={"criterion/a": 0.0, "criterion/b": -1.0, "criterion/absent": -5.0}, malformed_penalty=3.0)
    assert compose_one(config, Reward(1.0, components={"a": 1.0, "b": 1.0})).value == 1.0
    assert compose_one(config, Reward(0.0, components={"a": 0.0, "b": 1.0}), "malformed").value == 0.0
    both = compose_one(config, Reward(0.0, components={"a": 0.0, "b": 0.5}))
    assert both.value == -1.0 and both.components["veto/criterion/b"] == 0.0 and "veto/criterion/absent" not in both.components


def test_a_product_counts_as_a_component_and_lacks_nothing():
    config = RewardConfig(weights={"product/both": 2.0}, products={"both": ("criterion/a", "criterion/b")})
    reward = compose_one(config, Reward(0.0, components={"a": 0.5, "b": 0.5}))
    assert reward.value == 0.5 and reward.components["product/both"] == 0.25
    assert compose_one(config, Reward(0.0, components={"a": 1.0})).value == 0.0


@given(configs, members)
def test_what_is_done_and_in_which_order(config: RewardConfig, member: tuple[Reward, Ending, int]):
    verdict, ending, tokens = member
    reward = compose_one(config, verdict, ending, tokens)
    if not verdict.valid:
        assert reward == verdict
        return
    assert verdict.value is not None and reward.value is not None
    said = {"pass": verdict.value} | {f"criterion/{name}": value for name, value in verdict.components.items()}
    said["product/both"] = verdict.components["a"] * verdict.components["b"]
    value = config.pass_weight * verdict.value + sum(w * said.get(name, 0.0) for name, w in config.weights.items())
    value *= config.domain_weights.get("tool_use", 1.0)
    if any(said.get(name, 1.0) != 1.0 for name in config.gates):
        value = 0.0
    value -= config.malformed_penalty * (ending == "malformed")
    value -= config.length_penalty * max(0, tokens - config.length_budget) / config.length_budget
    value -= config.budget_penalty * (tokens > config.length_budget or ending == "token_limit")
    if broken := [veto for name, veto in config.vetoes.items() if said.get(name, 1.0) != 1.0]:
        value = min(broken)
    if config.clip is not None:
        value = max(config.clip[0], min(config.clip[1], value))
    assert reward.value == pytest.approx(value, abs=1e-9)
    assert said.items() <= reward.components.items() and reward.grader == verdict.grader


@given(configs, st.lists(members, min_size=1, max_size=6))
def test_a_group_is_its_members_and_the_length_reward_of_those_that_are_valid(
    config: RewardConfig, group: list[tuple[Reward, Ending, int]]
):
    config = replace(config, gates=(), vetoes={"product/both": -2.0}, clip=None)
    episodes = [trajectory(tokens, Outcome(ending)) for _, ending, tokens in group]
    found = CompositeReward(config).compose_groups([TASK], episodes, [verdict for verdict, _, _ in group])
    lengths = [tokens if verdict.valid else None for verdict, _, tokens in group]
    shares = length_rewards(lengths, [verdict.value == 1.0 for verdict, _, _ in group])
    for member, reward, share in zip(group, found, shares, strict=True):
        alone = compose_one(config, *member)
        if not alone.valid or share is None or config.length_reward == 0:
            assert reward == alone
            continue
        assert alone.value is not None
        vetoed = alone.components["veto/product/both"] == 0.0
        assert reward.value == pytest.approx(alone.value + (0.0 if vetoed else config.length_reward * share))
        assert reward.components == alone.components | {"length_reward": config.length_reward * share}


@given(configs, members, st.floats(0.125, 8, width=16))
def test_weights_are_linear(config: RewardConfig, member: tuple[Reward, Ending, int], factor: float):
    config = replace(config, clip=None, vetoes={"product/both": 0.0})
    scaled = {key: factor * getattr(config, key) for key in ("pass_weight", "malformed_penalty", "length_penalty")}
    scaled |= {key: factor * getattr(config, key) for key in ("budget_penalty", "repetition_penalty")}
    weights = {name: factor * weight for name, weight in config.weights.items()}
    one, other = compose_one(config, *member), compose_one(replace(config, **scaled, weights=weights), *member)
    assert other.valid == one.valid
    if one.value is not None:
        assert other.value == pytest.approx(factor * one.value, abs=1e-9)


def test_the_length_reward_waits_for_the_warm_up_and_groups_do_not_mix():
    tasks = [planted_task(1), planted_task(2)]
    texts, tokens = ["1", "1", "2", "0"], [10, 30, 500, 900]
    episodes = [trajectory(count, answer(text)) for text, count in zip(texts, tokens, strict=True)]
    score = CompositeReward(RewardConfig(length_reward=1.0, length_warmup_steps=5), find).score_groups
    assert [reward.value for reward in score(tasks, episodes, step=5)] == [1.0, 1.0, 1.0, 0.0]
    assert [reward.value for reward in score(tasks, episodes, step=6)] == [1.5, 0.5, 1.5, -0.5]
    assert score(tasks, episodes) == score(tasks, episodes, step=6)


def test_a_member_that_is_no_verdict_changes_nothing_for_the_others():
    faulty = replace(answer("1"), ending="fault", faults=(Fault("engine", "gone"),))
    planted = planted_task(1, deed="raise")
    verdicts = [Reward(1.0), Reward.invalid("verifier: gone"), Reward(1.0)]
    episodes = [trajectory(10, answer("1")), trajectory(10_000, faulty), trajectory(20, answer("1"))]
    found = CompositeReward(RewardConfig(length_reward=1.0)).compose_groups([planted], episodes, verdicts)
    assert [reward.value for reward in found] == [1.5, None, 0.5] and found[1] is verdicts[1]


def test_groups_that_do_not_come_out_even_are_refused():
    assert answers_of([], []) == []
    with pytest.raises(ValueError, match="3 trajectories are not as many for each of 2 tasks"):
        answers_of([TASK, TASK], [trajectory(1, BEST)] * 3)
    with pytest.raises(ValueError, match="1 trajectories are not as many for each of 0 tasks"):
        answers_of([], [trajectory(1, BEST)])
    with pytest.raises(ValueError, match="has no outcome"):
        answers_of([TASK], [trajectory(1)])
