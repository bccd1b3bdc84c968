"""What hangs is given up alone: interrupted where Python can be interrupted, and else together with its actor's process."""

import asyncio
import contextlib
import itertools
import os
import signal
import threading
import time
from dataclasses import replace

import pytest
import ray

from simulators.environment import Environment
from simulators.pool import EnvironmentPool, PoolConfig, PoolError, SlotFault
from simulators.pool.alarm import Alarm, TimeUp
from simulators.pool.host import Apply, EnvironmentHost, Failure, Finish, Reset, Step, TimeLimits
from simulators.tasks import compose, make_agent, play
from simulators.worlds import load, names
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import Fault

TASKS = [compose(load(world), 0, run_seed=5, split="train", difficulty=1) for world in names()]
QUESTION = Message("assistant", "Which one?")


class Hanging(ToolCall):
    """Its arguments cannot be read in any time."""

    def parsed_arguments(self):
        while True:
            time.sleep(100)


class Stubborn(ToolCall):
    """And nobody can interrupt it."""

    def parsed_arguments(self):
        while True:
            with contextlib.suppress(BaseException):
                time.sleep(100)


class Seizing(ToolCall):
    """And it keeps the interpreter for itself."""

    def parsed_arguments(self):
        return sum(itertools.repeat(0))


def hang(kind):
    return Message("assistant", tool_calls=(kind("functions.x:0", "no_such_tool", "{}"),))


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def alarm():
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def silent_world(tmp_path):
    """A file that nobody ever writes: whoever opens it waits."""
    path = tmp_path / "silent.yaml"
    os.mkfifo(path)
    return str(path)


def expected(task):
    return play(task, load(task.world), make_agent("oracle", task, load(task.world)), 3)


async def finished(pool, slot, task):
    """The outcome of an episode that was reset, played to its end by the oracle."""
    agent, messages, over = make_agent("oracle", task, load(task.world)), list(expected(task)[0][:2]), False
    while not over:
        message = agent.act(messages)
        result = await pool.step(slot, message)
        messages += [message, *result.messages]
        over = result.terminated or result.truncated
    return await pool.outcome(slot)


def stepped(task):
    environment = Environment(load(task.world))
    environment.reset(task, 3)
    return environment.step(QUESTION)


def test_a_host_interrupts_what_hangs_and_goes_on_with_the_neighbours(alarm, silent_world):
    host = EnvironmentHost(12, False, limits=TimeLimits(1.0, 1.0))
    task, operations = TASKS[0], []
    operations += [Reset("a", task, 3), Reset("b", task, 3), Step("a", hang(Hanging)), Step("a", QUESTION)]
    operations += [Reset("c", replace(task, world=silent_world), 3), Apply(time.sleep, 100), Step("b", QUESTION), Finish("b")]
    results, calls = [], 0
    while len(results) < len(operations):
        results += host.run(operations[len(results) :])
        calls += 1
    assert calls == 4  # each of the three that hang ends its call, so that no call is longer than two limits
    faults = [result.fault.message for result in results if isinstance(result, Failure)]
    assert [text[:24] for text in faults[:1] + faults[2:]] == [
        f"{x} timed out after 1 s"[:24] for x in ("step", "reset", "item")
    ]
    assert "no episode in slot 'a'" in faults[1]  # an interrupted episode is over
    assert results[6] == stepped(task) and results[7].messages[1] == QUESTION
    assert not host._running


def test_a_host_that_was_interrupted_plays_on_as_if_it_had_not_been(alarm):
    host = EnvironmentHost(12, False, limits=TimeLimits(1.0, 1.0))
    for task in TASKS:
        host.run([Reset("stuck", task, 3)])
        (failure,) = host.run([Step("stuck", hang(Hanging))])
        assert failure == Failure(Fault("infrastructure", "step timed out after 1 s"))
        host.run([Reset("slot", task, 3)])
        for message in expected(task)[0]:
            if message.role == "assistant":
                host.run([Step("slot", message)])
        assert host.run([Finish("slot")]) == [expected(task)[2]]


def test_an_alarm_rings_during_its_call_or_not_at_all(alarm):
    """The limit falls before, into and behind the work's end."""
    clock, rung = Alarm(), 0
    for turn in range(2000):
        ended = False
        try:
            assert clock.call(lambda: sum(range(200)), 1e-6 * (1 + turn % 20)) == 19900
            ended = True
        except TimeUp:
            rung += 1
        for _ in range(20):  # a late alarm would raise here
            ended |= False
    time.sleep(0.01)
    assert 0 < rung < 2000


