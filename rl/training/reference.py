"""A policy that never learns: where the log-probabilities of `ref_log_probs` come from (k15, grpo with beta > 0).

Three sources. Nobody ("none"): an objective without them takes pi_old, at no cost. The policy as the trainer got it
("initial"): a frozen copy of the weights, or, with adapters, the trained model's own base without any copy. Any model
directory: e.g. the cold start when training goes on from an RL checkpoint.
"""

import copy
import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rl.policy.presets import load
from rl.training.forward import log_probs
from rl.training.lora import has_adapters, without_adapters
from rl.training.packing import PackedBatch

__all__ = ["Reference", "build_reference"]


@dataclass(frozen=True, slots=True)
class Reference:
    model: Any
    is_base: bool
    """Whether `model` is the one that is trained, to be read without its adapters."""

    def log_probs(self, batch: PackedBatch) -> Tensor:
        """[T] float32, nats, no gradient: of each position's target at its own temperature; 0 outside the loss mask."""
        with torch.no_grad():
            if not self.is_base:
                return log_probs(self.model, batch)
            with without_adapters(self.model):
                return log_probs(self.model, batch)


def build_reference(model: PreTrainedModel, source: str) -> Reference | None:
    """The reference that ``model.reference`` names, in float32 and evaluation mode.

    Args:
        model: the one to be trained: prepared, not watched by anything yet, with its initial weights.
        source: "none", "initial" or a directory that `rl.policy.presets.load` takes.

    Raises:
        ValueError: a directory whose model has another number of tokens (`ModelDirectoryError` where none loads).
    """
    if source == "none":
        return None
    if source == "initial" and has_adapters(model):
        return Reference(model, is_base=True)
    frozen = copy.deepcopy(model) if source == "initial" else _load(source, model)
    return Reference(frozen.requires_grad_(False).eval(), is_base=False)


def _load(directory: str | os.PathLike[str], model: PreTrainedModel) -> PreTrainedModel:
    frozen = load(directory)[0]
    if frozen.config.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"model.reference: {directory} has {frozen.config.vocab_size} tokens and the policy {model.config.vocab_size}; "
            "log-probabilities of other tokens cannot be compared"
        )
    frozen.set_experts_implementation(model.config._experts_implementation)
    return frozen
