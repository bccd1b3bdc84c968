"""Where the routers of a mixture-of-experts model are, as transformers 5 builds them, and what they compute in.

A mixture layer has a router, ``gate``, which gives (logits [tokens, experts], weights, indices [tokens, top_k]), and one
module of stacked ``experts``, called with (hidden states, indices, weights). Nothing else here knows that layout.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["float32_routers", "moe_blocks"]


def moe_blocks(model: nn.Module) -> dict[str, Any]:
    """The mixture layers by their names in the model, in order; empty for a dense model."""
    return {
        name: module
        for name, module in model.named_modules()
        if hasattr(module, "gate") and hasattr(getattr(module, "experts", None), "num_experts")
    }


def float32_routers(model: nn.Module) -> None:
    """Routers compute in float32 under autocast too, which overrules the conversions in a model's own code.

    Raises:
        ValueError: a model without routers.
    """
    blocks = moe_blocks(model)
    if not blocks:
        raise ValueError("model.router_float32 needs a mixture of experts; this model has no routers")
    for block in blocks.values():
        # A bound method, which a copy of the model binds to its own router.
        block.gate.forward = MethodType(_forward_in_float32, block.gate)


def _forward_in_float32(gate: nn.Module, hidden_states: Tensor) -> Any:
    with torch.autocast(hidden_states.device.type, enabled=False):
        return type(gate).forward(gate, hidden_states.float())
