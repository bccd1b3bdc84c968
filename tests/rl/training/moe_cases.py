"""Small mixtures whose routers do something: biases that are not 0, and a packed batch to run through them."""

from typing import Any

import torch
from transformers import PreTrainedModel

from rl.training.model import ModelSettings, prepare_model
from rl.training.packing import PackedBatch, pack
from tests.rl.training.trainer_cases import nano, rollouts

MODELS = ("nano_k2", "nano_gqa_moe")


def prepared(name: str = "nano_k2", **settings: Any) -> PreTrainedModel:
    """The same weights and biases for any settings."""
    model = nano(name=name)
    for key, buffer in model.named_buffers():
        if key.endswith("e_score_correction_bias"):
            buffer.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    return prepare_model(model, ModelSettings(experts="eager", **settings))


def batch(name: str = "nano_k2", groups: int = 2) -> PackedBatch:
    (packed,) = pack(rollouts(nano(name=name), groups=groups).rows, 10_000)
    return packed


def gradients(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
