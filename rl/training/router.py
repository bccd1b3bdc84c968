"""How tokens spread over the experts of a mixture, and the correction of that spread without an auxiliary loss.

Loads are counted in the training passes, each position once, and summed over micro-batches and ranks before anything is
derived from them. MaxVio and the update b_i += rate * sign(mean load - load_i) are those of loss-free balancing (Wang
et al., arXiv 2408.15664), as used by DeepSeek-V3 (arXiv 2412.19437, section 2.1.2). The bias moves the choice of
experts only, never their weights, and gets no gradient.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rl.training.recomputation import recomputing
from rl.training.routing import moe_blocks

__all__ = ["BIAS", "RouterLoad", "load_metrics", "refuse_without_bias", "update_router_bias_"]

BIAS = "e_score_correction_bias"
"""transformers' name of the buffer, in the router of a layer."""


class RouterLoad:
    """Counts the tokens that each expert of each layer gets, while `track` says so."""

    def __init__(self, model: nn.Module) -> None:
        self._enabled = False
        self._blocks = moe_blocks(model)
        self._counts: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        for name, block in self._blocks.items():
            count = self._counter(name, int(block.experts.num_experts))
            self._handles.append(block.experts.register_forward_pre_hook(count, with_kwargs=True))

    def track(self, enabled: bool) -> None:
        """Whether forward passes from here on count. Passes that only repeat another rank's rows should not."""
        self._enabled = enabled

    def pop(self, over_ranks: bool = False) -> dict[str, Tensor]:
        """Loads since the last call: name of the mixture layer -> [experts] int64, tokens x experts per token in all.

        Args:
            over_ranks: summed over the ranks of `torch.distributed`, each of which must call this.
        """
        counts, self._counts = self._counts, {}
        loads = {name: counts[name] if name in counts else _zeros(block) for name, block in self._blocks.items()}
        if over_ranks:
            for load in loads.values():
                torch.distributed.all_reduce(load)
        return loads

    def close(self) -> None:
        """Stops watching the model."""
        for handle in self._handles:
            handle.remove()

    def _counter(self, name: str, experts: int) -> Any:
        def count(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            if not self._enabled or recomputing():
                return
            chosen = keywords["top_k_index"] if "top_k_index" in keywords else arguments[1]
            load = torch.bincount(chosen.detach().flatten(), minlength=experts)
            self._counts[name] = self._counts[name] + load if name in self._counts else load

        return count


def load_metrics(loads: Mapping[str, Tensor]) -> dict[str, float]:
    """Figures over the layers of `RouterLoad.pop`; none where nothing was counted.

    router_max_violation: (largest load - mean load) / mean load of a layer, the worst layer's; 0 is even.
    router_max_violation_mean: its mean over layers.
    router_load_entropy: entropy of a layer's load shares divided by log(experts), mean over layers; 1 is even.
    router_idle_experts: experts without a single token, over all layers.
    """
    shares = [load.double() / load.sum() for load in loads.values() if int(load.sum())]
    if not shares:
        return {}
    violations = [float(share.max() * len(share)) - 1 for share in shares]
    entropies = [float(torch.special.entr(share).sum() / torch.tensor(len(share)).double().log()) for share in shares]
    return {
        "router_max_violation": max(violations),
        "router_max_violation_mean": sum(violations) / len(violations),
        "router_load_entropy": sum(entropies) / len(entropies),
        "router_idle_experts": float(sum(int((load == 0).sum()) for load in loads.values())),
    }


def update_router_bias_(model: nn.Module, loads: Mapping[str, Tensor], rate: float) -> None:
    """One step of the routers' biases, in place; to be called after the optimizer step that the loads belong to.

    The buffers stay where and what they are, so that exports, digests and checkpoints of the model see the new values.

    Args:
        loads: of `RouterLoad.pop`, summed over ranks: the same on every rank, and so are the new biases.
        rate: gamma, in units of a router score; DeepSeek-V3 pre-trained with 0.001 and ended with 0.

    Raises:
        ValueError: a layer whose router has no such bias.
    """
    with torch.no_grad():
        for name, load in loads.items():
            gate = model.get_submodule(name).get_submodule("gate")
            bias = getattr(gate, BIAS, None)
            if bias is None:
                raise ValueError(f"router bias: {name}.gate ({type(gate).__name__}) has no {BIAS}")
            # Integers, so that a load exactly at the mean is left alone.
            bias.add_(rate * torch.sign(load.sum() - load * len(load)).to(bias))


def refuse_without_bias(model: nn.Module) -> None:
    """Raises ValueError unless every router of the model can be balanced by a bias."""
    blocks = moe_blocks(model)
    if not blocks or not all(hasattr(block.gate, BIAS) for block in blocks.values()):
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        raise ValueError(f"model.router_bias_rate is above 0, but the routers of {kind} have no {BIAS}; set it to 0")


def _zeros(block: Any) -> Tensor:
    return torch.zeros(int(block.experts.num_experts), dtype=torch.int64, device=block.gate.weight.device)
