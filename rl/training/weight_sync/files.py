"""Weights through files, in shared memory or on a disk that the engine's machine sees too.

One directory per trainer. Its name holds the machine and the trainer's process id, so that the next trainer on the machine
removes what a killed one left there. Each file is replaced as a whole: a reader that has the old one open keeps reading it.
"""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
from torch import Tensor, nn

from rl.policy.weights import block_of, checkpoint_state, combined_digest, digests, weight_blocks, write_weights
from rl.rollout.engine import WeightUpdate
from rl.training.weight_sync.config import WeightSyncConfig
from rl.training.weight_sync.export import Export
from trajectories.shard_files import sync_path

__all__ = ["FileExporter"]

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "orrery-weights-"

Block = Mapping[str, Tensor]


class FileExporter:
    """See `rl.training.weight_sync.export.Exporter`."""

    def __init__(self, config: WeightSyncConfig | None = None) -> None:
        self.config = config or WeightSyncConfig()
        shared = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
        place = Path(self.config.directory) if self.config.directory is not None else shared or Path(tempfile.gettempdir())
        place.mkdir(parents=True, exist_ok=True)
        prefix = f"{PREFIX}{socket.gethostname()}-"
        _remove_abandoned(place, prefix)
        self.directory = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=place))
        self._sent: dict[str, bytes] = {}
        self._version: int | None = None

    def export(self, model: nn.Module, version: int) -> Export:
        started = time.perf_counter()
        again = version == self._version  # by an engine that does not have it, nor perhaps the one before
        base = self._version if self.config.changed_only and not again else None
        self._version = None  # should this one fail, the next one is whole
        path = self.directory / f"{version:08d}"
        for older in self.directory.iterdir():
            shutil.rmtree(older, ignore_errors=True)  # a network's file system may keep what is still open there until next time
        size = 0
        parts: dict[str, bytes] = {}
        for number, tensors in enumerate(self._buckets(model)):
            new = digests(tensors.items())
            parts |= new
            if base is not None:
                changed = {block_of(name) for name, one in new.items() if self._sent.get(name) != one}
                tensors = {name: tensor for name, tensor in tensors.items() if block_of(name) in changed}
            if tensors or not number:  # a directory without a file would be one that was lost
                file = write_weights(tensors, path, f"model-{number:05d}.safetensors")
                if self.config.backend == "disk":  # another machine must not hear of it before the bytes are there
                    sync_path(file)
            size += sum(tensor.nbytes for tensor in tensors.values())
        if self.config.backend == "disk":
            sync_path(path)
        self._sent, self._version = parts, version
        update = WeightUpdate(version, str(path), combined_digest(parts), base)
        return Export(update, size, time.perf_counter() - started)

    def close(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    def _buckets(self, model: nn.Module) -> Iterator[dict[str, Tensor]]:
        """The checkpoint's tensors on the CPU, file by file; no more than one file's at a time."""
        for blocks in _filled(weight_blocks(model), self.config.bucket_mb):
            state = checkpoint_state(model, blocks)
            yield {name: tensor.to("cpu").contiguous() for name, tensor in state.items()}


def _filled(blocks: Sequence[Block], bucket_mb: float | None) -> Iterator[list[Block]]:
    """Consecutive blocks of at most `bucket_mb` MiB together; one that has more stands alone."""
    if bucket_mb is None:
        yield list(blocks)
        return
    bucket: list[Block] = []
    room = limit = bucket_mb * 2**20
    for block in blocks:
        size = sum(tensor.nbytes for tensor in block.values())
        if bucket and size > room:
            yield bucket
            bucket, room = [], limit
        bucket.append(block)
        room -= size
    yield bucket


def _remove_abandoned(place: Path, prefix: str) -> None:
    """Removes the directories of trainers that are gone; a process id that is in use again keeps its directory."""
    for path in place.glob(f"{prefix}*-*"):
        pid = path.name.removeprefix(prefix).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)
