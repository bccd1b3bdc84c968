"""The trainer's side of a weight update: the weights on their way to the engine, with a version and a digest over every one.

They go through files (`files`: in shared memory, or on a disk that machines share) or from device to device (`device`:
vLLM's NCCL and IPC engines). Either way the engine digests what it received and acknowledges it, and
`rl.training.synchronise` proves it.
"""

import torch
from torch import nn

from rl.training.weight_sync.config import WeightSyncConfig
from rl.training.weight_sync.export import Export, Exporter
from rl.training.weight_sync.files import FileExporter

__all__ = ["Export", "Exporter", "FileExporter", "WeightExporter", "WeightSyncConfig"]


class WeightExporter:
    """The `Exporter` of ``config.backend``."""

    def __init__(self, config: WeightSyncConfig | None = None) -> None:
        config = config or WeightSyncConfig()
        self._exporter: Exporter
        if config.backend in ("nccl", "ipc"):
            if not torch.cuda.is_available():
                raise ValueError(f"weight_sync.backend={config.backend} needs a GPU; set it to memory or disk")
            from rl.training.weight_sync.device import DeviceExporter  # imports vLLM, which takes seconds

            self._exporter = DeviceExporter(config)
        else:
            self._exporter = FileExporter(config)

    def export(self, model: nn.Module, version: int) -> Export:
        """See `Exporter.export`."""
        return self._exporter.export(model, version)

    def close(self) -> None:
        self._exporter.close()
