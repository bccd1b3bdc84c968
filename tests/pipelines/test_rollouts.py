"""Playing and judging with a scripted engine: order, verdicts, names, and the meter."""

import asyncio
from dataclasses import replace

import pytest

from pipelines.rollouts import Rollouts, RolloutSettings
from rewards.composition import CompositeReward, RewardConfig
from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.engine_config import EngineConfig
from tests.rl.rollout.episodes import LocalEpisodes, kimi, oracle_engine, repeating_engine, some_tasks, text_engine
from trajectories.messages import Message

SETTINGS = RolloutSettings(limits=RolloutLimits(max_turns=8, max_turn_tokens=400, max_tokens=1024), in_flight=3)


def rollouts(engine=None):
    return Rollouts(SETTINGS, engine or oracle_engine(some_tasks(), kimi()), LocalEpisodes(), kimi())  # type: ignore[arg-type]


async def test_episodes_come_back_by_task_and_each_is_judged_on_its_own_task():
    table = rollouts()
    played = await table.play(some_tasks(), 3, 7, CompositeReward(), prefix="1/")
    assert [each.task_id for each in played] == [task.id for task in some_tasks() for _ in range(3)]
    assert [each.rollout for each in played] == [0, 1, 2] * len(some_tasks())
    assert all(each.reward is not None and each.reward.value == 1.0 for each in played)
    assert len({each.id for each in played}) == len(played)
    assert not table.pool.running, "every environment is given back"


async def test_the_meter_counts_policy_tokens_and_starts_anew_when_told():
    table = rollouts()
    assert table.tokens_per_second == 0.0
    played = await table.play(some_tasks(), 2, 7, CompositeReward())
    assert table.sampled_tokens == sum(each.num_policy_tokens for each in played) > 0
    assert table.tokens_per_second == pytest.approx(table.sampled_tokens / table.seconds)
    await table.play(some_tasks(), 1, 8, CompositeReward())
    assert table.sampled_tokens == pytest.approx(1.5 * sum(each.num_policy_tokens for each in played))
    table.reset_meter()
    assert (table.sampled_tokens, table.tokens_per_second) == (0, 0.0)


async def test_the_length_penalty_sees_the_tokens():
    price = RewardConfig(length_penalty=1.0, length_budget=1)
    for each in await rollouts().play(some_tasks(), 1, 7, CompositeReward(price)):
        assert each.reward is not None and each.reward.value == 1.0 - (each.num_policy_tokens - 1)


async def test_a_policy_that_says_nothing_useful_fails_and_is_no_fault():
    table = rollouts(text_engine(kimi(), Message("assistant", "Cancel order 123.")))
    for each in await table.play(some_tasks(), 1, 7, CompositeReward()):
        assert each.reward is not None and each.reward.valid and each.reward.value == 0.0


async def test_groups_that_are_played_side_by_side_are_those_of_one_call():
    at_once = await rollouts().play(some_tasks(), 3, 7, CompositeReward())
    table = rollouts()
    groups = await asyncio.gather(*(table.play([task], 3, 7, CompositeReward()) for task in some_tasks()))
    assert [each for group in groups for each in group] == at_once
    assert table.sampled_tokens == sum(each.num_policy_tokens for each in at_once)
    assert table.seconds > 0 and table._playing == 0


async def test_a_group_is_judged_when_it_is_whole_and_the_meter_counts_each_token_once():
    at_once = await rollouts().play(some_tasks(), 2, 7, CompositeReward(RewardConfig(length_reward=0.5)))
    table, played, judged = rollouts(repeating_engine(*at_once)), [], []
    limits = replace(SETTINGS.limits, iteration_tokens=15)
    while not played or any(each.outcome is None for each in played):
        reward = CompositeReward(RewardConfig(length_reward=0.5))
        played = await table.play(some_tasks(), 2, 7, reward, limits=limits, earlier=played)
        groups = [played[start : start + 2] for start in range(0, len(played), 2)]
        for group in groups:
            whole = all(each.outcome is not None for each in group)
            assert all((each.reward is not None) == whole for each in group)
        judged.append(sum(each.reward is not None for each in played))
        assert table.sampled_tokens == sum(each.num_policy_tokens for each in played)
        assert len(table.pool.running) <= sum(each.outcome is None for each in played)
    assert judged[0] == 0 and judged == sorted(judged)
    assert [replace(each, segments=()) for each in played] == [replace(each, segments=()) for each in at_once]
    assert table.pool.running == {}


async def test_no_environment_waits_where_none_may():
    table = rollouts()
    table = Rollouts(replace(SETTINGS, waiting_environments=0), table.engine, table.pool, table.dialect)
    played = await table.play(some_tasks(), 2, 7, CompositeReward(), limits=replace(SETTINGS.limits, iteration_tokens=3))
    assert all(each.outcome is None for each in played) and table.pool.running == {}


def test_unfinished_episodes_are_for_whoever_goes_on_with_them():
    with pytest.raises(ValueError, match="limits.iteration_tokens: whoever plays must go on with unfinished episodes"):
        RolloutSettings(limits=RolloutLimits(iteration_tokens=64))
    with pytest.raises(ValueError, match="waiting_environments: must be at least 0"):
        RolloutSettings(waiting_environments=-1)


def test_limits_that_the_engine_cannot_hold_are_refused_by_their_key():
    with pytest.raises(ValueError, match="limits.max_tokens: 1024 tokens do not fit engine.max_model_len=512"):
        RolloutSettings(engine=EngineConfig(model="", max_model_len=512))
    with pytest.raises(ValueError, match="in_flight: must be at least 1"):
        RolloutSettings(in_flight=0)
