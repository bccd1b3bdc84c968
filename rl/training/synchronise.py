"""Law 5 as one call: the engine takes the trainer's weights, acknowledges them, and computes what the trainer computes."""

import time
from dataclasses import dataclass

from rl.rollout.engine import Engine, UpdateMode, WeightSyncError
from rl.rollout.proof import Proof, prove
from rl.training.trainer_group import TrainerGroup

__all__ = ["Synchronisation", "prove_engine", "synchronise"]


@dataclass(frozen=True, slots=True)
class Synchronisation:
    """One proven weight update."""

    proof: Proof
    coverage: float
    """Share of the routed experts that a token of the probe reached; the digest covers all of them."""
    bytes: int
    """Size of the tensors."""
    seconds: float
    """Export, transfer and loading, without the proof."""
    proof_seconds: float


async def synchronise(engine: Engine, trainer: TrainerGroup, seed: int, mode: UpdateMode = "wait") -> Synchronisation:
    """Bring the engine to the trainer's weights and prove it.

    Args:
        seed: of the probe's tokens.
        mode: what becomes of requests in flight. What is sampled between the update and its proof is proven by it.

    Raises:
        WeightSyncError: the engine acknowledged something else, or computes something else, than the trainer.
    """
    started = time.perf_counter()
    export = await trainer.export_weights()
    if export.update.base not in (None, engine.version):
        # What changed since weights that this engine never had, because it died and began anew. Asked for again, all travel.
        export = await trainer.export_weights()
    receipt = await engine.update_weights(export.update, mode)
    if (receipt.version, receipt.digest) != (export.update.version, export.update.digest):
        raise WeightSyncError(
            f"weight sync: the engine acknowledged version {receipt.version} with digest {receipt.digest}, the trainer "
            f"sent version {export.update.version} with digest {export.update.digest}"
        )
    loaded = time.perf_counter()
    probe = await trainer.probe(seed)
    proof = await prove(engine, probe.log_probs, probe)
    return Synchronisation(proof, probe.coverage, export.bytes, loaded - started, time.perf_counter() - loaded)


async def prove_engine(engine: Engine, trainer: TrainerGroup, seed: int) -> Proof:
    """Compare engine and trainer as they are, e.g. before the first rollout.

    Raises:
        WeightSyncError: they compute different log-probabilities.
    """
    probe = await trainer.probe(seed)
    return await prove(engine, probe.log_probs, probe)
