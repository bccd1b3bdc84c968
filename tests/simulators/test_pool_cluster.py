"""Several nodes: actors are spread over them, and a node that is lost takes no episode along."""

import asyncio
import os
import signal
from collections import Counter

import pytest
import ray
from ray.cluster_utils import Cluster

from simulators.pool import EnvironmentPool, PoolConfig
from simulators.tasks import compose, make_agent, play
from simulators.worlds import load, names

TASKS = [compose(load(world), index, run_seed=5, split="train", difficulty=2) for world in names() for index in range(3)]


@pytest.fixture
def cluster():
    """A head that only the driver uses, and two nodes for actors."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=2) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    yield cluster, nodes
    ray.shutdown()
    cluster.shutdown()


async def episode(pool, slot, task, after_turn):
    agent, observation = make_agent("oracle", task, load(task.world)), await pool.reset(slot, task, 3)
    messages, over = list(observation.messages), False
    while not over:
        message = agent.act(messages)
        result = await pool.step(slot, message)
        messages += [message, *result.messages]
        over = result.terminated or result.truncated
        after_turn()
    return tuple(messages), observation.tools, await pool.outcome(slot)


@pytest.mark.slow
async def test_actors_spread_over_the_nodes_and_the_death_of_a_node_loses_no_episode(cluster):
    cluster, (first, second) = cluster
    turns = 0

    def lose_the_node_at_last():
        nonlocal turns
        turns += 1
        if turns == 2 * len(TASKS):
            cluster.remove_node(second, allow_graceful=False)
            for node, pid in homes:  # of themselves they take a second or so to notice that they are homeless
                if node == second.node_id:
                    os.kill(pid, signal.SIGKILL)

    with EnvironmentPool(PoolConfig(actors=4)) as pool:
        homes = await pool.map(_home, range(4))
        assert Counter(node for node, _ in homes) == {first.node_id: 2, second.node_id: 2}
        played = await asyncio.gather(*(episode(pool, f"slot {n}", task, lose_the_node_at_last) for n, task in enumerate(TASKS)))
        assert played == [play(task, load(task.world), make_agent("oracle", task, load(task.world)), 3) for task in TASKS]
        assert pool.deaths >= 2
        assert {node for node, _ in await pool.map(_home, range(4))} == {first.node_id}


def _home(_):
    return ray.get_runtime_context().get_node_id(), os.getpid()
