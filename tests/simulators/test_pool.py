"""The pool gives what an environment in process gives, whatever happens to its actors."""

import asyncio
import contextlib
import os
import signal
import time

import pytest
import ray

from simulators.environment import Environment
from simulators.pool import EnvironmentPool, PoolConfig, PoolError, SlotFault
from simulators.tasks import compose, make_agent, play
from simulators.users.voice import speak
from simulators.worlds import load, names
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import Fault

TASKS = [
    compose(load(world), index, run_seed=5, split="train", difficulty=difficulty)
    for world in names()
    for index, difficulty in enumerate((1, 1, 2, 3))
]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def pool(cluster):
    with EnvironmentPool(PoolConfig(actors=2)) as pool:
        yield pool


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def kill_actors(pool, count=2):
    for pid in pool.pids()[:count]:
        with contextlib.suppress(ProcessLookupError):
            kill(pid)


def expected(task, seed=3):
    return play(task, load(task.world), make_agent("oracle", task, load(task.world)), seed)


async def episode(pool, slot, task, seed=3, between_turns=None):
    """What `play` does, through the pool."""
    observation = await pool.reset(slot, task, seed)
    agent = make_agent("oracle", task, load(task.world))
    messages, over = list(observation.messages), False
    while not over:
        message = agent.act(messages)
        result = await pool.step(slot, message)
        messages += [message, *result.messages]
        over = result.terminated or result.truncated
        if between_turns:
            await between_turns()
    return tuple(messages), observation.tools, await pool.outcome(slot)


async def test_episodes_through_the_pool_equal_those_in_process(pool):
    played = await asyncio.gather(*(episode(pool, f"slot {i}", task) for i, task in enumerate(TASKS)))
    assert played == [expected(task) for task in TASKS]


async def test_pids_leave_out_an_actor_that_is_dead_and_has_not_been_needed_since(pool):
    first, second = pool.pids()
    kill(first)
    for _ in range(100):
        if len(alive := pool.pids()) == 1:
            break
        await asyncio.sleep(0.05)
    assert alive == [second]
    played = await asyncio.gather(*(episode(pool, f"slot {i}", task) for i, task in enumerate(TASKS)))
    assert played == [expected(task) for task in TASKS] and len(pool.pids()) == 2


async def test_an_actor_killed_between_and_during_turns_loses_nothing(pool):
    before, turns = pool.deaths, 0

    async def sometimes_kill():
        nonlocal turns
        turns += 1
        if turns in (9, 40):
            kill_actors(pool, count=1)

    played = await asyncio.gather(
        *(episode(pool, f"slot {i}", task, between_turns=sometimes_kill) for i, task in enumerate(TASKS * 2))
    )
    assert played == [expected(task) for task in TASKS * 2]
    assert pool.deaths >= before + 1


async def test_an_actor_that_dies_while_it_computes_loses_nothing(pool):
    slots = {f"slot {i}": task for i, task in enumerate(TASKS)}
    await pool.reset_many((slot, task, 3) for slot, task in slots.items())
    stepping = asyncio.ensure_future(pool.step_many((slot, Message("assistant", "Which one?")) for slot in slots))
    await asyncio.sleep(0)
    for lane in pool._lanes:
        ray.kill(lane.actor)
    results = await stepping
    for slot, task in slots.items():
        environment = Environment(load(task.world))
        environment.reset(task, 3)
        assert results[slot] == environment.step(Message("assistant", "Which one?"))
    await pool.outcome_many(slots)


async def test_after_a_death_an_aborted_episode_is_still_aborted_and_a_replay_that_differs_is_a_fault(pool):
    await pool.reset_many((slot, TASKS[0], 3) for slot in ("aborted", "changed", "other"))
    await pool.abort("aborted", "fault", Fault("engine", "gone"), Message("assistant", "cut"))
    pool._lane("changed")._episodes["changed"].prints[0] += 1  # as if the world had changed
    kill_actors(pool)
    outcome = await pool.outcome("aborted")
    assert outcome.ending == "fault" and outcome.faults == (Fault("engine", "gone"),)
    assert outcome.messages[-1] == Message("assistant", "cut")
    with pytest.raises(SlotFault, match=r"slot changed: environment: .*was lost"):
        await pool.outcome("changed")
    assert (await pool.outcome("other")).messages


async def test_an_episode_that_kills_its_actor_becomes_a_fault_and_its_neighbours_live():
    with EnvironmentPool(PoolConfig(actors=1, max_deaths=2)) as pool:
        await pool.reset_many((f"slot {i}", task, 3) for i, task in enumerate(TASKS[:3]))
        results = await asyncio.gather(
            pool.step("slot 0", Message("assistant", "Which one?")),
            pool.map(_die_on_one, [1]),
            pool.step("slot 2", Message("assistant", "Which one?")),
            return_exceptions=True,
        )
        assert isinstance(results[1], PoolError) and "lost 2 times" in str(results[1])
        assert not isinstance(results[0], Exception) and not isinstance(results[2], Exception)
        outcome = await pool.outcome("slot 2")
        assert [message.content for message in outcome.messages[1:2]] == ["Which one?"]  # stepped once, not twice


