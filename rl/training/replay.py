"""Router replay: a forward pass whose tokens go to recorded experts, with weights from the model's own scores.

R3, rollout routing replay (Ma et al., "Stabilizing MoE Reinforcement Learning by Aligning Training and Inference
Routers", arXiv 2510.11370): the record says which experts, the mask I of the rollout; the scores s are the trainer's,

    softmax routers:  g_i = I_i exp(s_i) / sum_j I_j exp(s_j)
    sigmoid routers:  g_i = I_i sigmoid(s_i) / sum_j I_j sigmoid(s_j), times the model's scaling factor (K2, DeepSeek-V3)

so gradients reach the router through the scores of the replayed experts. The paper states the softmax; the sigmoid is the
same rule in the model's own weighting. No weight is ever taken from the record, and the correction bias, which only
chooses, has no part in it. Routes recorded by the trainer itself at pi_old ("old_policy") are the routing replay of GSPO
(Zheng et al., arXiv 2507.18071).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from rl.training.routing import moe_blocks

__all__ = [
    "RouteRecord",
    "RouterReplay",
    "enable_replay",
    "recorded",
    "replayed",
    "routed",
    "routes_in_force",
    "with_routes",
]

RouterReplay = Literal["none", "engine", "old_policy"]

_ROUTES: ContextVar[Any] = ContextVar("routes", default=None)

Weights = Callable[[Any, Tensor, Tensor], Tensor]
"""(router, logits [tokens, experts], indices [tokens, top_k]) to weights [tokens, top_k], as that router's own code has it."""


def enable_replay(model: nn.Module) -> None:
    """Makes `replayed` work for the model; without routes in force it computes what it did before.

    Raises:
        ValueError: no mixture of experts, or one whose weighting is not known here.
    """
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    if kind not in WEIGHTS or not moe_blocks(model):
        raise ValueError(f"model.router_replay needs a mixture of experts of {', '.join(WEIGHTS)}; this model is {kind}")
    for layer, block in enumerate(moe_blocks(model).values()):
        block.gate.register_forward_hook(_replace_routes(layer, WEIGHTS[kind]))


@contextmanager
def replayed(model: nn.Module, routes: Tensor | None) -> Iterator[None]:
    """Forward passes inside send every token where `routes` says; None replays nothing.

    Layers that are computed again in the backward pass use the routes of their forward pass, wherever that runs.

    Args:
        routes: [positions, layers, top_k] integers, aligned with the input tokens of the pass (packed order), layers in
            the model's order: the mixture layers alone, or all hidden layers as vLLM records them. A token whose
            entries are all -1 in a layer goes where the model itself sends it.

    Raises:
        ValueError: routes of another shape, or experts that do not exist or come twice for a token.
    """
    with with_routes(None if routes is None else _checked(model, routes)):
        yield


class Routed(Protocol):
    """A pass that keeps the routes of its first time."""

    routes: Tensor | None


@contextmanager
def routed(model: nn.Module, replay: RouterReplay, micro: Routed) -> Iterator[None]:
    """One forward pass of a micro-batch as the setting ``model.router_replay`` has it.

    "engine" replays `micro.routes`. "old_policy" does so too, and the first pass, at pi_old, leaves its own there.

    Raises:
        ValueError: "engine" without routes.
    """
    if replay == "none":
        yield
    elif micro.routes is not None:
        with replayed(model, micro.routes):
            yield
    elif replay == "engine":
        raise ValueError('model.router_replay is "engine", but the rollouts carry no routes: the engine must return them')
    else:
        with recorded(model) as record:
            yield
        micro.routes = record.routes


class RouteRecord:
    """Where one forward pass sent its tokens, layer by layer."""

    def __init__(self) -> None:
        self._layers: list[Tensor] = []

    @property
    def routes(self) -> Tensor:
        """[positions, mixture layers, top_k] int16, on the CPU."""
        return torch.stack([chosen.to("cpu", torch.int16) for chosen in self._layers], dim=1)


