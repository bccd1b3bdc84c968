"""A batch is the same trajectories in the same order, however many are in flight and whatever ends first."""

import asyncio
from dataclasses import replace

import pytest

from rl.rollout.batch import rollout_batch
from rl.rollout.engine import WeightSyncError
from rl.rollout.scripted_engine import ScriptedEngine
from rl.rollout.unfinished import WaitingSlots
from tests.rl.rollout.episodes import LocalEpisodes, kimi, oracle_engine, repeating_engine, some_tasks
from tests.rl.rollout.test_agent_loop import LIMITS
from trajectories.trajectory import Sampling


class Busy(ScriptedEngine):
    """Answers late, the later the smaller the request's seed; counts what is in flight."""

    def __init__(self, engine):
        super().__init__(engine._respond)
        self.now = self.most = 0

    async def generate(self, prompt_token_ids, sampling, **options):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(sampling.seed % 7 / 1000)
        self.now -= 1
        return await super().generate(prompt_token_ids, sampling, **options)


async def batch(in_flight, k=3, **options):
    tasks = some_tasks()
    engine = Busy(oracle_engine(tasks, kimi()))
    pool = LocalEpisodes()
    trajectories = await rollout_batch(tasks, k, 7, engine, pool, kimi(), Sampling(), LIMITS, in_flight=in_flight, **options)
    assert pool.running == {}
    return trajectories, engine


async def test_parallelism_changes_no_trajectory():
    alone, engine = await batch(1)
    assert engine.most == 1
    for in_flight in (2, 64):
        together, engine = await batch(in_flight)
        assert together == alone
        assert 1 < engine.most <= in_flight
    assert [(item.task_id, item.rollout) for item in alone] == [(task.id, index) for task in some_tasks() for index in range(3)]


async def test_what_concerns_every_episode_comes_out_by_its_name():
    class Unproven(ScriptedEngine):
        async def generate(self, *arguments, **options):
            raise WeightSyncError("weight sync: version 2 is not proven")

    engine = Unproven(oracle_engine(some_tasks(), kimi())._respond)
    with pytest.raises(WeightSyncError, match="version 2 is not proven"):
        await rollout_batch(some_tasks(), 2, 7, engine, LocalEpisodes(), kimi(), Sampling(), LIMITS)


async def test_no_two_turns_share_a_seed():
    trajectories, _ = await batch(8)
    seeds = [segment.sampling.seed for item in trajectories for segment in item.segments if segment.sampling]
    assert len(set(seeds)) == len(seeds)


async def test_progress_counts_every_episode_once():
    seen = []
    trajectories, _ = await batch(8, progress=lambda done, total, item: seen.append((done, total, item.id)))
    assert [(done, total) for done, total, _ in seen] == [(index + 1, 12) for index in range(12)]
    assert sorted(name for *_, name in seen) == sorted(item.id for item in trajectories)


async def test_rollouts_of_a_task_are_named_by_prefix_task_and_index():
    task = some_tasks()[1]
    group = await rollout_batch(
        [task], 3, 7, oracle_engine([task], kimi()), LocalEpisodes(), kimi(), Sampling(), LIMITS, prefix="step-1/"
    )
    assert [item.id for item in group] == [f"step-1/{task.id}/{index}" for index in range(3)]


async def test_a_task_that_comes_twice_is_refused():
    with pytest.raises(ValueError, match="comes twice"):
        await rollout_batch(some_tasks()[:1] * 2, 1, 7, oracle_engine([], kimi()), LocalEpisodes(), kimi(), Sampling(), LIMITS)


async def test_a_batch_in_pieces_is_the_batch_at_once():
    whole, _ = await batch(64)
    tasks, pool, waiting, played, rounds = some_tasks(), LocalEpisodes(), WaitingSlots(5), [], 0
    limits = replace(LIMITS, iteration_tokens=12)
    seen = []
    while not played or any(item.outcome is None for item in played):
        seen.clear()
        earlier = played
        played = await rollout_batch(
            tasks, 3, 7, repeating_engine(*whole), pool, kimi(), Sampling(), limits, earlier=played[::-1], waiting=waiting,
            progress=lambda done, total, item: seen.append((done, total, item.id)),
        )  # fmt: skip
        rounds += 1
        ended = [item.id for item in earlier if item.outcome is not None]
        assert [(done, total) for done, total, _ in seen] == [(len(ended) + 1 + index, 12) for index in range(len(seen))]
        assert sorted(ended + [name for *_, name in seen]) == sorted(item.id for item in played if item.outcome is not None)
    assert rounds > 3 and pool.running == {} and len(waiting) == 0
    assert [(item.id, item.token_ids, item.messages, item.outcome) for item in played] == [
        (item.id, item.token_ids, item.messages, item.outcome) for item in whole
    ]


async def test_what_is_finished_is_not_played_again():
    first, _ = await batch(64)
    again = await rollout_batch(
        some_tasks(), 3, 7, ScriptedEngine(None), LocalEpisodes(), kimi(), Sampling(), LIMITS, earlier=first
    )
    assert again == first


@pytest.mark.parametrize("strangers", [lambda played: played[:1] * 2, lambda played: played[-1:]], ids=["twice", "another task"])
async def test_an_earlier_rollout_that_has_no_place_is_refused(strangers):
    played, engine = await batch(64)
    with pytest.raises(ValueError, match="is not in this batch, or twice"):
        await rollout_batch(
            some_tasks()[:2], 3, 7, engine, LocalEpisodes(), kimi(), Sampling(), LIMITS, earlier=strangers(played)
        )


async def test_batches_that_share_a_semaphore_share_its_room():
    tasks = some_tasks()
    engine, pool, slots = Busy(oracle_engine(tasks, kimi())), LocalEpisodes(), asyncio.Semaphore(3)
    groups = await asyncio.gather(
        *(rollout_batch([task], 3, 7, engine, pool, kimi(), Sampling(), LIMITS, in_flight=slots) for task in tasks)
    )
    assert engine.most == 3
    assert [item for group in groups for item in group] == (await batch(64))[0]