async def test_a_broken_episode_is_reported_in_its_place(pool):
    results = await pool.step_many([("nobody", Message("assistant", "hi"))])
    assert isinstance(results["nobody"], SlotFault) and results["nobody"].fault.source == "environment"
    assert list(await pool.outcome_many([])) == []


async def test_whatever_the_policy_says_is_answered(pool):
    call = ToolCall("functions.x:0", "no_such_tool", '{"a": "\ud83d", "b": ' + "[" * 300)
    await pool.reset("a", TASKS[0], 3)
    result = await pool.step("a", Message("assistant", "x\udc00", (call,)))
    assert len(result.messages) == 1 and not result.terminated
    assert (await pool.outcome("a")).calls[0].is_error


async def test_scripted_episodes_play_inside_the_actors_in_order(pool):
    policy = {"kind": "teacher", "competence": 0.5, "run_seed": 4, "errors": {"skip_look_up": 1.0}}
    items = [(task, 3, {"kind": "oracle"}) for task in TASKS] + [(task, 3, policy) for task in TASKS]
    played = await pool.play_many(items)
    assert played[: len(TASKS)] == [expected(task) for task in TASKS]
    with pytest.raises(PoolError, match=r"item 0: .*no agent 'nobody'"):
        await pool.play_many([(TASKS[0], 3, {"kind": "nobody"})])


def test_a_pool_serves_one_event_loop_after_another_even_when_one_was_cut_short():
    with EnvironmentPool(PoolConfig(actors=1, batch=3)) as pool:
        asyncio.run(pool.reset("a", TASKS[0], 3))

        async def cut_short():
            await asyncio.wait_for(
                asyncio.gather(pool.step("a", Message("assistant", "Which one?")), pool.map(_sleep, [0.1] * 5)), 0.1
            )

        with pytest.raises(TimeoutError):
            asyncio.run(cut_short())
        outcome = asyncio.run(pool.outcome("a"))
        assert [message.role for message in outcome.messages] == ["user"]


async def test_a_closed_pool_says_so():
    pool = EnvironmentPool()
    pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        await pool.reset("a", TASKS[0], 3)


async def test_whoever_brings_more_than_the_queue_holds_waits_and_everything_is_done(tmp_path):
    gate, batch, room, drawn = tmp_path / "open", 2, 3, []

    def items():
        for number in range(40):
            drawn.append(number)
            yield gate, number

    with EnvironmentPool(PoolConfig(actors=1, batch=batch, max_queued=room)) as pool:
        mapped = asyncio.ensure_future(pool.map(_wait_for, items()))
        steps = asyncio.gather(*(pool.step(f"slot {n}", Message("assistant", "hi")) for n in range(9)), return_exceptions=True)
        while len(drawn) < batch + room:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert len(drawn) <= batch + room + 1 and pool._lanes[0].queued == room
        gate.touch()
        assert await mapped == list(range(40)) and drawn == list(range(40))
        assert all(isinstance(result, SlotFault) for result in await steps)


async def test_items_go_to_the_actor_that_has_fewest_waiting(pool):
    assert len(set(await pool.map(_pid, range(2)))) == 2


def test_a_pool_whose_queue_was_full_when_its_event_loop_ended_serves_the_next():
    with EnvironmentPool(PoolConfig(actors=1, batch=1, max_queued=1)) as pool:

        async def cut_short():
            await asyncio.wait_for(pool.map(_sleep, [0.1] * 20), 0.15)

        with pytest.raises(TimeoutError):
            asyncio.run(cut_short())
        assert asyncio.run(pool.map(_sleep, [0.0] * 4)) == [None] * 4


@pytest.mark.parametrize("name", ["actors", "max_turns", "batch", "max_queued", "max_deaths"])
def test_a_setting_below_one_is_refused_by_name(name):
    with pytest.raises(ValueError, match=name):
        PoolConfig(**{name: 0})


@pytest.mark.parametrize("name", ["operation_seconds", "item_seconds", "grace_seconds"])
@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
def test_a_time_limit_that_is_none_is_refused_by_name(name, seconds):
    with pytest.raises(ValueError, match=name):
        PoolConfig(**{name: seconds})


def _die_on_one(item):
    if item == 1:
        kill(os.getpid())
    return item


def _sleep(seconds):
    time.sleep(seconds)


def _pid(_):
    return os.getpid()


def _wait_for(item):
    gate, number = item
    while not gate.exists():
        time.sleep(0.01)
    return number


def shouting(decision, persona, rng):
    return speak(decision, persona, rng) + " !!!"


async def test_a_voice_speaks_for_the_users_of_every_actor(cluster):
    with EnvironmentPool(PoolConfig(actors=2), voice=shouting) as pool:
        desk = load("order_desk")
        asking = [compose(desk, index, run_seed=5, split="train", difficulty=1, families=("ask",)) for index in range(4)]
        for index, task in enumerate(asking):
            messages, _, outcome = await episode(pool, f"voiced {index}", task)
            assert [item.content for item in messages if item.role == "user"][1].endswith(" !!!")
            assert outcome.ending == "completed"
        played = await pool.play_many([(task, 3, {"kind": "oracle"}) for task in asking])
        assert all(any(item.content.endswith(" !!!") for item in messages) for messages, _, _ in played)
