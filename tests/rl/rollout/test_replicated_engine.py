"""Several engines as one keep an engine's contract, and share the work."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.rollout.engine import EngineError, WeightSyncError, WeightUpdate
from rl.rollout.proof import prove
from rl.rollout.replicated_engine import ReplicatedEngine, replicas_of
from rl.rollout.scripted_engine import ScriptedEngine
from tests.rl.rollout.scheduling.virtual_time import simulate
from trajectories.trajectory import Sampling


def replica(served, name, score=None):
    """Ten tokens a request, one a second after a second for the prompt."""

    def respond(prompt, sampling, request_id):
        served.append((name, request_id))
        return list(range(10, 20)), [-0.5] * 10

    return ScriptedEngine(respond, score, latency=lambda _, count: 1.0 + count)


def group(count, served=None, **options):
    served = [] if served is None else served
    return ReplicatedEngine([replica(served, name) for name in range(count)], **options)


def ask(engine, request_id, max_tokens=10):
    return engine.generate([1, 2], Sampling(), max_tokens=max_tokens, stop_token_ids=[], request_id=request_id)


@given(st.integers(1, 4), st.integers(0, 40))
def test_requests_at_once_are_shared_evenly_and_lose_nothing(replicas, requests):
    served = []

    async def run():
        engine = group(replicas, served)
        return await asyncio.gather(*(ask(engine, str(number)) for number in range(requests)))

    assert len(simulate(run())) == requests
    assert sorted(request for _, request in served) == sorted(map(str, range(requests)))
    shares = Counter(name for name, _ in served)
    assert max(shares.values(), default=0) - min((shares[name] for name in range(replicas)), default=0) <= 1


def test_a_short_request_frees_its_replica_for_the_next():
    served = []

    async def run():
        engine = group(2, served)
        long = asyncio.create_task(ask(engine, "long", 10))
        await asyncio.sleep(0)
        for number in range(3):
            await ask(engine, f"short/{number}", 1)
        await long

    simulate(run())
    assert served == [(0, "long"), (1, "short/0"), (1, "short/1"), (1, "short/2")]


def test_turns_of_a_dialogue_stay_together_where_their_prefixes_are_cached():
    served = []

    async def run():
        engine = group(3, served, keep_dialogues=True)
        await asyncio.gather(*(ask(engine, f"{dialogue}/{turn}") for dialogue in range(30) for turn in range(3)))

    simulate(run())
    homes = {}
    for name, request in served:
        homes.setdefault(request.split("/")[0], set()).add(name)
    assert all(len(names) == 1 for names in homes.values())
    assert set.union(*homes.values()) == {0, 1, 2}


@pytest.mark.parametrize(("mode", "versions"), [("wait", [0, 1]), ("recompute", [0, 1]), ("keep", [1, 1])])
def test_an_update_reaches_every_replica_and_no_later_request_is_sampled_by_the_old_weights(mode, versions):
    async def run():
        engine = group(3)
        early = [asyncio.create_task(ask(engine, f"early/{number}")) for number in range(3)]
        await asyncio.sleep(5.5)
        update = asyncio.create_task(engine.update_weights(WeightUpdate(1, "nowhere", "abc"), mode))
        await asyncio.sleep(0)
        late = [asyncio.create_task(ask(engine, f"late/{number}")) for number in range(3)]
        receipt = await update
        assert (receipt.version, receipt.digest, engine.version) == (1, "abc", 1)
        return [await asyncio.gather(*early), await asyncio.gather(*late)]

    early, late = simulate(run())
    assert {completion.policy_version for completion in early} == {versions[0]}
    assert {completion.policy_version for completion in late} == {versions[1]}
    expected = {"wait": "length", "recompute": "cut", "keep": "length"}[mode]
    assert {completion.finish_reason for completion in early} == {expected}


def test_an_interruption_reaches_every_replica():
    async def run():
        engine = group(2)
        asked = [asyncio.create_task(ask(engine, str(number))) for number in range(4)]
        await asyncio.sleep(3.5)
        await engine.interrupt()
        return await asyncio.gather(*asked)

    assert [(each.finish_reason, len(each.token_ids)) for each in simulate(run())] == [("cut", 2)] * 4


class _Stubborn(ScriptedEngine):
    def __init__(self, digest="abc", error=None):
        super().__init__(lambda *_: ([9], [0.0]))
        self._digest, self._error, self.updated = digest, error, False

    async def update_weights(self, update, mode="wait"):
        await asyncio.sleep(0)
        if self._error is not None:
            raise self._error
        receipt = await super().update_weights(update, mode)
        self.updated = True
        return replace(receipt, digest=self._digest)


async def test_replicas_that_acknowledge_different_weights_stop_the_run():
    with pytest.raises(WeightSyncError, match=r"acknowledged different weights: \[\(1, 'abc'\), \(1, 'xyz'\)\]"):
        await ReplicatedEngine([_Stubborn(), _Stubborn("xyz")]).update_weights(WeightUpdate(1, "nowhere", "abc"))


async def test_the_error_of_one_replica_is_raised_when_the_others_have_ended():
    healthy = _Stubborn()
    engine = ReplicatedEngine([_Stubborn(error=WeightSyncError("half a file")), healthy])
    with pytest.raises(WeightSyncError, match="half a file"):
        await engine.update_weights(WeightUpdate(1, "nowhere", "abc"))
    assert healthy.updated and engine.version == 0


@pytest.mark.parametrize("wrong", [0, 1, 2])
async def test_a_proof_asks_each_replica(wrong):
    def scores(off):
        return lambda ids: [-0.5 + off] * (len(ids) - 1)

    engines = [ScriptedEngine(lambda *_: ([9], [0.0]), scores(0.01 if number == wrong else 0.0)) for number in range(3)]
    expected = [[-0.5, -0.5]]
    with pytest.raises(WeightSyncError, match=r"over 2 probe tokens .* differ by up to 1\.0e-02"):
        await prove(ReplicatedEngine(engines), expected, [[1, 2, 3]])
    healthy = [engine for number, engine in enumerate(engines) if number != wrong]
    proof = await prove(ReplicatedEngine(healthy), expected, [[1, 2, 3]])
    assert (proof.max_difference, proof.tokens) == (0.0, 2)


async def test_a_mean_that_is_off_in_one_replica_is_not_thinned_out_by_the_others():
    engines = [ScriptedEngine(lambda *_: ([9], [0.0]), lambda ids, off=off: [-0.5 + off]) for off in (0.0, 0.0, 0.0, 2e-5)]
    with pytest.raises(WeightSyncError, match="by 2.0e-05 on average"):
        await prove(ReplicatedEngine(engines), [[-0.5]], [[1, 2]])


async def test_closing_ends_all_and_replicas_are_told_apart():
    engine = group(2)
    assert replicas_of(engine) == engine.replicas and replicas_of(engine.replicas[0]) == (engine.replicas[0],)
    await engine.close()
    for one in (engine, *engine.replicas):
        with pytest.raises(EngineError, match="after close"):
            await ask(one, "a")
    with pytest.raises(ValueError, match="at least one replica"):
        ReplicatedEngine([])
