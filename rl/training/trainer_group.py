"""The trainer's ranks as Ray actors, driven as one: every rank gets the same call, and the first one answers.

A laptop has one rank; several meet over the network and split each mini-batch between them. An error of any rank is the
error of the call. Arguments are put into Ray's object store once, whatever the number of ranks.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from rl.rollout.proof import Probe, build_probe
from rl.training.deepspeed_settings import zero_stage
from rl.training.expert_parallel import are_sharded
from rl.training.optimization import whole_weights
from rl.training.packing import TokenRow
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_config import TrainerConfig
from rl.training.trainer_process import Ranks, leave
from rl.training.weight_sync import Export, Exporter, WeightSyncConfig, weight_exporter
from rl.training.zero import are_partitioned, number_of_elements

__all__ = ["Placement", "TrainerActor", "TrainerGroup"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the ranks run: on CPUs so far."""

    ranks: int = 1
    """Processes that train one model together."""
    threads: int | None = None
    """Compute threads of each rank; None divides the machine's cores between the ranks."""
    num_cpus: float = 0.5
    """What Ray counts for each rank. Rollouts and training take turns, so this is less than what a rank uses."""

    def __post_init__(self) -> None:
        if self.ranks < 1:
            raise ValueError(f"placement.ranks must be at least 1, not {self.ranks}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"placement.threads must be at least 1 or null, not {self.threads}")

    @property
    def threads_per_rank(self) -> int:
        return self.threads or max(1, (os.cpu_count() or 1) // self.ranks)


_PATIENCE = 10.0
"""Seconds that ranks have to end by themselves."""


class TrainerActor:
    """One rank in a process of its own."""

    def __init__(self) -> None:
        self._trainer: Trainer | None = None
        self._exporter: Exporter | None = None
        self._weight_sync = WeightSyncConfig()

    def meeting_point(self) -> str:
        """A free address on this machine, for the ranks to meet at."""
        with socket.socket() as free:
            free.bind(("", 0))
            return f"tcp://{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"

    def start(self, config: TrainerConfig, model: str, ranks: Ranks, weight_sync: WeightSyncConfig) -> int:
        """Loads the model directory; returns the number of parameters."""
        if weight_sync.backend in ("nccl", "ipc") and (config.parallel.experts > 1 or zero_stage(config.deepspeed) == 3):
            raise ValueError(
                f"weight_sync.backend must be memory or disk where trainer.parallel.experts is above 1, or the stage of ZeRO 3, "
                f"not {weight_sync.backend}, which sends weights when a rank has parted with those of the others again"
            )
        self._trainer, self._weight_sync = Trainer(config, model, ranks), weight_sync
        return number_of_elements(self._trainer.model)

    def call(self, name: str, *arguments: Any) -> Any:
        """A method of `Trainer`."""
        return getattr(self.trainer, name)(*arguments)

    # What one rank can do alone: the first one answers. Where ZeRO partitions the weights, or ranks share the experts, the
    # others take part.

    def export_weights(self) -> Export | None:
        """The weights as they are, under the trainer's version."""
        with whole_weights(self.trainer.model):
            if self.trainer.ranks.rank > 0:
                return None
            if self._exporter is None:
                self._exporter = weight_exporter(self._weight_sync)
            return self._exporter.export(self.trainer.model, self.trainer.version)

    def probe(self, seed: int) -> Probe | None:
        """Sequences that reach every expert, with the trainer's log-probabilities at the weights as they are."""
        model = self.trainer.model
        if not are_sharded(model):
            return build_probe(model, model.config.vocab_size, seed) if self._computes else None
        # The number of passes is up to the routes, which a rounding can change: two ranks might wait for each other for ever.
        with whole_weights(model):
            return build_probe(model, model.config.vocab_size, seed) if self.trainer.ranks.rank == 0 else None

    def log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]] | None:
        """`Trainer.log_probs`."""
        return self.trainer.log_probs(token_ids) if self._computes else None

    @property
    def _computes(self) -> bool:
        model = self.trainer.model
        return self.trainer.ranks.rank == 0 or are_partitioned(model) or are_sharded(model)

    def close(self) -> None:
        if self._exporter is not None:
            self._exporter.close()
        leave()

    @property
    def trainer(self) -> Trainer:
        if self._trainer is None:
            raise RuntimeError("the trainer has not been started")
        return self._trainer


