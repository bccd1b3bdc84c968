"""A checkpoint is a directory that is whole or not there, and from which training continues to the bit.

    model.safetensors, config.json, tokenizer files    a Hugging Face model directory: any tool loads it
    trainer.pt                                         optimizer state, random number generators
    trainer.json                                       counters, and what the state belongs to

It is written beside its place, flushed to the disk and renamed: a process that is killed leaves the older one intact.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from rl.policy.disk import full_disk_is_an_os_error
from rl.policy.presets import save
from rl.training.lora import has_adapters, load_lora_state_
from trajectories.shard_files import sync_path

__all__ = ["CheckpointError", "TrainerState", "read", "write"]

FORMAT = 1
COUNTERS = ("steps", "version")


class HasGroups(Protocol):
    """A torch optimizer, or what stands for a partitioned one."""

    @property
    def param_groups(self) -> Sequence[Mapping[str, Any]]: ...


class CheckpointError(ValueError):
    """A checkpoint that cannot be used here, and why."""


@dataclass(frozen=True, slots=True)
class TrainerState:
    """What a trainer is besides its weights."""

    optimizer: Mapping[str, Any]
    """`state_dict` of the optimizer."""
    counters: Mapping[str, int]
    """Steps, version of the weights and the like."""
    torch_rng: torch.Tensor
    """`torch.get_rng_state()`."""
    adapters: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """`rl.training.lora.lora_state`; the weights beside hold base and adapters in one."""


def write(
    directory: str | os.PathLike[str],
    model: PreTrainedModel,
    state: TrainerState,
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Writes a checkpoint, replacing one of the same name as its last act.

    Args:
        source: a model directory whose tokenizer files go along.

    Raises:
        OSError: e.g. ENOSPC for a full disk; then nothing of that name has changed.
    """
    final = Path(directory)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with full_disk_is_an_os_error(final):
            save(model, None, partial)
            if source is not None:
                _copy_tokenizer(Path(source), partial)
            with (partial / "trainer.pt").open("wb") as file:  # torch's own files lose the number of an error
                adapters = {"adapters": dict(state.adapters)} if state.adapters else {}
                torch.save({"optimizer": dict(state.optimizer), "torch_rng": state.torch_rng} | adapters, file)
            about = {"format": FORMAT, "architecture": _architecture(model), "counters": dict(state.counters)}
            (partial / "trainer.json").write_text(json.dumps(about, indent=1) + "\n")
            for path in partial.iterdir():
                sync_path(path)
            sync_path(partial)
            _replace(partial, final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_path(final.parent)


def read(directory: str | os.PathLike[str], model: PreTrainedModel, optimizer: HasGroups) -> TrainerState:
    """Loads the weights of a checkpoint into `model`, in place, and returns the rest, which `optimizer` can take.

    Both are written in one form, whatever the ZeRO stage and the number of ranks, so a checkpoint goes from one to the
    other.

    Raises:
        CheckpointError: not a whole checkpoint, or one of another architecture or optimizer; `model` is as it was.
    """
    path = Path(directory)
    missing = [name for name in ("trainer.json", "trainer.pt", "config.json") if not (path / name).is_file()]
    if missing:
        raise CheckpointError(f"{path} is not a checkpoint: it lacks {', '.join(missing)}")
    architecture, counters = _read_about(path)
    _refuse_other_architecture(path, architecture, _architecture(model))
    try:
        stored: dict[str, Any] = torch.load(path / "trainer.pt", weights_only=True)
        optimizer_state, torch_rng = stored["optimizer"], stored["torch_rng"]
        weights = {key: value for file in sorted(path.glob("*.safetensors")) for key, value in load_file(file).items()}
    except Exception as error:
        raise CheckpointError(f"{path} does not read: {error}. Take an earlier checkpoint") from error
    _refuse_other_optimizer(path, optimizer_state["param_groups"], optimizer.param_groups)
    adapters = stored.get("adapters", {})
    if adapters or has_adapters(model):
        try:
            load_lora_state_(model, adapters, weights)
        except ValueError as error:
            raise CheckpointError(f"{path} belongs to other adapters: {error}") from error
    else:
        _load_weights(path, model, weights)
    return TrainerState(optimizer_state, counters, torch_rng, adapters)


def _read_about(path: Path) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Architecture and counters."""
    try:
        about = json.loads((path / "trainer.json").read_text())
        if about["format"] != FORMAT:
            raise CheckpointError(f"{path} is a checkpoint of format {about['format']}; this version reads {FORMAT}")
        return dict(about["architecture"]), {name: int(about["counters"][name]) for name in COUNTERS}
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}/trainer.json does not read: {error!r}. Take an earlier checkpoint") from error


def _load_weights(path: Path, model: PreTrainedModel, weights: dict[str, torch.Tensor]) -> None:
    """Into the tensors that are there: optimizers and engines hold on to them."""
    loaded = type(model).from_pretrained(None, config=model.config, state_dict=weights)
    source = dict(loaded.state_dict())
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(source[name])


def _architecture(model: nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in sorted(model.state_dict().items())}


def _refuse_other_architecture(path: Path, stored: dict[str, list[int]], present: dict[str, list[int]]) -> None:
    for name in sorted(stored.keys() | present.keys()):
        if stored.get(name) != present.get(name):
            raise CheckpointError(
                f"{path} is a checkpoint of another architecture: {name} has shape {stored.get(name, 'none')} there "
                f"and {present.get(name, 'none')} in this model"
            )


def _refuse_other_optimizer(path: Path, stored: Sequence[Mapping[str, Any]], present: Sequence[Mapping[str, Any]]) -> None:
    """Groups must have the same keys and as many parameters: `load_state_dict` would notice too late, or never."""
    kinds = [[(len(group["params"]), sorted(group)) for group in groups] for groups in (stored, present)]
    if kinds[0] != kinds[1]:
        sizes = [[size for size, _ in groups] for groups in kinds]
        raise CheckpointError(
            f"{path} is a checkpoint of another optimizer: its groups have {sizes[0]} parameters, those of this "
            f"trainer {sizes[1]}, or other settings; train on with the optimizer settings that it was written with"
        )


def _copy_tokenizer(source: Path, target: Path) -> None:
    for file in source.iterdir():
        known = file.name in ("chat_template.jinja", "special_tokens_map.json", "added_tokens.json", "vocab.json")
        if file.is_file() and (known or file.name.startswith("tokenizer")):
            shutil.copyfile(file, target / file.name)


def _replace(partial: Path, final: Path) -> None:
    """A directory cannot be renamed over another one: the old one steps aside first."""
    if final.exists():
        aside = final.with_name(f".{final.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        final.rename(aside)
        partial.rename(final)
        shutil.rmtree(aside)
    else:
        partial.rename(final)
