"""Runs inside vLLM's workers: takes weights, proves what it took, and ends with the process that started the engine.

vLLM mixes the class into its worker (`worker_extension_cls`), so every method is reached by `collective_rpc`. From files
nothing is loaded before the digest over every tensor and the set of their names are what they should be.
"""

import os
import pickle
import select
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from rl.policy.weights import block_of, combined_digest, digests, read_weights, tensor_digest, weight_names
from rl.rollout.engine import DeviceTransfer, WeightUpdate

__all__ = ["OWNER_VARIABLE", "WorkerExtension"]

OWNER_VARIABLE = "ORRERY_ENGINE_OWNER"
"""Environment variable: id of the process that the engine must not outlive."""


class WorkerExtension:
    """Methods that vLLM's worker gains; the prefix keeps them apart from vLLM's own."""

    model_runner: Any
    vllm_config: Any
    device: Any

    def orrery_begin(self, directory: str) -> dict[str, Any]:
        """Remembers which tensors the model was started with.

        Returns:
            ``process`` id, number of ``tensors``, and their ``digest``.
        """
        self._orrery_held = digests(read_weights(directory))
        self._orrery_version = 0
        self._orrery_transfer: Any = None
        return {"process": os.getpid(), "tensors": len(self._orrery_held), "digest": combined_digest(self._orrery_held)}

    def orrery_update(self, told: dict[str, Any], rebuild_experts: bool) -> dict[str, Any]:
        """Loads the weights that a `WeightUpdate`, as a mapping, names if they are what it says.

        Returns:
            ``digest`` over all tensors as computed here, ``tensors`` that travelled, ``seconds``, and ``error`` (None when
            everything was loaded).
        """
        start = time.perf_counter()
        transfer = told.pop("device")
        update = WeightUpdate(**told)
        take = self._take_files if transfer is None else partial(self._take_from_device, DeviceTransfer(**transfer))
        names, digest, error = take(update, rebuild_experts)
        self._orrery_version = update.version
        return {"digest": digest, "tensors": len(names), "seconds": time.perf_counter() - start, "error": error}

    def orrery_resident_digest(self) -> str:
        """Digest of the tensors that the engine computes with, parameters and buffers, in the engine's own layout."""
        model = self.model_runner.model
        return tensor_digest([*model.named_parameters(), *model.named_buffers()])

    def _take_files(self, update: WeightUpdate, rebuild_experts: bool) -> tuple[Set[str], str, str | None]:
        """Names of what travelled, digest over everything, and what was wrong; nothing is loaded that is not proven."""
        if update.base is not None and update.base != self._orrery_version:
            wrong = f"it is what changed since version {update.base}, and the engine holds version {self._orrery_version}"
            return frozenset(), "", wrong
        names = weight_names(update.path)
        if (missing := self._not_whole(names, partial=update.base is not None)) is not None:
            return names, "", missing
        received = self._orrery_held | digests(read_weights(update.path))
        if (digest := combined_digest(received)) != update.digest:
            return names, digest, _other_digest(digest, update.digest)
        error = self._load(names, read_weights(update.path), rebuild_experts)
        self._orrery_held = received
        return names, digest, error

    def _take_from_device(
        self, transfer: DeviceTransfer, update: WeightUpdate, rebuild_experts: bool
    ) -> tuple[Set[str], str, str | None]:
        """As `_take_files`, but each tensor is loaded as it comes: where the digest is wrong, the model is lost."""
        from vllm.config import set_current_vllm_config
        from vllm.config.weight_transfer import WeightTransferConfig
        from vllm.distributed.weight_transfer import WeightTransferEngineFactory

        model = self.model_runner.model
        if self._orrery_transfer is None:
            config = WeightTransferConfig(backend=transfer.backend)
            engine = WeightTransferEngineFactory.create_engine(config, self.vllm_config, self.device, model)
            engine.init_transfer_engine(engine.parse_init_info(pickle.loads(transfer.init)))
            self._orrery_transfer = engine
        engine = self._orrery_transfer
        tensors = pickle.loads(transfer.tensors)
        if wrong := self._not_whole(frozenset(tensors["names"]), partial=False):
            return frozenset(), "", wrong
        received: dict[str, bytes] = {}

        def digesting(weights: Iterable[tuple[str, Tensor]]) -> Any:
            weights = list(weights)
            received.update(digests(weights))
            return model.load_weights(weights)

        with torch.no_grad(), set_current_vllm_config(self.vllm_config), self._rebuilding(rebuild_experts):
            engine.start_weight_update()
            engine.model = SimpleNamespace(load_weights=digesting)
            try:
                engine.update_weights(tensors)
            finally:
                engine.model = model
            left = self._unreached(frozenset(received))
            engine.finish_weight_update()
        digest = combined_digest(received)
        self._orrery_held = received
        error = _other_digest(digest, update.digest) if digest != update.digest else _not_loaded(left)
        return frozenset(received), digest, error

    def _not_whole(self, names: Set[str], partial: bool) -> str | None:
        """What is wrong with an update of these tensors: of each block (`block_of`) that travels, all do."""
        blocks = {block_of(name) for name in names}
        wanted = {name for name in self._orrery_held if not partial or block_of(name) in blocks}
        if names == wanted:
            return None
        return f"tensors are missing ({_some(sorted(wanted - names))}) or unknown ({_some(sorted(names - wanted))})"

    @contextmanager
    def _rebuilding(self, rebuild_experts: bool) -> Iterator[None]:
        """Within, experts that are loaded are packed anew.

        vLLM's CPU kernel packs expert weights when it is built and believes an existing kernel's weights are packed already;
        without a kernel it packs the new ones. Layers that nothing was loaded into keep the kernel that they had.
        """
        methods: list[Any] = [getattr(module, "quant_method", None) for module in self.model_runner.model.modules()]
        kernels = [(method, method.moe_kernel) for method in methods if getattr(method, "moe_kernel", None) is not None]
        if rebuild_experts:
            for method, _ in kernels:
                method.moe_kernel = None
        yield
        for method, kernel in kernels:
            if method.moe_kernel is None:
                method.moe_kernel = kernel

    def _load(self, names: Set[str], weights: Iterable[tuple[str, Tensor]], rebuild_experts: bool) -> str | None:
        """Loads in place; returns what is wrong."""
        model = self.model_runner.model
        load_weights = model.load_weights
        left: set[str] = set()

        def counting(stream: Iterator[tuple[str, Tensor]]) -> set[str]:
            loaded = load_weights(stream)
            left.update(self._unreached(names))
            return loaded

        # reload_weights only logs what was not loaded, and does not return it.
        model.load_weights = counting
        try:
            with torch.no_grad(), self._rebuilding(rebuild_experts):
                self.model_runner.reload_weights(weights_iterator=weights)
        finally:
            del model.load_weights
        return _not_loaded(left)

    def _unreached(self, names: Set[str]) -> set[str]:
        """Layers of the blocks that `names` are in which no tensor reached; to be called while vLLM is loading."""
        from vllm.model_executor.model_loader.reload.layerwise import get_layerwise_info

        blocks = tuple(f"{block_of(name)}." for name in names)
        left = set()
        # At this moment the layers hold the parameters that a checkpoint fills, without those derived from them.
        for name, layer in self.model_runner.model.named_modules():
            info = get_layerwise_info(layer)
            if info.can_load() and not info.load_numel and any(True for _ in layer.parameters(recurse=False)):
                left.add(name)
        everything = names == self._orrery_held.keys()
        return {name for name in left if everything or f"{name}.".startswith(blocks)}


def _other_digest(received: str, sent: str) -> str:
    return f"the engine received digest {received[:16]}, the trainer sent {sent[:16]}"


def _not_loaded(layers: Set[str]) -> str | None:
    return f"layers of the engine were not loaded: {_some(sorted(layers))}" if layers else None


def _some(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more if names else "none"


def _end_with_owner() -> None:
    """Kills this process as soon as its owner is gone: a killed driver would otherwise leave the engine running."""
    owner = os.environ.get(OWNER_VARIABLE)
    if not owner or int(owner) == os.getpid() or not hasattr(os, "pidfd_open"):
        return
    try:
        descriptor = os.pidfd_open(int(owner))
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
        return

    def watch() -> None:
        select.select([descriptor], [], [])  # readable once the owner has ended
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="orrery-owner-watch", daemon=True).start()


# At import, because vLLM imports this module in each worker before it loads the model and offers no earlier hook: a
# driver that is killed during the start leaves nothing behind either.
_end_with_owner()
