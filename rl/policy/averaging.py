"""Weight averaging of models that have one architecture and one tokenizer: one tensor at a time, in float32.

Kimi k1.5 (arXiv 2501.12599, section 2.4) merges a model of long answers with one of short ones this way, without any training.
Whatever would make an average of unlike things (another shape, dtype, vocabulary or chat format) is refused by name.
"""

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rl.policy.disk import full_disk_is_an_os_error
from rl.policy.presets import ModelDirectoryError
from rl.policy.tokenizer_files import TEMPLATES, check_same_tokenizer

__all__ = ["average", "check_average"]

_UNIMPORTANT = ("transformers_version", "_name_or_path", "dtype", "torch_dtype")
"""Keys of config.json that say nothing about the architecture; dtypes are compared tensor by tensor."""


def average(models: Sequence[str | os.PathLike[str]], weights: Sequence[float], directory: str | os.PathLike[str]) -> int:
    """Writes ``sum of weight * model`` to `directory`, with the files and dtypes of the first model; returns the tensors.

    Memory is that of one file of weights.

    Args:
        models: Hugging Face model directories with safetensors.
        weights: of each; above 0, and they add up to 1.

    Raises:
        ValueError: weights that are not such.
        ModelDirectoryError: a directory that is no such model, or models that do not fit each other; names the file or tensor.
        OSError: e.g. ENOSPC for a full disk.
    """
    sources = check_average(models, weights)
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    with full_disk_is_an_os_error(target), ExitStack() as stack:
        files: dict[Path, Any] = {}
        for path in sorted({path for source in sources for path in source.values()}):
            files[path] = stack.enter_context(safe_open(path, framework="pt"))
        first = Path(models[0])
        for path in sorted(set(sources[0].values())):
            names = [name for name, place in sources[0].items() if place == path]
            merged = {
                name: _mean(name, [files[source[name]].get_tensor(name) for source in sources], weights, models) for name in names
            }
            save_file(merged, target / path.name, metadata=files[path].metadata() or {"format": "pt"})
        for path in first.iterdir():
            if path.is_file() and path.suffix not in (".safetensors", ".bin", ".pt", ".pth") and path.name != "trainer.json":
                shutil.copyfile(path, target / path.name)
        if (first / TEMPLATES).is_dir():
            shutil.copytree(first / TEMPLATES, target / TEMPLATES, dirs_exist_ok=True)
    return len(sources[0])


def check_average(models: Sequence[str | os.PathLike[str]], weights: Sequence[float]) -> list[dict[str, Path]]:
    """The file of each tensor of each model; reads configs, tokenizers and headers. Raises as `average` does."""
    if len(models) < 2:
        raise ValueError(f"models: an average is of at least 2 models, not {len(models)}")
    if len(weights) != len(models):
        raise ValueError(f"weights: one for each of the {len(models)} models, not {len(weights)}")
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise ValueError(f"weights: each is above 0, unlike {list(weights)}")
    if not math.isclose(sum(weights), 1.0, abs_tol=1e-6):
        raise ValueError(f"weights: they add up to 1, not {sum(weights):g}")
    directories = [Path(model) for model in models]
    sources = [_tensors(directory) for directory in directories]
    for directory, source in zip(directories[1:], sources[1:], strict=True):
        _check_config(directories[0], directory)
        check_same_tokenizer(directories[0], directory)
        if source.keys() != sources[0].keys():
            unlike = min(source.keys() ^ sources[0].keys())
            raise ModelDirectoryError(f"{directory} and {directories[0]} have different tensors: {unlike} is in one of them")
        _check_headers(sources[0], source)
    return sources


def _mean(name: str, tensors: Sequence[Tensor], weights: Sequence[float], models: Sequence[Any]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        for model, tensor in zip(models, tensors, strict=True):
            if not torch.equal(tensor, first):
                raise ModelDirectoryError(f"{name} holds integers, and those of {model} are others than those of {models[0]}")
        return first
    total = torch.zeros_like(first, dtype=torch.float32)
    for model, tensor, weight in zip(models, tensors, weights, strict=True):
        if not bool(torch.isfinite(tensor).all()):
            raise ModelDirectoryError(f"{name} of {model} is not finite")
        total.add_(tensor.float(), alpha=weight)
    return total.to(first.dtype)


def _tensors(directory: Path) -> dict[str, Path]:
    """Name to the file that holds it."""
    paths = sorted(directory.glob("*.safetensors"))
    if not (directory / "config.json").is_file() or not paths:
        lacks = "config.json" if paths else "weights in safetensors"
        raise ModelDirectoryError(f"models: {directory} has no {lacks}; name model directories")
    if "quantization_config" in _read(directory / "config.json"):
        raise ModelDirectoryError(f"models: {directory} is quantised, and scaled numbers have no mean; name unquantised models")
    found: dict[str, Path] = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                found |= dict.fromkeys(file.keys(), path)
        except (OSError, SafetensorError) as error:
            raise ModelDirectoryError(f"{path} is truncated or damaged: {error}") from error
    return found


def _check_config(one: Path, other: Path) -> None:
    first, second = (_read(directory / "config.json") for directory in (one, other))
    keys = sorted(key for key in first.keys() | second.keys() if key not in _UNIMPORTANT)
    for key in keys:
        if first.get(key) != second.get(key):
            raise ModelDirectoryError(
                f"{other} and {one} have different architectures: {key} is {second.get(key)} and {first.get(key)}"
            )


def _check_headers(one: Mapping[str, Path], other: Mapping[str, Path]) -> None:
    """Shapes and dtypes, from headers alone."""
    with ExitStack() as stack:
        paths = sorted({*one.values(), *other.values()})
        files = {path: stack.enter_context(safe_open(path, framework="pt")) for path in paths}
        for name in sorted(one):
            here, there = (files[source[name]].get_slice(name) for source in (one, other))
            for what, first, second in (
                ("shape", here.get_shape(), there.get_shape()),
                ("dtype", here.get_dtype(), there.get_dtype()),
            ):
                if first != second:
                    raise ModelDirectoryError(f"{other[name]}: {name} has {what} {second}, in {one[name].parent} it has {first}")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ModelDirectoryError(f"{path} is not JSON: {error}") from error
