"""The gradients of the real trainer, caught as its optimizer takes them."""

from typing import Any

import pytest
import torch

from rl.training.optimization import Optimization
from rl.training.trainer import Trainer, TrainerConfig
from rl.training.trainer_batch import Rollouts
from tests.rl.training.trainer_cases import OPTIMIZER, nano


def learnt(
    batch: Rollouts, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor], dict[str, float]]:
    """The gradients of every optimizer step, as they are when it is taken, the weights after it, and the metrics."""
    model = nano()
    gradients: list[dict[str, torch.Tensor]] = []
    step = Optimization.step

    def watched(self: Optimization, *arguments: float) -> dict[str, float]:
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Optimization, "step", watched)
        metrics = Trainer(TrainerConfig(optimizer=OPTIMIZER, max_grad_norm=0.0, **settings), model).train_batch(batch)
    return gradients, {name: tensor.clone() for name, tensor in model.state_dict().items()}, metrics