class TrainerGroup:
    """All ranks; `await TrainerGroup.start(...)` makes one."""

    def __init__(self, actors: list[Any], parameters: int) -> None:
        self._actors = actors
        self.parameters = parameters
        """Number of parameters of the model."""

    @staticmethod
    async def start(
        config: TrainerConfig, model: str, placement: Placement | None = None, weight_sync: WeightSyncConfig | None = None
    ) -> "TrainerGroup":
        """Starts the ranks on a running Ray; each loads the model directory `model`."""
        placement = placement or Placement()
        threads = placement.threads_per_rank
        # Threads that wait must sleep: engine and trainer take turns on the same cores.
        environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false"}
        remote = ray.remote(num_cpus=placement.num_cpus)(TrainerActor)
        actors = [remote.options(runtime_env={"env_vars": environment}).remote() for _ in range(placement.ranks)]
        meeting = await actors[0].meeting_point.remote() if placement.ranks > 1 else None
        sync = weight_sync or WeightSyncConfig()
        starts = [
            actor.start.remote(config, model, Ranks(rank, placement.ranks, meeting, threads), sync)
            for rank, actor in enumerate(actors)
        ]
        try:
            counts = await asyncio.gather(*starts)
        except BaseException:
            for actor in actors:
                ray.kill(actor)
            raise
        return TrainerGroup(actors, counts[0])

    async def train_batch(
        self, rollouts: Rollouts, progress: float | None = None, demonstrations: Sequence[TokenRow] = ()
    ) -> dict[str, float]:
        """`Trainer.train_batch` on every rank."""
        return await self._call("train_batch", ray.put(rollouts), progress, ray.put(demonstrations))

    async def reset_optimizer(self) -> None:
        """`Trainer.reset_optimizer` on every rank."""
        await self._call("reset_optimizer")

    async def log_probs(self, token_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """`Trainer.log_probs`."""
        return await self._first(actor.log_probs.remote(token_ids) for actor in self._actors)

    async def export_weights(self) -> Export:
        """The weights in shared memory, as the engine takes them."""
        return await self._first(actor.export_weights.remote() for actor in self._actors)

    async def probe(self, seed: int) -> Probe:
        """What the engine must compute after it took the weights that `export_weights` wrote last."""
        return await self._first(actor.probe.remote(seed) for actor in self._actors)

    async def save_checkpoint(self, directory: str) -> None:
        """`Trainer.save_checkpoint` on every rank."""
        await self._call("save_checkpoint", directory)

    async def load_checkpoint(self, directory: str) -> None:
        """`Trainer.load_checkpoint` on every rank."""
        await self._call("load_checkpoint", directory)

    @property
    def ranks(self) -> int:
        return len(self._actors)

    async def dead_ranks(self, patience: float = 5.0) -> list[int]:
        """Ranks whose processes are gone.

        Args:
            patience: seconds until a rank that does not answer is taken to be busy; it may wait for the dead in a collective.
        """
        answers = [asyncio.ensure_future(_lives(actor)) for actor in self._actors]
        await asyncio.wait(answers, timeout=patience)
        dead = [rank for rank, answer in enumerate(answers) if answer.done() and not answer.result()]
        for answer in answers:
            answer.cancel()
        return dead

    async def close(self) -> None:
        """Ends the ranks and gives their shared memory back."""
        # A rank whose peer failed waits in a collective and hears nothing: what it leaves in memory, the next trainer removes.
        await asyncio.wait([asyncio.ensure_future(_ended(actor)) for actor in self._actors], timeout=_PATIENCE)
        for actor in self._actors:
            ray.kill(actor)

    async def _call(self, name: str, *arguments: Any) -> Any:
        return await self._first(actor.call.remote(name, *arguments) for actor in self._actors)

    async def _first(self, calls: Iterable[Any]) -> Any:
        """The first rank's answer. The first error of any rank is raised at once: its peers may wait in a collective."""
        answers = await asyncio.gather(*calls)
        return answers[0]


async def _ended(actor: Any) -> None:
    with contextlib.suppress(ray.exceptions.RayError):
        await actor.close.remote()


async def _lives(actor: Any) -> bool:
    try:
        await actor.__ray_ready__.remote()
    except ray.exceptions.RayActorError:
        return False
    return True
