"""The model that is trained: loaded, told how to compute, and adapted, before an optimizer sees it."""

from dataclasses import dataclass
from typing import get_args

import torch
from transformers import PreTrainedModel

from rl.policy.presets import load
from rl.training.expert_parallel import shard_experts
from rl.training.lora import LoraSettings, add_adapters
from rl.training.recomputation import checkpoint_activations
from rl.training.replay import RouterReplay, enable_replay
from rl.training.router import refuse_without_bias
from rl.training.routing import float32_routers

__all__ = ["ModelSettings", "prepare_model"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How the trained model computes; what it is, is said by its directory."""

    experts: str = "grouped_mm"
    """transformers' implementation of the expert layers."""
    recompute_every: int = 0
    """Activation checkpointing: every n-th layer is computed again in the backward pass instead of kept; 0 keeps all."""
    router_replay: RouterReplay = "none"
    """Where training passes take routes from: "engine", those of the rollout (R3); "old_policy", the trainer's own float32
    routes at pi_old; "none", the router itself."""
    router_statistics: bool = True
    """Count the tokens that each expert gets in training passes, and report how even they are."""
    router_float32: bool = False
    """Routers compute in float32 in bfloat16 training passes too; without autocast they do anyway."""
    router_bias_rate: float = 0.0
    """gamma of loss-free balancing after each optimizer step; 0 leaves the routers' correction biases alone."""
    lora: LoraSettings | None = None
    """Adapters on a frozen base; null trains every weight."""
    reference: str = "none"
    """Policy behind `ref_log_probs`: "none" (objectives take pi_old), "initial", or a model directory."""

    def __post_init__(self) -> None:
        if self.recompute_every < 0:
            raise ValueError(f"model.recompute_every must be at least 0, not {self.recompute_every}")
        if self.router_replay not in get_args(RouterReplay):
            raise ValueError(f"model.router_replay is one of {', '.join(get_args(RouterReplay))}, not {self.router_replay!r}")
        if not 0 <= self.router_bias_rate < float("inf"):
            raise ValueError(f"model.router_bias_rate must be at least 0, not {self.router_bias_rate}")
        if self.lora is not None and self.router_bias_rate:
            raise ValueError("model.router_bias_rate must be 0 with model.lora: the frozen base holds the routers' biases")
        if not self.reference:
            raise ValueError('model.reference is "none", "initial" or a model directory, not empty')


def prepare_model(model: str | PreTrainedModel, settings: ModelSettings, expert_ranks: int = 1) -> PreTrainedModel:
    """The model of a directory that `rl.policy.presets.load` takes, or the given one, set up for training in place.

    Args:
        expert_ranks: consecutive ranks that share the routed experts; above 1 all ranks call this.

    Raises:
        ValueError: a setting that this architecture cannot have (it names its key), or weights that are not float32.
    """
    prepared = load(model)[0] if isinstance(model, str) else model
    for name, parameter in prepared.named_parameters():
        if parameter.dtype != torch.float32:
            raise ValueError(f"model: {name} is {parameter.dtype}; weights are float32, trainer.autocast computes in bfloat16")
    prepared.set_experts_implementation(settings.experts)
    if settings.router_bias_rate:
        refuse_without_bias(prepared)
    if settings.router_float32:
        float32_routers(prepared)
    if settings.router_replay != "none":
        enable_replay(prepared)
    if settings.recompute_every:
        checkpoint_activations(prepared, settings.recompute_every)
    if settings.lora is not None:
        add_adapters(prepared, settings.lora)
    if expert_ranks > 1:
        shard_experts(prepared, expert_ranks)
    return prepared
