"""Troubles through Ray: the same outcomes with one actor, with two, and after an actor was killed half way."""

import os
import signal

import pytest
import ray

from simulators.pool import EnvironmentPool, PoolConfig
from simulators.stochastic import ToolTroubles
from simulators.tasks import compose, make_agent, play
from simulators.worlds import load, names

TURNS = 60
TROUBLES = ToolTroubles.uniform(
    timeout=0.2, timeout_after_commit=0.2, transient=0.1, malformed=0.1, stale=0.1, permanent=0.3
)
TASKS = [
    compose(load(world), index, run_seed=8, split="train", difficulty=2) for world in names() for index in range(3)
]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def expected(task, seed):
    agent = make_agent("patient", task, load(task.world))
    return play(task, load(task.world), agent, seed, max_turns=TURNS, troubles=TROUBLES)


@pytest.mark.parametrize("actors", [1, 2])
async def test_outcomes_are_those_in_process_whatever_the_number_of_actors(actors: int):
    with EnvironmentPool(PoolConfig(actors=actors, max_turns=TURNS, troubles=TROUBLES)) as pool:
        played = await pool.play_many([(task, seed, {"kind": "patient"}) for seed, task in enumerate(TASKS)])
    assert played == [expected(task, seed) for seed, task in enumerate(TASKS)]


async def test_an_actor_killed_half_way_changes_no_trouble():
    with EnvironmentPool(PoolConfig(actors=1, max_turns=TURNS, troubles=TROUBLES)) as pool:
        for seed, task in enumerate(TASKS[:4]):
            dialogue, _, outcome = expected(task, seed)
            turns = [message for message in dialogue if message.role == "assistant"]
            await pool.reset("slot", task, seed)
            for number, message in enumerate(turns):
                if number == len(turns) // 2:
                    os.kill(pool.pids()[0], signal.SIGKILL)
                await pool.step("slot", message)
            assert await pool.outcome("slot") == outcome
        assert pool.deaths == 4
