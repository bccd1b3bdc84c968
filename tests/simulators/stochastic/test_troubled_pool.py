"""Troubles through Ray: struck as often as they are set, and the same whatever becomes of the actors."""

import asyncio
from collections import Counter
from dataclasses import fields

import pytest
import ray

from simulators.environment import Environment
from simulators.pool import EnvironmentPool, PoolConfig
from simulators.stochastic import ToolTroubles, telling_calls
from simulators.tasks import compose, make_agent, play
from simulators.worlds import load, names
from tests.simulators.stochastic.test_draws import believable
from tests.simulators.worlds.random_calls import make_call
from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolCall
from trajectories.seeds import derive_rng

TURNS = 60
TROUBLES = ToolTroubles.uniform(
    timeout=0.15, timeout_after_commit=0.15, rate_limit=0.05, transient=0.1, malformed=0.1, slow=0.1, stale=0.1,
    partial=0.1, permanent=0.3,
)  # fmt: skip
TASKS = [compose(load(world), index, run_seed=8, split="train", difficulty=2) for world in names() for index in range(3)]
EPISODES = 1500
KINDS = [item.name for item in fields(ToolTroubles) if item.name in ("read", "search", "create", "update", "delete")]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def expected(task, seed):
    agent = make_agent("patient", task, load(task.world))
    return play(task, load(task.world), agent, seed, max_turns=TURNS, troubles=TROUBLES)


EXPECTED = [expected(task, seed) for seed, task in enumerate(TASKS)]


def strikeable(kind):
    """A task and a call to a tool of this kind that any of its troubles can strike: one that succeeds, that the gold does
    without (reads aside: each world's read is in every gold), and, if it is a change, that some other call tells of."""
    for task in (
        compose(load(world), index, run_seed=8, split="train", difficulty=1) for index in range(20) for world in names()
    ):
        world, gold = load(task.world), {call.tool for call in task.gold.calls}
        state, rng = world.instantiate(task.seed, task.gold.initialise), derive_rng(0, "a call", task.id)
        for _ in range(300):
            tool, arguments = make_call(state, rng.getrandbits(60))
            operation = world.operations.get(tool)
            if operation is None or operation.kind != kind or isinstance(arguments, str):
                continue
            if tool in gold and kind != "read":
                continue
            after = state.fork()
            if not after.call(tool, arguments).isError and (
                not operation.changes_state or next(telling_calls(state, after), None)
            ):
                return task, tool, canonical_json(arguments)
    raise AssertionError(kind)


def struck(item):
    """What befell the first call of so many episodes."""
    task, tool, arguments, seeds = item
    call = Message("assistant", tool_calls=(ToolCall("functions.x:0", tool, arguments),))
    environment, found = Environment(load(task.world), troubles=TROUBLES), Counter()
    for seed in seeds:
        environment.reset(task, seed)
        environment.step(call)
        trouble = environment.outcome().calls[0].trouble
        found[trouble and trouble.kind] += 1
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_every_trouble_of_every_kind_of_tool_strikes_as_often_as_set(kind: str):
    task, tool, arguments = strikeable(kind)
    rates = getattr(TROUBLES, kind)
    with EnvironmentPool(PoolConfig(actors=2)) as pool:
        items = [(task, tool, arguments, range(first, first + 100)) for first in range(0, EPISODES, 100)]
        counts = sum(await pool.map(struck, items), Counter())
    assert sum(counts.values()) == EPISODES
    # A tool that is out of service meets nothing else, and none of the gold ever is.
    down = 0.0 if tool in {call.tool for call in task.gold.calls} else rates.permanent
    wanted = {name: (1 - down) * rate for name, rate in rates.per_call().items()} | ({"permanent": down} if down else {})
    assert set(counts) <= {*wanted, None}
    for name, rate in wanted.items():
        assert believable(counts[name], EPISODES, rate), (kind, name, counts[name] / EPISODES, rate)
    assert believable(counts[None], EPISODES, 1 - sum(wanted.values()))


@pytest.mark.parametrize("actors", [1, 2, 8])
async def test_outcomes_are_those_in_process_whatever_the_number_of_actors(actors: int):
    with EnvironmentPool(PoolConfig(actors=actors, max_turns=TURNS, troubles=TROUBLES)) as pool:
        played = await pool.play_many((task, seed, {"kind": "patient"}) for seed, task in enumerate(TASKS))
    assert played == EXPECTED


@pytest.mark.parametrize("actors", [1, 2, 8])
async def test_an_actor_killed_half_way_changes_no_trouble(actors: int):
    dialogues = [[message for message in dialogue if message.role == "assistant"] for dialogue, _, _ in EXPECTED]
    half = sum(map(len, dialogues)) // 2
    with EnvironmentPool(PoolConfig(actors=actors, max_turns=TURNS, troubles=TROUBLES)) as pool:
        turns = 0

        async def episode(seed):
            nonlocal turns
            await pool.reset(f"slot {seed}", TASKS[seed], seed)
            for message in dialogues[seed]:
                turns += 1
                if turns == half:
                    ray.kill(pool._lane(f"slot {seed}").actor)
                await pool.step(f"slot {seed}", message)
            return await pool.outcome(f"slot {seed}")

        outcomes = await asyncio.gather(*map(episode, range(len(TASKS))))
        assert outcomes == [outcome for _, _, outcome in EXPECTED]
        assert pool.deaths == 1


def test_all_of_this_was_worth_it():
    """The episodes that stay the same meet every trouble there is."""
    met = {call.trouble.kind for _, _, outcome in EXPECTED for call in outcome.calls if call.trouble is not None}
    assert met >= {"timeout", "timeout_after_commit", "rate_limit", "transient", "malformed", "slow", "stale"}
