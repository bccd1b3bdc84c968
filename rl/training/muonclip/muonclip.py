"""One optimizer for the whole model: Muon on matrices, AdamW on the rest, each group with its own learning rate.

    M <- mu M + G;   W <- W - lr (NewtonSchulz(M) * 0.2 sqrt(max(n, m)) + wd W)

No Nesterov, as in Kimi K2 (arXiv 2507.20534, algorithm 1). QK-Clip belongs to the step too, but needs the attention
maxima of the forward pass: the trainer calls `clip_model_` right after `step`. The update does not depend on the scale
of the gradients, so clipping their norm shapes the momentum's mix only.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from rl.training.muonclip.config import OptimizerConfig
from rl.training.muonclip.groups import parameter_groups
from rl.training.muonclip.muon import MatrixUpdate, apply_updates_, as_matrices
from rl.training.muonclip.partitions import PartitionedMatrices

__all__ = ["MuonClip", "build_optimizer"]


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer that the config names, over every trainable parameter of the model."""
    groups = parameter_groups(model, config)
    if not groups:
        raise ValueError("optimizer: the model has no trainable parameter")
    if config.name == "muonclip":
        return MuonClip(groups, config)
    flat = [{key: group[key] for key in ("params", "weight_decay")} for group in groups]
    return torch.optim.AdamW(flat, lr=config.adam_lr, betas=config.betas, eps=config.eps, fused=True)


class MuonClip(torch.optim.Optimizer):
    """Takes the groups of `parameter_groups`. State per parameter: `momentum_buffer`, or AdamW's `step` and two
    moments."""

    def __init__(self, groups: list[dict[str, Any]], config: OptimizerConfig) -> None:
        defaults = {
            "momentum": config.momentum,
            "newton_schulz_steps": config.newton_schulz_steps,
            "newton_schulz_dtype": config.newton_schulz_dtype,
            "betas": config.betas,
            "eps": config.eps,
        }
        # "names" would be taken for torch's own named parameters, which must be given for every group alike.
        super().__init__([{k: v for k, v in group.items() if k != "names"} for group in groups], defaults)
        self._partitions: dict[Tensor, PartitionedMatrices] = {}

    def partition(self, partitions: Mapping[Tensor, PartitionedMatrices]) -> None:
        """Says where the matrices lie in the flat tensors that ZeRO has put into the groups in their stead."""
        self._partitions = dict(partitions)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient; the others keep value and state."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._step_matrices([group for group in self.param_groups if group["use_muon"]])
        for group in self.param_groups:
            if not group["use_muon"]:
                self._step_adamw(group)
        return loss

    def _step_matrices(self, groups: list[dict[str, Any]]) -> None:
        """All groups at once, so that equally shaped matrices of different groups share one batch."""
        updates: list[MatrixUpdate] = []
        for group in groups:
            rate, blocks = float(group["lr"]), group["row_blocks"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                partition = self._partitions.get(parameter)
                if partition is None and parameter.ndim < 2:
                    raise ValueError(
                        f"optimizer: Muon needs whole matrices, not a flat tensor of {parameter.numel()} elements; "
                        "where ZeRO partitions them, `partition` must say where they lie"
                    )
                momentum = self._momentum(parameter)
                torch.add(parameter.grad, momentum, alpha=group["momentum"], out=momentum)
                if group["weight_decay"]:
                    parameter.mul_(1 - rate * group["weight_decay"])
                if partition is not None:
                    dtype = getattr(torch, group["newton_schulz_dtype"])
                    partition.apply_(parameter.data, momentum, rate, steps=group["newton_schulz_steps"], dtype=dtype)
                    continue
                pairs = zip(as_matrices(parameter.data, blocks), as_matrices(momentum, blocks), strict=True)
                updates += [MatrixUpdate(weight, moment, rate) for weight, moment in pairs]
        if updates:
            dtype = getattr(torch, groups[0]["newton_schulz_dtype"])
            apply_updates_(updates, steps=groups[0]["newton_schulz_steps"], dtype=dtype)

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        return state["momentum_buffer"]

    def _step_adamw(self, group: dict[str, Any]) -> None:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        states = [self._moments(parameter) for parameter in parameters]
        if not parameters:
            return
        adamw(
            parameters,
            [parameter.grad for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    def _moments(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if "exp_avg" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state
