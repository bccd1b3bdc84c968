"""The trainer's weights in an engine whose processes may die at any moment.

Who trains and who hands weights over take turns: from the export to the proof the trainer stands still. So an engine that
begins anew beside the training is brought to one version, the trainer's newest, and proven to hold that one.
"""

import asyncio
from collections.abc import Callable, Sequence

from rl.rollout.engine import Engine, EngineDiedError, UpdateMode
from rl.rollout.replicated_engine import ReplicatedEngine, replicas_of
from rl.rollout.supervised_engine import SupervisedEngine
from rl.training.packing import TokenRow
from rl.training.synchronise import Synchronisation, prove_engine, synchronise
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_group import TrainerGroup

__all__ = ["EngineWeights"]


class EngineWeights:
    """Brings the replicas of an engine to the trainer's weights: all after each training step, one after its death.

    Args:
        engine: its replicas are `SupervisedEngine`s.
        version: of the trainer's weights.
        told: is told of every proven update.

    Raises:
        TypeError: a replica is no `SupervisedEngine`.
    """

    def __init__(self, engine: Engine, trainer: TrainerGroup, version: int, told: Callable[[Synchronisation], None]) -> None:
        self._replicas: list[SupervisedEngine] = []
        for replica in replicas_of(engine):
            if not isinstance(replica, SupervisedEngine):
                raise TypeError(f"an engine that is kept at the trainer's weights is supervised, and this is a {type(replica)}")
            replica.bring_up = self._bring_up
            self._replicas.append(replica)
        self._trainer, self.version, self._told = trainer, version, told
        self._turn = asyncio.Lock()
        self._seed = 0

    @property
    def restarts(self) -> int:
        """Engines that were started in a dead one's place so far."""
        return sum(replica.restarts for replica in self._replicas)

    async def train(self, batch: Rollouts, progress: float, demonstrations: Sequence[TokenRow]) -> dict[str, float]:
        """`TrainerGroup.train_batch`, with nobody taking weights meanwhile."""
        async with self._turn:
            figures = await self._trainer.train_batch(batch, progress=progress, demonstrations=demonstrations)
            self.version = int(figures["version"])
        return figures

    async def begin(self, seed: int) -> None:
        """Before the first rollout: every replica has the trainer's weights, and that is proven; see `update`."""
        await self._hold(seed, "wait", proven=False)

    async def update(self, seed: int, mode: UpdateMode = "wait") -> Synchronisation | None:
        """Brings every replica that lives to the trainer's weights and proves it; one that is dead, or dies, follows alone.

        Args:
            seed: of the probe's tokens, until the next update.
            mode: see `synchronise`.

        Returns:
            None where no replica had to be updated.

        Raises:
            WeightSyncError: a replica does not hold what the trainer holds.
        """
        return await self._hold(seed, mode, proven=True)

    async def _hold(self, seed: int, mode: UpdateMode, proven: bool) -> Synchronisation | None:
        """
        Args:
            proven: whether the replicas are proven to hold the versions that they name.
        """
        self._seed = seed
        sync = None
        async with self._turn:
            while living := [replica for replica in self._replicas if not replica.down]:
                behind = [replica for replica in living if replica.version != self.version]
                if proven and not behind:
                    break
                proven = False
                try:
                    if behind:
                        sync = await synchronise(_as_one(behind), self._trainer, seed, mode)
                        self._told(sync)
                    else:
                        await prove_engine(_as_one(living), self._trainer, seed)
                    break
                except EngineDiedError:
                    continue  # the others may have the weights by now, and are proven next
        return sync

    def close(self) -> None:
        """From now on an engine that dies is not brought to these weights any more."""
        for replica in self._replicas:
            replica.bring_up = None

    async def _bring_up(self, fresh: Engine) -> None:
        async with self._turn:
            if fresh.version == self.version:
                await prove_engine(fresh, self._trainer, self._seed)
            else:
                self._told(await synchronise(fresh, self._trainer, self._seed))


def _as_one(replicas: Sequence[SupervisedEngine]) -> Engine:
    return replicas[0] if len(replicas) == 1 else ReplicatedEngine(replicas)