def test_an_alarm_keeps_the_error_of_the_work(alarm):
    with pytest.raises(ZeroDivisionError):
        Alarm().call(lambda: 1 // 0, 5.0)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


async def test_a_stuck_environment_times_out_alone(cluster, silent_world):
    with EnvironmentPool(PoolConfig(actors=1, operation_seconds=3)) as pool:
        silent = replace(TASKS[0], world=silent_world)
        opened = await pool.reset_many(
            [("silent", silent, 3), *((task.world, task, 3) for task in TASKS), ("stuck", TASKS[1], 3)]
        )
        assert opened.pop("silent").fault == Fault("infrastructure", "reset timed out after 3 s")
        assert not any(isinstance(result, SlotFault) for result in opened.values())
        results = await pool.step_many([("stuck", hang(Hanging)), *((task.world, QUESTION) for task in TASKS)])
        assert results.pop("stuck").fault == Fault("infrastructure", "step timed out after 3 s")
        assert results == {task.world: stepped(task) for task in TASKS}
        assert pool.deaths == 0
        await pool.reset("stuck", TASKS[1], 3)  # the slot is free again
        assert await finished(pool, "stuck", TASKS[1]) == expected(TASKS[1])[2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Stubborn, Seizing])
async def test_an_environment_that_nothing_can_interrupt_costs_its_neighbours_nothing(cluster, kind):
    config = PoolConfig(actors=1, operation_seconds=2, grace_seconds=3, max_deaths=1)
    with EnvironmentPool(config) as pool:
        await pool.reset_many([("stuck", TASKS[1], 3), *((task.world, task, 3) for task in TASKS)])
        results = await pool.step_many([("stuck", hang(kind)), *((task.world, QUESTION) for task in TASKS)])
        fault = results.pop("stuck").fault
        assert fault.source == "infrastructure" and fault.message.endswith("it did not answer for 5 s")
        assert results == {task.world: stepped(task) for task in TASKS}
        assert pool.deaths == 2  # once with all of them under suspicion, once with the culprit alone
        outcomes = await pool.outcome_many(task.world for task in TASKS)
        assert [outcome.messages[1] for outcome in outcomes.values()] == [QUESTION] * len(TASKS)  # stepped once


async def test_an_actor_that_freezes_loses_nothing(cluster):
    with EnvironmentPool(PoolConfig(actors=1, operation_seconds=2, grace_seconds=3)) as pool:
        task = TASKS[0]
        await pool.reset("slot", task, 3)
        os.kill(pool.pids()[0], signal.SIGSTOP)
        assert await finished(pool, "slot", task) == expected(task)[2]
        assert pool.deaths == 1


async def test_items_have_a_limit_of_their_own(cluster):
    with EnvironmentPool(PoolConfig(actors=1, operation_seconds=0.5, item_seconds=5)) as pool:
        assert await pool.map(_slow, range(5)) == list(range(5))  # longer than an operation, and in several calls
        with pytest.raises(PoolError, match=r"item 1: item timed out after 5 s"):
            await pool.map(time.sleep, [0, 100, 0])
        assert pool.deaths == 0


async def test_of_whole_episodes_the_stuck_one_ends_by_a_fault(cluster, silent_world):
    items = [(task, 3, {"kind": "oracle"}) for task in TASKS]
    items.insert(1, (replace(TASKS[0], world=silent_world), 3, {"kind": "oracle"}))
    with EnvironmentPool(PoolConfig(actors=1, item_seconds=5)) as pool:
        played = await pool.play_many(items)
    messages, _, outcome = played.pop(1)
    assert messages == () and outcome.ending == "fault"
    assert outcome.faults == (Fault("infrastructure", "item timed out after 5 s"),)
    assert played == [expected(task) for task in TASKS]


async def test_an_answer_that_came_while_the_driver_was_busy_is_in_time(cluster):
    with EnvironmentPool(PoolConfig(actors=1, operation_seconds=1, grace_seconds=1)) as pool:
        await pool.reset("slot", TASKS[0], 3)
        step = asyncio.ensure_future(pool.step("slot", QUESTION))
        for _ in range(20):
            await asyncio.sleep(0)
        threading.Event().wait(3.0)  # the event loop stands still
        assert await step == stepped(TASKS[0]) and pool.deaths == 0


def _slow(number):
    time.sleep(0.7)
    return number
