"""An engine whose process is really killed: what was in flight is answered by the next one, under the weights that are due."""

import asyncio
import itertools
import random

import pytest

from rl.rollout.engine import EngineDiedError, EngineError, EngineLostError, WeightSyncError, WeightUpdate
from rl.rollout.replicated_engine import ReplicatedEngine
from rl.rollout.scripted_engine import ScriptedEngine
from rl.rollout.supervised_engine import SupervisedEngine
from tests.rl.rollout.engine_process import ProcessEngine
from trajectories.trajectory import Sampling

TURN = 20
RATE = 2e-3


def respond(prompt, sampling, request_id):
    return [len(request_id)] * TURN, [-0.5] * TURN


class Engines:
    """Starts them, and knows all that were started.

    Args:
        fails: for each start an error, or None where it succeeds; later ones do.
        endless: so many of the first never end a turn.
    """

    def __init__(self, fails=(), endless=0):
        self.started, self._fails, self._endless = [], list(fails), endless

    async def __call__(self):
        if self._fails and (error := self._fails.pop(0)) is not None:
            raise error
        rate = 1e6 if len(self.started) < self._endless else RATE
        self.started.append(await ProcessEngine.start(respond, rate=rate))
        return self.started[-1]

    def kill(self):
        self.started[-1].kill()

    @property
    def living(self):
        return [engine for engine in self.started if engine.process.returncode is None]


def ask(engine, count, name="turn"):
    asked = {"max_tokens": TURN, "stop_token_ids": []}
    calls = (engine.generate([1, 2], Sampling(seed=0), request_id=f"{name}-{number}", **asked) for number in range(count))
    return [asyncio.ensure_future(call) for call in calls]


async def test_what_was_in_flight_is_asked_again_under_the_weights_that_are_due():
    engines, draw = Engines(), random.Random(0)
    engine = SupervisedEngine(engines, 3)

    async def bring_up(fresh):
        assert fresh.version == 0 and engine.down, "nobody asks it anything yet"
        await fresh.update_weights(WeightUpdate(7, "", ""))

    engine.bring_up = bring_up
    await engine.update_weights(WeightUpdate(3, "", ""))
    for death in range(3):
        turns = ask(engine, 8)
        await asyncio.sleep(draw.uniform(0, RATE * TURN))
        engines.kill()
        turns += ask(engine, 4)
        completions = await asyncio.gather(*turns)
        assert engine.restarts == death + 1 == len(engines.started) - 1 and engine.version == 7 and not engine.down
        for completion in completions:
            assert completion.token_ids == (6,) * TURN, "whole, and once"
            assert {run.policy_version for run in completion.runs} <= {3 if not death else 7, 7}
        assert completions[-1].policy_version == 7
    assert len(engines.living) == 1
    await engine.close()
    assert not engines.living


@pytest.mark.parametrize("mode", ["wait", "recompute", "keep"])
async def test_a_death_in_an_update_fails_the_update_and_no_turn(mode):
    engines = Engines(endless=1)
    engine = SupervisedEngine(engines, 1)
    await engine.start()

    async def bring_up(fresh):
        await fresh.update_weights(WeightUpdate(1, "", ""))

    engine.bring_up = bring_up
    turns = ask(engine, 4)
    await asyncio.sleep(RATE * 3)
    engines.kill()
    update = asyncio.ensure_future(engine.update_weights(WeightUpdate(1, "", ""), mode))
    with pytest.raises(EngineDiedError):
        await update
    with pytest.raises(EngineDiedError, match="the next one does not serve yet"):
        await engine.prompt_log_probs([[1, 2]])
    for completion in await asyncio.gather(*turns):
        versions = [run.policy_version for run in completion.runs]
        assert len(completion.token_ids) == TURN and versions == [1], "begun anew, on no older cache"
    assert await engine.prompt_log_probs([[1, 2, 3]]) == [[0.0, 0.0]]
    await engine.close()


async def test_when_the_restarts_are_spent_every_call_says_so():
    engines = Engines(endless=2)
    engine = SupervisedEngine(engines, 1)
    turns = ask(engine, 3)
    for count in (1, 2):
        while len(engines.started) < count or engine.down:
            await asyncio.sleep(RATE)
        engines.kill()
    results = await asyncio.gather(*turns, return_exceptions=True)
    told = r"its process died; it was started anew 1 times, and rollouts.engine_restarts=1 allows no more.*resume=auto"
    for result in results:
        with pytest.raises(EngineLostError, match=told):
            raise result
    with pytest.raises(EngineLostError, match=told):
        await ask(engine, 1)[0]
    assert not engines.living
    await engine.close()


