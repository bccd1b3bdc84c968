"""Replicas that die at any moment of an update are brought to the trainer's weights and proven, and the others with them."""

import asyncio
from types import SimpleNamespace

import pytest

from rl.policy.presets import build_model
from rl.rollout.engine import EngineDiedError, WeightSyncError, WeightUpdate
from rl.rollout.proof import Probe
from rl.rollout.replicated_engine import ReplicatedEngine
from rl.rollout.scripted_engine import ScriptedEngine
from rl.rollout.supervised_engine import SupervisedEngine
from rl.training.engine_weights import EngineWeights
from rl.training.synchronise import synchronise
from rl.training.weight_sync import FileExporter, WeightSyncConfig
from trajectories.trajectory import Sampling


class Trainer:
    """Its weights are their version: the log-probability of any token is minus that."""

    def __init__(self):
        self.version, self.learning, self.asked = 0, False, []
        self.may_learn = asyncio.Event()
        self.may_learn.set()

    async def train_batch(self, batch, progress, demonstrations):
        self.learning = True
        await self.may_learn.wait()
        self.version, self.learning = self.version + 1, False
        return {"version": float(self.version)}

    async def export_weights(self):
        assert not self.learning
        return SimpleNamespace(update=WeightUpdate(self.version, "", f"digest {self.version}"), bytes=1)

    async def probe(self, seed):
        assert not self.learning
        return Probe(((1, 2, 3),), ((-self.version, -self.version),), 0, 0)


class Mortal(ScriptedEngine):
    """Dies at its `death`-th call."""

    def __init__(self, death):
        super().__init__(lambda *_: ([1], [0.0]), lambda ids: [-self.version] * (len(ids) - 1))
        self._left = death

    def _called(self):
        self._left -= 1
        if self._left <= 0:
            raise EngineDiedError("rollout engine: its process died")

    async def generate(self, *arguments, **named):
        self._called()
        return await super().generate(*arguments, **named)

    async def update_weights(self, update, mode="wait"):
        receipt = await super().update_weights(update, mode)  # it may die when it has them, and nobody knows
        self._called()
        return receipt

    async def prompt_log_probs(self, token_ids):
        self._called()
        return await super().prompt_log_probs(token_ids)


def replica(*deaths):
    """Each engine's death in turn; later ones live."""
    left = list(deaths)

    async def start():
        return Mortal(left.pop(0) if left else 10**9)

    return SupervisedEngine(start, 8)


async def speak(engine):
    turn = await engine.generate([0], Sampling(), max_tokens=1, stop_token_ids=[], request_id="turn")
    return turn.policy_version


@pytest.mark.parametrize("first", range(1, 8))
@pytest.mark.parametrize("second", [1, 2, 3])
async def test_whenever_replicas_die_what_speaks_has_the_trainers_weights(first, second):
    replicas = [replica(first, second), replica(first + 1), replica()]
    engine, trainer, told = ReplicatedEngine(replicas), Trainer(), []
    weights = EngineWeights(engine, trainer, 0, told.append)
    await weights.begin(seed=0)
    for version in (1, 2, 3):
        assert [await speak(each) for each in replicas] == [version - 1] * 3
        await weights.train(None, 0.0, ())
        await weights.update(seed=version)
        assert replicas[2].version == weights.version == version
    assert [await speak(each) for each in replicas] == [3] * 3
    assert weights.restarts == sum(each.restarts for each in replicas) >= 2
    assert {sync.proof.version for sync in told} == {1, 2, 3}
    await engine.close()


async def test_an_engine_that_begins_anew_while_the_trainer_learns_takes_what_it_has_learnt():
    engine, trainer, told = replica(3), Trainer(), []
    weights = EngineWeights(engine, trainer, 0, told.append)
    await weights.begin(seed=0)
    assert await speak(engine) == 0
    trainer.may_learn.clear()
    learning = asyncio.ensure_future(weights.train(None, 0.0, ()))
    turn = asyncio.ensure_future(speak(engine))
    for _ in range(20):
        await asyncio.sleep(0)
    assert engine.down and trainer.learning and not turn.done()
    trainer.may_learn.set()
    assert await turn == 1 and (await learning)["version"] == 1
    assert await weights.update(seed=1) is None and len(told) == 1, "it has them, and they are proven"
    weights.close()
    await engine.close()


async def test_a_successor_that_computes_something_else_stops_the_run():
    trainer = Trainer()

    class Other(Mortal):
        async def prompt_log_probs(self, token_ids):
            return [[-0.5 for _ in ids[1:]] for ids in token_ids]

    engines = [Mortal(3), Other(10**9)]

    async def start():
        return engines.pop(0)

    engine = SupervisedEngine(start, 8)
    weights = EngineWeights(engine, trainer, 0, lambda sync: None)
    await weights.begin(seed=0)
    assert await speak(engine) == 0
    with pytest.raises(WeightSyncError, match="is not what the trainer holds"):
        await speak(engine)
    await engine.close()


def test_only_supervised_engines_are_kept_at_the_trainers_weights():
    with pytest.raises(TypeError, match="is supervised"):
        EngineWeights(Mortal(1), Trainer(), 0, lambda sync: None)


async def test_an_engine_that_lacks_what_the_changes_build_on_gets_all_tensors():
    model = build_model("nano_k2", 64, seed=0)
    exporter, sent = FileExporter(WeightSyncConfig(changed_only=True)), []

    class Exporting(Trainer):
        async def export_weights(self):
            sent.append(exporter.export(model, self.version))
            return sent[-1]

    trainer, old, fresh = Exporting(), Mortal(10**9), Mortal(10**9)
    try:
        for trainer.version in (1, 2):
            await synchronise(old, trainer, seed=0)
        await synchronise(fresh, trainer, seed=0)
        trainer.version = 3
        await synchronise(fresh, trainer, seed=0)
    finally:
        exporter.close()
    assert [(export.update.version, export.update.base) for export in sent] == [(1, None), (2, 1), (2, None), (3, 2)]
    assert sent[2].bytes == sent[0].bytes > sent[1].bytes == 0
