"""The gradients of the real trainer, caught as its optimizer takes them."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from rl.training.optimization import Optimization
from rl.training.packing import TokenRow
from rl.training.trainer import Trainer
from rl.training.trainer_batch import Rollouts
from rl.training.trainer_config import TrainerConfig
from tests.rl.training.trainer_cases import OPTIMIZER, nano

Learnt = tuple[list[dict[str, torch.Tensor]], dict[str, torch.Tensor], dict[str, float]]


def learnt(
    batch: Rollouts, monkeypatch: pytest.MonkeyPatch, demonstrations: Sequence[TokenRow] = (), **settings: Any
) -> Learnt:
    """The gradients of every optimizer step, as they are when it is taken, the weights after it, and the metrics."""
    model = nano()
    gradients: list[dict[str, torch.Tensor]] = []
    step = Optimization.step

    def watched(self: Optimization, *arguments: float) -> dict[str, float]:
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Optimization, "step", watched)
        trainer = Trainer(TrainerConfig(optimizer=OPTIMIZER, max_grad_norm=0.0, **settings), model)
        metrics = trainer.train_batch(batch, demonstrations=demonstrations)
    return gradients, {name: tensor.clone() for name, tensor in model.state_dict().items()}, metrics



def assert_learnt_alike(mine: Learnt, theirs: Learnt, steps: int) -> None:
    """The gradients of every step, the weights and the loss; the gradients are not all nothing."""
    (gradients, weights, metrics), (expected, same, reference) = mine, theirs
    assert len(gradients) == len(expected) == steps
    for step, other in zip(gradients, expected, strict=True):
        assert step.keys() == other.keys()
        assert max(float(gradient.abs().max()) for gradient in other.values()) > 1e-4
        for name, gradient in step.items():
            torch.testing.assert_close(gradient, other[name], atol=1e-6, rtol=1e-4, msg=name)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, same[name], atol=2e-5, rtol=0, msg=name)
    assert metrics["loss"] == pytest.approx(reference["loss"], rel=1e-4, abs=1e-7)
