"""The trainer's side of a weight update: the weights on their way to the engine, with a version and a digest over every one.

They go through files (`files`: in shared memory, or on a disk that machines share) or from device to device (`device`:
vLLM's NCCL and IPC engines). Either way the engine digests what it received and acknowledges it, and
`rl.training.synchronise` proves it.
"""

import torch

from rl.training.weight_sync.config import WeightSyncConfig
from rl.training.weight_sync.export import Export, Exporter
from rl.training.weight_sync.files import FileExporter

__all__ = ["Export", "Exporter", "FileExporter", "WeightSyncConfig", "weight_exporter"]


def weight_exporter(config: WeightSyncConfig) -> Exporter:
    """The exporter of ``config.backend``.

    Raises:
        ValueError: a backend for GPUs, and no GPU here.
    """
    if config.backend not in ("nccl", "ipc"):
        return FileExporter(config)
    if not torch.cuda.is_available():
        raise ValueError(f"weight_sync.backend={config.backend} needs a GPU; set it to memory or disk")
    from rl.training.weight_sync.device import DeviceExporter  # imports vLLM, which takes seconds

    return DeviceExporter(config)
