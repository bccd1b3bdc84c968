"""Weights on their way from the trainer to an engine: one file, one layout, one digest that both sides compute.

The file is what `save_pretrained` would write (Hugging Face names, routed experts one by one), so that anything that
loads a checkpoint loads an update. The digest covers every tensor of it, buffers too: name, dtype, shape and bytes.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.core_model_loading import revert_weight_conversion
from transformers.modeling_utils import remove_tied_weights_from_state_dict

from rl.policy.disk import full_disk_is_an_os_error

__all__ = [
    "WeightsFileError",
    "block_of",
    "checkpoint_state",
    "combined_digest",
    "digests",
    "disk_state",
    "export_weights",
    "read_weights",
    "tensor_digest",
    "weight_blocks",
    "weight_names",
    "write_weights",
]

WEIGHTS_FILE = "model.safetensors"


class WeightsFileError(ValueError):
    """A directory whose weights cannot be read, and why."""


def tensor_digest(named_tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 over (name, dtype, shape, bytes) of every tensor, whatever their order; 64 hexadecimal digits.

    Costs about a millisecond of one core per megabyte. Tensors may be on any device and of any dtype.

    Raises:
        ValueError: when a name comes twice.
    """
    return combined_digest(digests(named_tensors))


def digests(named_tensors: Iterable[tuple[str, Tensor]]) -> dict[str, bytes]:
    """SHA-256 over (dtype, shape, bytes) of each tensor by itself, on every core that this process may use.

    Raises:
        ValueError: when a name comes twice.
    """
    threads = len(os.sched_getaffinity(0))
    parts: dict[str, bytes] = {}
    names: set[str] = set()
    running: deque[tuple[str, Future[bytes]]] = deque()
    with ThreadPoolExecutor(threads) as pool:  # hashing leaves the interpreter to others
        for name, tensor in named_tensors:
            if name in names:
                raise ValueError(f"tensor {name} comes twice; a digest covers each name once")
            names.add(name)
            tensor = tensor.detach().to("cpu")  # here, because what fills it may be in this thread's stream
            running.append((name, pool.submit(_digest_of_one, tensor)))
            if len(running) > 2 * threads:  # no more tensors are held at a time
                first, digest = running.popleft()
                parts[first] = digest.result()
    return parts | {name: digest.result() for name, digest in running}


def combined_digest(parts: Mapping[str, bytes]) -> str:
    """What `tensor_digest` gives for the tensors of these `digests`."""
    whole = hashlib.sha256()
    for name in sorted(parts):
        whole.update(f"{name}\0".encode() + parts[name])
    return whole.hexdigest()


def export_weights(model: nn.Module, directory: str | os.PathLike[str]) -> tuple[str, int]:
    """Writes `model`'s weights to ``directory/model.safetensors``, atomically.

    A file of that name is replaced at once, so a reader that has the old one open keeps reading the old one.

    Returns:
        The digest of what was written, and its size in bytes (tensors only).

    Raises:
        OSError: e.g. ENOSPC for a full disk; the older file is as it was.
    """
    state = disk_state(model)
    write_weights(state, directory)
    return tensor_digest(state.items()), sum(tensor.nbytes for tensor in state.values())


def write_weights(tensors: dict[str, Tensor], directory: str | os.PathLike[str], file: str = WEIGHTS_FILE) -> Path:
    """Writes tensors to ``directory/file``, atomically: see `export_weights`."""
    path = Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    partial = path / f".{file}.{os.getpid()}"
    try:
        with full_disk_is_an_os_error(path):
            save_file(tensors, partial, metadata={"format": "pt"})
        return partial.replace(path / file)
    finally:
        partial.unlink(missing_ok=True)


def disk_state(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer in the layout of a checkpoint on disk; contiguous tensors on the CPU.

    transformers 5 keeps the routed experts of a layer stacked; on disk they are one by one, as other loaders expect.
    """
    state = checkpoint_state(model, weight_blocks(model))
    return {name: tensor.to("cpu").contiguous() for name, tensor in state.items()}


def checkpoint_state(model: nn.Module, blocks: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of some of the `weight_blocks` in the layout of a checkpoint, where they are; no copies but where the
    layout asks for them.
    """
    state = {name: tensor for block in blocks for name, tensor in block.items()}
    return {name: tensor.detach() for name, tensor in revert_weight_conversion(model, state).items()}


def weight_blocks(model: nn.Module) -> list[dict[str, Tensor]]:
    """The model's own tensors by `block_of`, in the order of its modules; a tied weight stands once."""
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    blocks: dict[str, dict[str, Tensor]] = {}
    for name, tensor in remove_tied_weights_from_state_dict(state, model).items():
        blocks.setdefault(block_of(name), {})[name] = tensor
    return list(blocks.values())


def block_of(name: str) -> str:
    """The part of the model that an engine loads as one: attention, MLP or a norm of one layer, or another module.

    Engines fuse tensors inside of such a part (query and key/value projections, gate and up, a layer's experts), so that
    one of them alone cannot be loaded.
    """
    parts = name.split(".")
    layer = next((index for index, part in enumerate(parts) if part.isdecimal()), len(parts))
    return ".".join(parts[: min(layer + 2, len(parts) - 1)])


def read_weights(directory: str | os.PathLike[str]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of every safetensors file of `directory`, read one at a time.

    Raises:
        WeightsFileError: when there is none.
    """
    for file in _files(directory):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (not a mapping)
                yield name, weights.get_tensor(name)


def weight_names(directory: str | os.PathLike[str]) -> frozenset[str]:
    """Names of the tensors that `read_weights` would give; reads headers only."""
    names: set[str] = set()
    for file in _files(directory):
        with safe_open(file, framework="pt") as weights:
            names.update(weights.keys())
    return frozenset(names)


def _files(directory: str | os.PathLike[str]) -> list[Path]:
    files = sorted(Path(directory).glob("*.safetensors"))
    if not files:
        raise WeightsFileError(f"weights: {directory} holds no .safetensors file")
    return files


def _digest_of_one(tensor: Tensor) -> bytes:
    """Of a tensor on the CPU."""
    one = hashlib.sha256(f"{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
    flat = tensor.contiguous().reshape(-1)
    if flat.numel():
        one.update(flat.view(torch.uint8).numpy().data)
    return one.digest()
