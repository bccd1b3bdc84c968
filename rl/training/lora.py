"""Low-rank adaptation: frozen weights W, and for chosen linear layers a trained difference (alpha / rank) B A.

    y = W x + (alpha / rank) B (A x)      A [rank, in], B [out, rank], B = 0 at first   (Hu et al., arXiv 2106.09685)

Everybody outside sees whole weights: `state_dict` holds W + (alpha / rank) B A under the layer's own name and no adapter,
so exports, digests and saved directories need to know nothing. What resumes training is apart: `lora_state`.

A and B go to AdamW under either optimizer. Orthogonalising them one by one would not orthogonalise the difference B A,
and while B is near 0 the gradient of A is too, which Muon would scale up to a full step. The base stays as it was, so it
is the reference policy without a copy (`without_adapters`), and nothing else may change it: QK-Clip and the router bias
are refused together with adapters.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rl.policy.weights import disk_state
from trajectories.seeds import derive_seed

__all__ = ["LoraSettings", "add_adapters", "has_adapters", "load_lora_state_", "lora_state", "without_adapters"]


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Which layers are adapted, and how much."""

    rank: int = 16
    """Rows of A."""
    alpha: float = 32.0
    """The difference is scaled by alpha / rank."""
    targets: tuple[str, ...] = ()
    """Last parts of the names of linear layers, e.g. ``q_b_proj``; () adapts every linear layer. The
    output head, routed experts (stacked tensors) and routers cannot be adapted."""
    seed: int = 0
    """Of A's random start."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))
        if self.rank < 1:
            raise ValueError(f"lora.rank must be at least 1, not {self.rank}")
        if not self.alpha > 0:
            raise ValueError(f"lora.alpha must be above 0, not {self.alpha}")


class LoraLinear(nn.Module):
    """A linear layer with an adapter. `weight` and `bias` are the frozen layer's own parameters."""

    def __init__(self, linear: nn.Linear, settings: LoraSettings, generator: torch.Generator) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.scale = settings.alpha / settings.rank
        self.enabled = True
        bound = self.in_features**-0.5
        start = torch.empty(settings.rank, self.in_features).uniform_(-bound, bound, generator=generator)
        self.lora_a = nn.Parameter(start.to(self.weight))
        self.lora_b = nn.Parameter(self.weight.new_zeros(self.out_features, settings.rank))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x, self.weight, self.bias)
        if not self.enabled:
            return y
        return y + self.scale * functional.linear(functional.linear(x, self.lora_a), self.lora_b)

    def merged(self) -> Tensor:
        """[out, in]: the weight that computes the same without an adapter; no gradient."""
        # An inference tensor, because a load into this copy would be lost: writing to it is an error.
        with torch.inference_mode():
            return torch.addmm(self.weight, self.lora_b, self.lora_a, alpha=self.scale)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        destination[prefix + "weight"] = self.merged()
        if self.bias is not None:
            destination[prefix + "bias"] = self.bias if keep_vars else self.bias.detach()


def add_adapters(model: nn.Module, settings: LoraSettings) -> None:
    """Freezes every parameter of the model and puts adapters on its linear layers, in place.

    The model computes what it did before, to the bit, until the first step.

    Raises:
        ValueError: a target that is no linear layer of the model.
    """
    chosen = _targets(model, settings.targets)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for name, linear in chosen.items():
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, "lora", name) % 2**63)
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, LoraLinear(linear, settings, generator))


def has_adapters(model: nn.Module) -> bool:
    return any(isinstance(module, LoraLinear) for module in model.modules())


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """Inside, the model is its frozen base."""
    layers = list(_adapted(model).values())
    for layer in layers:
        layer.enabled = False
    try:
        yield
    finally:
        for layer in layers:
            layer.enabled = True


def lora_state(model: nn.Module) -> dict[str, Tensor]:
    """The adapters, by name; empty for a model without. With the base, all that there is to resume from."""
    state: dict[str, Tensor] = {}
    for name, layer in _adapted(model).items():
        state |= {f"{name}.lora_a": layer.lora_a.detach(), f"{name}.lora_b": layer.lora_b.detach()}
    return state


def load_lora_state_(model: nn.Module, state: Mapping[str, Tensor], whole: Mapping[str, Tensor] | None = None) -> None:
    """Puts the adapters of `lora_state` back, in place.

    Args:
        whole: the weights that base and adapters add up to, in the layout of a checkpoint on disk: proves that the base is
            theirs, what is not adapted (norms, experts, routers and their biases) included.

    Raises:
        ValueError: adapters of other layers, another rank or another base; the model is as it was.
    """
    present = lora_state(model)
    for name in sorted(present.keys() | state.keys()):
        shapes = [tuple(side[name].shape) if name in side else "none" for side in (state, present)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"lora: {name} has shape {shapes[0]} in the stored adapters and {shapes[1]} in this model")
    if whole is not None:
        _refuse_other_base(model, state, whole)
    for name, tensor in present.items():
        tensor.copy_(state[name])


def _refuse_other_base(model: nn.Module, state: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> None:
    for name, layer in _adapted(model).items():
        a, b = (state[f"{name}.{factor}"].to(layer.weight) for factor in ("lora_a", "lora_b"))
        expected = whole[f"{name}.weight"].to(layer.weight)
        if not torch.allclose(torch.addmm(layer.weight.detach(), b, a, alpha=layer.scale), expected, atol=1e-5):
            raise ValueError(f"lora: {name} was adapted on another base, or with another alpha, than this model's")
    adapted = {f"{name}.weight" for name in _adapted(model)}
    for name, tensor in disk_state(model).items():  # what has no adapter never changes: to the bit
        if name not in adapted and (name not in whole or not torch.equal(whole[name].to(tensor), tensor)):
            raise ValueError(f"lora: {name} is not that of the base that was adapted: this is another base")


def _adapted(model: nn.Module) -> dict[str, LoraLinear]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}


def _targets(model: nn.Module, targets: tuple[str, ...]) -> dict[str, nn.Linear]:
    output = getattr(model, "get_output_embeddings", lambda: None)()
    linear = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and m is not output}
    kinds = {name.rpartition(".")[2] for name in linear}
    for target in targets:
        if target not in kinds:
            stacked = any(name.rpartition(".")[2] == target for name, p in model.named_parameters() if p.ndim == 3)
            why = "is a stack of routed experts, which cannot be adapted" if stacked or target == "experts" else "is none"
            raise ValueError(f"lora.targets: {target!r} {why}; linear layers here are {', '.join(sorted(kinds))}")
    return {name: m for name, m in linear.items() if not targets or name.rpartition(".")[2] in targets}
