"""Several engines as one: a request goes to whichever has the fewest in flight, updates and interruptions go to all.

Every replica holds the same weights, and a request brings its own seed: who samples it is a matter of time alone, but for
the last bits of float sums, which depend on what is computed together.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Sequence
from typing import Any

from rl.rollout.engine import Completion, Engine, UpdateMode, UpdateReceipt, WeightSyncError, WeightUpdate
from trajectories.trajectory import Sampling

__all__ = ["ReplicatedEngine", "replicas_of"]


class ReplicatedEngine:
    """See `rl.rollout.engine.Engine`.

    Args:
        replicas: engines of one policy at one version.
        keep_dialogues: requests whose ids differ only after the last slash go to one replica, whoever is busy: for engines
            that have the earlier turns of a dialogue in their prefix caches.
    """

    def __init__(self, replicas: Sequence[Engine], keep_dialogues: bool = False) -> None:
        if not replicas:
            raise ValueError("a replicated engine has at least one replica")
        self.replicas = tuple(replicas)
        self._in_flight = [0] * len(self.replicas)
        self._keep_dialogues = keep_dialogues

    @property
    def version(self) -> int:
        return min(replica.version for replica in self.replicas)

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        sampling: Sampling,
        *,
        max_tokens: int,
        stop_token_ids: Sequence[int],
        request_id: str,
        grammar: str | None = None,
    ) -> Completion:
        chosen = self._choose(request_id)
        self._in_flight[chosen] += 1
        try:
            return await self.replicas[chosen].generate(
                prompt_token_ids,
                sampling,
                max_tokens=max_tokens,
                stop_token_ids=stop_token_ids,
                request_id=request_id,
                grammar=grammar,
            )
        finally:
            self._in_flight[chosen] -= 1

    async def update_weights(self, update: WeightUpdate, mode: UpdateMode = "wait") -> UpdateReceipt:
        """All replicas take them at once; the receipt has the longest of their times."""
        receipts = await _all(*(replica.update_weights(update, mode) for replica in self.replicas))
        if len(told := {(receipt.version, receipt.digest) for receipt in receipts}) > 1:
            raise WeightSyncError(f"weight sync: the replicas acknowledged different weights: {sorted(told)}")
        return UpdateReceipt(
            receipts[0].version,
            receipts[0].digest,
            receipts[0].tensors,
            seconds=max(receipt.seconds for receipt in receipts),
            waited_seconds=max(receipt.waited_seconds for receipt in receipts),
        )

    async def interrupt(self) -> None:
        await _all(*(replica.interrupt() for replica in self.replicas))

    async def prompt_log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """Of one replica; a proof asks each (`replicas_of`)."""
        return await self.replicas[self._idlest()].prompt_log_probs(token_ids)

    async def close(self) -> None:
        await _all(*(replica.close() for replica in self.replicas))

    def _choose(self, request_id: str) -> int:
        if self._keep_dialogues:
            return zlib.crc32(request_id.rpartition("/")[0].encode()) % len(self.replicas)
        return self._idlest()

    def _idlest(self) -> int:
        return min(range(len(self.replicas)), key=self._in_flight.__getitem__)


def replicas_of(engine: Engine) -> tuple[Engine, ...]:
    """The engines that hold weights of their own."""
    return engine.replicas if isinstance(engine, ReplicatedEngine) else (engine,)


async def _all(*calls: Awaitable[Any]) -> list[Any]:
    """What each gives, once all have ended; the first error of any is raised then, and not while others still work."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
