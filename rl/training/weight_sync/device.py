"""Weights from GPU to GPU, by vLLM's weight transfer engines: `nccl` between any GPUs, `ipc` within one.

vLLM's trainer side drives the engine over a client of its own; here the engine is driven by whoever calls
`rl.rollout.engine.Engine.update_weights`, so the client hands over what it is told to send, and the sending itself runs in a
thread until the engine has received everything. What is sent are the tensors of a checkpoint, as through files.
"""

import pickle
import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from vllm.distributed.weight_transfer.base import ParamMeta, TrainerInitInfo, WeightSource
from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory
from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo
from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

from rl.policy.weights import checkpoint_state, tensor_digest, weight_blocks
from rl.rollout.engine import DeviceTransfer, WeightUpdate
from rl.training.weight_sync.config import WeightSyncConfig
from rl.training.weight_sync.export import Export

__all__ = ["CheckpointSource", "DeviceExporter"]

_BACKENDS: dict[str, Literal["nccl", "ipc"]] = {"nccl": "nccl", "ipc": "ipc"}


class CheckpointSource(WeightSource):
    """The tensors of a model in the layout of a checkpoint, each on the device where it is."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._metadata: list[ParamMeta] = []

    def metadata(self) -> list[ParamMeta]:
        if not self._metadata:
            self._metadata = [ParamMeta(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in self]
        return self._metadata

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        for block in weight_blocks(self._model):  # one at a time: unstacked experts are copies
            yield from checkpoint_state(self._model, [block]).items()


class DeviceExporter:
    """See `rl.training.weight_sync.export.Exporter`."""

    def __init__(self, config: WeightSyncConfig) -> None:
        self.config = config
        self._client = _Client(hold=config.backend == "ipc")
        self._engine: Any = None  # vLLM's trainer side, once it has met the engine
        self._sending: threading.Thread | None = None
        self._error: Exception | None = None

    def export(self, model: nn.Module, version: int) -> Export:
        started = time.perf_counter()
        self._finish()
        source = CheckpointSource(model)
        digest, metadata = tensor_digest(source), source.metadata()
        self._client = _Client(hold=self.config.backend == "ipc")
        arguments = (source, next(model.parameters()).device)
        self._sending = threading.Thread(target=self._send, args=arguments, name="orrery-weights", daemon=True)
        init = self._told(self._client.init) if self._starts() else {}
        if self.config.backend == "ipc":
            tensors = self._told(self._client.tensors)
        else:  # the sender says so too, but only once it has met the engine
            tensors = {
                "names": [meta.name for meta in metadata],
                "dtype_names": [str(meta.dtype).removeprefix("torch.") for meta in metadata],
                "shapes": [list(meta.shape) for meta in metadata],
            }
        transfer = DeviceTransfer(_BACKENDS[self.config.backend], pickle.dumps(init), pickle.dumps(tensors))
        size = sum(meta.dtype.itemsize * torch.Size(meta.shape).numel() for meta in metadata)
        return Export(WeightUpdate(version, "", digest, None, transfer), size, time.perf_counter() - started)

    def close(self) -> None:
        # A sender whose engine is gone waits in NCCL for ever; its thread is a daemon and ends with the process.
        self._client.received.set()
        self._engine = None

    def _starts(self) -> bool:
        """Begins to send; whether this is the first time, so that the engine has to be met."""
        first = self._engine is None
        assert self._sending is not None
        self._sending.start()
        return first

    def _finish(self) -> None:
        """The update before was received: its receipt is there."""
        self._client.received.set()
        if self._sending is not None:
            self._sending.join()
        if self._error is not None:
            raise RuntimeError(f"weight sync: the weights could not be sent: {self._error}") from self._error

    def _send(self, source: CheckpointSource, device: torch.device) -> None:
        try:
            torch.cuda.set_device(device)
            if self._engine is None:
                meeting = self._meeting()
                self._engine = WeightTransferTrainerFactory.trainer_init(meeting, client=self._client, source=source)
            self._engine.client, self._engine.source = self._client, source
            self._engine.send_weights()
        except Exception as error:
            self._error = error

    def _told(self, channel: "queue.SimpleQueue[dict[str, Any]]") -> dict[str, Any]:
        """What the sending thread handed over.

        Raises:
            RuntimeError: it ended by an error instead.
        """
        while True:
            try:
                return channel.get(timeout=0.1)
            except queue.Empty:
                if self._error is not None:
                    self._finish()

    def _meeting(self) -> TrainerInitInfo:
        if self.config.backend == "ipc":
            return IPCTrainerInitInfo(rank=0)
        address = socket.gethostbyname(socket.gethostname())
        with socket.socket() as free:
            free.bind((address, 0))
            port = free.getsockname()[1]
        return NCCLTrainerInitInfo(address, port, 1 + self.config.engine_processes, rank=0)


class _Client:
    """Stands where vLLM expects a connection to the engine.

    Args:
        hold: whether what is sent must stay until `received` is set.
    """

    def __init__(self, hold: bool) -> None:
        self._hold = hold
        self.init: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.tensors: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.received = threading.Event()

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self.init.put(init_info)

    def start_weight_update(self) -> None:
        """`rl.rollout.worker_extension` does it."""

    def update_weights(self, update_info: dict[str, Any]) -> None:
        self.tensors.put(update_info)
        if self._hold:
            self.received.wait()

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """`rl.rollout.worker_extension` does it."""
