"""Unfinished episodes in a real pool of environments: its actors die while the episodes wait, and the episodes go on."""

import os
import signal
from dataclasses import replace

import pytest

from rl.rollout.agent_loop import RolloutLimits
from rl.rollout.batch import rollout_batch
from rl.rollout.unfinished import WaitingSlots
from simulators.pool import EnvironmentPool, PoolConfig
from tests.rl.rollout.episodes import LocalEpisodes, kimi, oracle_engine, repeating_engine, some_tasks
from trajectories.trajectory import Sampling

LIMITS = RolloutLimits(max_turns=8, max_turn_tokens=200, max_tokens=2000)
IN_PARTS = replace(LIMITS, iteration_tokens=14)


def play(engine, pool, limits, **options):
    return rollout_batch(some_tasks(), 2, 7, engine, pool, kimi(), Sampling(), limits, **options)


@pytest.mark.usefixtures("ray_cluster")
async def test_episodes_that_wait_in_actors_that_die_or_are_gone_go_on_as_if_nothing_had_happened():
    whole = await play(oracle_engine(some_tasks(), kimi()), LocalEpisodes(), LIMITS)
    engine, waiting, rounds = repeating_engine(*whole), WaitingSlots(6), 0
    pool = EnvironmentPool(PoolConfig(actors=2))
    deaths, played = 0, []
    try:
        while not played or any(item.outcome is None for item in played):
            played = await play(engine, pool, IN_PARTS, earlier=played, waiting=waiting)
            rounds += 1
            if rounds == 1:
                assert len(waiting) == 6 and all(item.outcome is None for item in played)
            if rounds == 2:  # killed while they wait: the pool plays its journal again
                for pid in pool.pids():
                    os.kill(pid, signal.SIGKILL)
            if rounds == 3:  # the whole pool is gone, and with it every slot: replay
                assert (deaths := pool.deaths) > 0
                pool.close()
                pool = EnvironmentPool(PoolConfig(actors=1))
    finally:
        pool.close()
    assert deaths and rounds > 3 and len(waiting) == 0
    assert [replace(item, segments=()) for item in played] == [replace(item, segments=()) for item in whole]
    assert [item.token_ids for item in played] == [item.token_ids for item in whole]