@contextmanager
def recorded(model: nn.Module) -> Iterator[RouteRecord]:
    """Records the routes of the one forward pass inside: ``with recorded(model) as record: ...; record.routes``."""
    record = RouteRecord()

    def remember(module: nn.Module, arguments: Any, output: Any) -> None:
        record._layers.append(output[2].detach())

    handles = [block.gate.register_forward_hook(remember) for block in moe_blocks(model).values()]
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()


def routes_in_force() -> Any:
    """What `with_routes` can put in force again."""
    return _ROUTES.get()


@contextmanager
def with_routes(routes: Any) -> Iterator[None]:
    """Puts routes of `routes_in_force` in force, in whatever thread."""
    token = _ROUTES.set(routes)
    try:
        yield
    finally:
        _ROUTES.reset(token)


def _replace_routes(layer: int, weights: Weights) -> Any:
    def replace(gate: nn.Module, arguments: Any, output: tuple[Tensor, Tensor, Tensor]) -> Any:
        routes = _ROUTES.get()
        if routes is None:
            return output
        logits, own_weights, own = output
        given = routes[:, layer].to(own)
        if given.shape != own.shape:
            raise ValueError(f"routes are of {len(given)} positions and {given.shape[1]} experts; {tuple(own.shape)} are due")
        chosen = torch.where(given < 0, own, given)
        return logits, weights(gate, logits, chosen).to(own_weights.dtype), chosen

    return replace


def _sigmoid_weights(gate: Any, logits: Tensor, indices: Tensor) -> Tensor:
    weights = logits.sigmoid().gather(1, indices)
    if gate.norm_topk_prob:
        weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
    return weights * gate.routed_scaling_factor


def _softmax_weights(gate: Any, logits: Tensor, indices: Tensor) -> Tensor:
    weights = logits.float().softmax(-1).gather(1, indices)
    return weights / weights.sum(dim=-1, keepdim=True) if getattr(gate, "norm_topk_prob", True) else weights


WEIGHTS: dict[str, Weights] = {
    "deepseek_v3": _sigmoid_weights,
    "mixtral": _softmax_weights,
    "qwen3_moe": _softmax_weights,
}
"""By transformers' architecture."""


def _checked(model: nn.Module, routes: Tensor) -> Tensor:
    blocks = moe_blocks(model)
    gates = [block.gate for block in blocks.values()]
    experts, top_k = int(gates[0].num_experts), int(gates[0].top_k)
    if routes.ndim == 3 and routes.shape[1] != len(blocks) and routes.shape[1] == _hidden_layers(model):
        routes = routes[:, [_layer_index(name) for name in blocks]]
    if routes.ndim != 3 or tuple(routes.shape[1:]) != (len(blocks), top_k):
        raise ValueError(
            f"routes have shape {tuple(routes.shape)}; [positions, {len(blocks)} mixture layers, {top_k} experts] is due"
        )
    routes = routes.to(torch.int64)
    unknown = routes < 0
    if bool((routes >= experts).any()) or bool((routes < -1).any()):
        raise ValueError(f"routes name an expert outside 0 to {experts - 1} (-1: not recorded)")
    if bool((unknown.any(-1) != unknown.all(-1)).any()):
        raise ValueError("routes of a token are recorded for some of its experts only")
    ordered = routes.sort(dim=-1).values
    if bool(((ordered.diff(dim=-1) == 0) & (ordered[..., 1:] >= 0)).any()):
        raise ValueError("routes send a token to the same expert twice")
    return routes


def _hidden_layers(model: Any) -> int | None:
    return getattr(getattr(model, "config", None), "num_hidden_layers", None)


def _layer_index(name: str) -> int:
    """9 for ``model.layers.9.mlp``."""
    return next(int(part) for part in name.split(".") if part.isdecimal())
