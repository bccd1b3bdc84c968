"""One proven weight update, trainer actor to engine actor, over the time to copy the same bytes in memory.

The weights really change between two updates: a small batch is learnt each time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from benchmarks.figure import Figure, Limit, seconds_of
from benchmarks.workload import Demonstration
from rl.rollout.engine_config import EngineConfig
from rl.rollout.remote_engine import RemoteVLLMEngine
from rl.training.packing import TokenRow
from rl.training.synchronise import Synchronisation, prove_engine, synchronise
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_group import Placement, TrainerGroup
from trajectories.seeds import derive_seed

__all__ = ["WeightSyncBenchmark", "measure"]

_COPIES = 10


@dataclass(frozen=True, kw_only=True)
class WeightSyncBenchmark:
    engine: EngineConfig = field(
        default_factory=lambda: EngineConfig(model="", max_model_len=512, max_num_seqs=32, kv_cache_gb=0.25)
    )
    """An empty engine.model stands for the policy of the whole benchmark."""
    placement: Placement = field(default_factory=Placement)
    """Trainer processes."""
    sequences: int = 4
    """Rollouts that are learnt between two updates; not measured."""

    def __post_init__(self) -> None:
        if self.sequences < 2:
            raise ValueError(f"sequences: must be at least 2, not {self.sequences}")

    def quick(self) -> "WeightSyncBenchmark":
        return replace(self, engine=replace(self.engine, max_num_seqs=8, spin=False), sequences=2)


def measure(
    settings: WeightSyncBenchmark, model: str, demonstrations: Sequence[Demonstration], repeats: int, seed: int = 0
) -> list[Figure]:
    """Seconds of export and update, and of the proof after it; needs a running Ray."""
    updates = asyncio.run(_updates(settings, model, demonstrations[: settings.sequences], repeats + 1, seed))[1:]
    size = updates[0].bytes
    copy = Limit("memory copy of the same bytes", _copy_seconds(size, repeats))
    details = {
        "bytes": float(size),
        "max_logprob_difference": max(update.proof.max_difference for update in updates),
        "mean_logprob_difference": max(update.proof.mean_difference for update in updates),
    }
    proof = {"tokens": float(updates[0].proof.tokens)}
    return [
        Figure("weight sync, export and update", "s", tuple(update.seconds for update in updates), copy, details),
        Figure("weight sync, proof", "s", tuple(update.proof_seconds for update in updates), None, proof),
    ]


async def _updates(
    settings: WeightSyncBenchmark, model: str, demonstrations: Sequence[Demonstration], count: int, seed: int
) -> list[Synchronisation]:
    engine = RemoteVLLMEngine(replace(settings.engine, model=settings.engine.model or model))
    try:
        trainer = await TrainerGroup.start(TrainerConfig(gradient_steps=1), model, settings.placement)
        try:
            await engine.start()
            await prove_engine(engine, trainer, derive_seed(seed, "probe", 0))
            updates = []
            for number in range(1, count + 1):
                await trainer.train_batch(await _rollouts(trainer, demonstrations))
                updates.append(await synchronise(engine, trainer, derive_seed(seed, "probe", number)))
            return updates
        finally:
            await trainer.close()
    finally:
        await engine.close()


async def _rollouts(trainer: TrainerGroup, demonstrations: Sequence[Demonstration]) -> Rollouts:
    """The dialogues as if the policy, as it is now, had sampled them; one group, half of it right."""
    rows = []
    scored = await trainer.log_probs([ids for ids, _ in demonstrations])
    for (ids, mask), log_probs in zip(demonstrations, scored, strict=True):
        behaviour = np.where(mask, np.concatenate([[0.0], log_probs]), 0.0).astype(np.float32)
        rows.append(TokenRow(np.asarray(ids, dtype=np.int64), np.asarray(mask, dtype=bool), behaviour))
    count = len(rows)
    advantages = (torch.arange(count) % 2).double()
    return Rollouts(rows, advantages - advantages.mean(), torch.ones(count).bool(), torch.zeros(count).long())


def _copy_seconds(size: int, repeats: int) -> tuple[float, ...]:
    """Of one copy between two buffers that are there already."""
    source, target = np.ones(size, dtype=np.uint8), np.zeros(size, dtype=np.uint8)

    def copies() -> None:
        for _ in range(_COPIES):
            np.copyto(target, source)

    return tuple(seconds_of(copies) / _COPIES for _ in range(repeats + 1))[1:]