async def test_starts_that_fail_and_engines_that_die_before_they_serve_are_counted():
    engines = Engines([None, EngineError("no memory"), None, None])
    engine = SupervisedEngine(engines, 3)

    async def bring_up(fresh):
        if engine.restarts == 2:
            fresh.kill()
            await fresh.update_weights(WeightUpdate(1, "", ""))

    engine.bring_up = bring_up
    await engine.start()
    engines.kill()
    assert (await ask(engine, 1)[0]).token_ids
    assert engine.restarts == 3 and len(engines.started) == 3 and len(engines.living) == 1
    await engine.close()


@pytest.mark.parametrize(
    ("failure", "kind", "told"),
    [
        (WeightSyncError("weight sync: not what the trainer holds"), WeightSyncError, "not what the trainer holds"),
        (OSError("the trainer is gone"), EngineLostError, "its process died; .* could not be brought up: OSError: the trainer"),
    ],
)
async def test_an_engine_that_is_not_proven_never_serves(failure, kind, told):
    engines = Engines()
    engine = SupervisedEngine(engines, 3)

    async def bring_up(fresh):
        raise failure

    engine.bring_up = bring_up
    await engine.start()
    engines.kill()
    for _ in range(2):
        with pytest.raises(kind, match=told):
            await ask(engine, 1)[0]
    assert engine.restarts == 1 and not engines.living
    await engine.close()


async def test_weights_that_nobody_has_any_more_are_not_replaced_by_those_of_the_start():
    engines = Engines()
    engine = SupervisedEngine(engines, 3)
    await engine.update_weights(WeightUpdate(5, "", ""))
    engines.kill()
    with pytest.raises(EngineLostError, match="nobody has version 5 of the weights"):
        await ask(engine, 1)[0]
    await engine.close()


async def test_what_a_dead_engine_says_when_it_is_closed_is_no_answer():
    class Late(ScriptedEngine):
        """Of two requests one finds it dead, and the other one, and an update, are told that it is closed."""

        async def generate(self, *arguments, request_id, **named):
            if request_id == "turn-0":
                raise EngineDiedError("rollout engine: its process died")
            await self.closing.wait()
            raise EngineError("rollout engine: it was closed while requests were waiting")

        async def update_weights(self, update, mode="wait"):
            await self.closing.wait()
            raise WeightSyncError("weight sync: version 1: it was closed")

        async def close(self):
            self.closing.set()

    late = Late(respond)
    late.closing = asyncio.Event()
    engines = [late, ScriptedEngine(respond)]

    async def start():
        return engines.pop(0)

    engine = SupervisedEngine(start, 1)
    await engine.start()
    update = asyncio.ensure_future(engine.update_weights(WeightUpdate(1, "", "")))
    await asyncio.sleep(0)
    completions = await asyncio.gather(*ask(engine, 2))
    assert [len(completion.token_ids) for completion in completions] == [TURN, TURN] and engine.restarts == 1
    with pytest.raises(EngineDiedError, match="it died meanwhile, and said: weight sync: version 1: it was closed"):
        await update
    await engine.close()


async def test_closing_in_the_middle_of_a_restart_leaves_no_process():
    engines = Engines()
    engine = SupervisedEngine(engines, 3)

    async def bring_up(fresh):
        await asyncio.sleep(60)

    engine.bring_up = bring_up
    await engine.start()
    engines.kill()
    [turn] = ask(engine, 1)
    while len(engines.started) < 2:
        await asyncio.sleep(RATE)
    await engine.close()
    assert not engines.living
    with pytest.raises((EngineError, asyncio.CancelledError)):
        await turn
    with pytest.raises(EngineError, match="after close"):
        await ask(engine, 1)[0]


async def test_while_one_replica_is_down_the_others_are_asked():
    several = [Engines(), Engines()]
    engine = ReplicatedEngine([SupervisedEngine(engines, 1) for engines in several])
    await asyncio.gather(*(replica.start() for replica in engine.replicas))
    going = asyncio.Event()

    async def bring_up(fresh):
        await going.wait()

    engine.replicas[0].bring_up = bring_up
    several[0].kill()
    turns = ask(engine, 6)
    for answered in itertools.islice(asyncio.as_completed(turns), 3):
        await answered
    later = await asyncio.gather(*ask(engine, 2, "later"))
    assert all(completion.token_ids for completion in later) and engine.replicas[0].down
    assert sum(turn.done() for turn in turns) == 3, "those of the dead one wait for the next"
    going.set()
    assert all(completion.token_ids for completion in await asyncio.gather(*turns))
    await engine.close()
    assert not [living for engines in several for living in engines.living]
