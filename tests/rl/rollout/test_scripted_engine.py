"""The engine without a model keeps an engine's contract."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.rollout.engine import Completion, EngineError, Run, WeightSyncError, WeightUpdate
from rl.rollout.scripted_engine import ScriptedEngine
from tests.rl.rollout.scheduling.virtual_time import simulate
from trajectories.trajectory import Sampling


def ask(engine, **options):
    settings = {"max_tokens": 4, "stop_token_ids": [9], "request_id": "a"} | options
    return engine.generate([1, 2], Sampling(), **settings)


@pytest.mark.parametrize(
    ("answer", "tokens", "reason"),
    [
        ([5, 9, 7], (5, 9), "stop"),
        ([5, 6, 7, 9], (5, 6, 7, 9), "stop"),
        ([5, 6, 7, 8, 9], (5, 6, 7, 8), "length"),
        ([9], (9,), "stop"),
    ],
)
async def test_an_answer_ends_at_the_stop_token_or_at_the_limit(answer, tokens, reason):
    completion = await ask(ScriptedEngine(lambda *_: (answer, [-float(token) for token in answer])))
    assert (completion.token_ids, completion.finish_reason) == (tokens, reason)
    assert completion.log_probs == tuple(-float(token) for token in tokens)


async def test_an_answer_without_an_end_is_an_error():
    with pytest.raises(EngineError, match="neither a stop token nor 4 tokens"):
        await ask(ScriptedEngine(lambda *_: ([5], [0.0])))


async def test_versions_only_grow_and_are_stamped():
    engine = ScriptedEngine(lambda *_: ([9], [0.0]))
    assert (await engine.update_weights(WeightUpdate(3, "nowhere", "abc"))).version == 3
    assert (await ask(engine)).policy_version == engine.version == 3
    with pytest.raises(WeightSyncError, match="version 3 does not follow version 3"):
        await engine.update_weights(WeightUpdate(3, "nowhere", "abc"))


def slow_engine():
    """Ten tokens a request, one a second after a second for the prompt."""
    return ScriptedEngine(lambda *_: (list(range(10, 20)), [-0.5] * 10), latency=lambda _, count: 1.0 + count)


def ask_slowly(engine, name="a"):
    return asyncio.create_task(ask(engine, max_tokens=10, request_id=name))


def update(version):
    return WeightUpdate(version, "nowhere", "abc")


def test_a_request_takes_its_time():
    async def play():
        answer = await ask_slowly(slow_engine())
        assert (len(answer.token_ids), answer.finish_reason) == (10, "length")
        assert asyncio.get_running_loop().time() == pytest.approx(11.0)

    simulate(play())


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 12.0))
def test_an_interruption_leaves_what_is_sampled_by_then(when):
    async def play():
        engine = slow_engine()
        turn = ask_slowly(engine)
        await asyncio.sleep(when)
        await engine.interrupt()
        answer = await turn
        sampled = min(10, max(0, int(when - 1.0 + 1e-9)))
        assert answer.token_ids == tuple(range(10, 10 + sampled))
        assert answer.finish_reason == ("cut" if sampled < 10 else "length")
        assert asyncio.get_running_loop().time() <= max(when, 1e-9) + 1e-9

    simulate(play())


def test_what_an_update_does_to_turns_in_flight_is_its_modes_business():
    async def play(mode):
        engine, loop = slow_engine(), asyncio.get_running_loop()
        first = ask_slowly(engine)
        await asyncio.sleep(4.5)  # three tokens
        changing = asyncio.create_task(engine.update_weights(update(1), mode))
        await asyncio.sleep(0)
        later = ask_slowly(engine, "b")
        await changing
        return await first, await later, loop.time()

    first, later, ended = simulate(play("wait"))
    assert (first.runs, first.finish_reason, later.runs, ended) == ((Run(10, 0),), "length", (Run(10, 1),), 22.0)
    first, later, ended = simulate(play("recompute"))
    assert (first.runs, first.finish_reason, later.runs, ended) == ((Run(3, 0),), "cut", (Run(10, 1),), 15.5)
    first, later, ended = simulate(play("keep"))
    assert (first.runs, later.runs, ended) == ((Run(3, 0), Run(7, 1, stale_cache_version=0)), (Run(10, 1),), 15.5)
    assert first.policy_version == 1 and first.token_ids == later.token_ids


def test_an_update_before_the_first_token_leaves_no_trace_of_the_older_version():
    async def play(mode):
        engine = slow_engine()
        turn = ask_slowly(engine)
        await asyncio.sleep(1.5)
        await engine.update_weights(update(3), mode)
        return await turn

    kept = simulate(play("keep"))
    assert kept.runs == (Run(10, 3),)
    assert simulate(play("recompute")) == Completion((), (), "cut", 0)


def test_updates_come_one_after_the_other_and_never_go_back():
    async def play():
        engine = slow_engine()
        turn = ask_slowly(engine)
        await asyncio.sleep(2.5)
        waits = asyncio.create_task(engine.update_weights(update(1), "wait"))
        await asyncio.sleep(1.0)
        keeps = asyncio.create_task(engine.update_weights(update(2), "keep"))
        back = asyncio.create_task(engine.update_weights(update(1), "recompute"))
        await asyncio.gather(waits, keeps)
        with pytest.raises(WeightSyncError, match="version 1 does not follow version 2"):
            await back
        assert (await turn).runs == (Run(10, 0),) and engine.version == 2

    simulate(play())


def test_a_cancelled_turn_and_a_closed_engine_leave_nobody_waiting():
    async def play():
        engine = slow_engine()
        one, other = ask_slowly(engine), ask_slowly(engine, "b")
        await asyncio.sleep(2.0)
        one.cancel()
        waits = asyncio.create_task(engine.update_weights(update(1)))
        await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(EngineError, match="closed while request b was waiting"):
            await other
        await waits

    simulate(play())


@pytest.mark.parametrize(
    ("runs", "version"), [((Run(1, 0),), 0), ((Run(1, 1), Run(1, 0)), 0), ((Run(2, 0),), 1), ((Run(2, 0), Run(0, 1)), 1)]
)
def test_runs_that_do_not_add_up_are_no_completion(runs, version):
    with pytest.raises(ValueError, match="runs"):
        Completion((5, 6), (-1.0, -1.0), "stop", version, runs)


async def test_a_closed_engine_takes_no_requests():
    engine = ScriptedEngine(lambda *_: ([9], [0.0]))
    await engine.close()
    await engine.close()
    with pytest.raises(EngineError, match="after close"):
        await ask(engine)
