"""Each rank's part of the routed experts, under the names that they have in the model.

A stacked parameter [E, ...] of a layer's experts holds [E / ranks, ...] from `shard_experts` on: consecutive experts, the
first ones on the first rank of every group of consecutive ranks. What reads or writes the model as a whole does so inside
`whole`. Gradients of a rank's experts hold the tokens of its whole group when they have come back, so that they are summed
over the ranks that hold the same experts and no others. DeepSpeed does that for parameters marked as its own mixture layers
mark theirs (`allreduce`, `group_name`), in groups that it makes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from rl.training.expert_parallel.dispatch import dispatched
from rl.training.routing import moe_blocks

__all__ = ["are_sharded", "clip_grad_norm_", "local_state", "shard_experts", "whole", "whole_state"]


def shard_experts(model: nn.Module, ranks: int) -> None:
    """Keeps this rank's part of every layer's routed experts, in place; forward passes are collective from here on.

    Args:
        ranks: how many consecutive ranks hold the experts together; all ranks call this.

    Raises:
        ValueError: a number of ranks, or an architecture, whose experts cannot be shared out so.
    """
    from deepspeed.utils import groups

    blocks = moe_blocks(model)
    if not blocks:
        raise ValueError(f"trainer.parallel.experts is {ranks}; it must be 1 for a model without routed experts")
    for name, block in blocks.items():
        count = int(block.experts.num_experts)
        if count % ranks:
            raise ValueError(f"trainer.parallel.experts={ranks} does not divide the {count} experts of {name}")
        for key, stacked in block.experts.named_parameters():
            if len(stacked) != count:
                raise ValueError(f"trainer.parallel.experts must be 1: {name}.experts.{key} is not stacked by expert")
    if torch.distributed.get_world_size() % ranks:
        raise ValueError(f"trainer.parallel.experts={ranks} does not divide {torch.distributed.get_world_size()} ranks")
    groups._create_expert_and_data_parallel(ranks)
    for block in blocks.values():
        parameter: Any
        for parameter in block.experts.parameters():
            parameter.whole_shape, parameter.group_name, parameter.allreduce = parameter.shape, _group_name(ranks), False
            parameter.data = _part(parameter.data, ranks).clone()
        # A bound method, which a copy of the model binds to its own experts.
        block.experts.forward = MethodType(_forward, block.experts)


def are_sharded(model: nn.Module) -> bool:
    """Whether ranks share the model's experts: then every rank takes part in a forward pass."""
    return any(_is_sharded(parameter) for parameter in model.parameters())


@contextmanager
def whole(parameters: Iterable[nn.Parameter], changed: bool = False) -> Iterator[None]:
    """Inside, those of the parameters that belong to experts have all of them, and layers compute without exchanges.

    Every rank takes part, and holds them all for that time.

    Args:
        changed: they are written inside, alike on every rank; otherwise, and after an error, what is written is lost.
    """
    chosen: list[Any] = [one for one in parameters if _is_sharded(one) and one.shape != _whole_shape(one)]
    parts = [parameter.data for parameter in chosen]
    for parameter, part in zip(chosen, parts, strict=True):
        values = part.new_empty(parameter.whole_shape)
        torch.distributed.all_gather(list(values.chunk(_ranks(parameter))), part, group=_group(parameter.group_name))
        parameter.data = values
    try:
        yield
        if changed:
            for parameter, part in zip(chosen, parts, strict=True):
                part.copy_(_part(parameter.data, len(parameter) // len(part)))
    finally:
        for parameter, part in zip(chosen, parts, strict=True):
            parameter.data = part


def clip_grad_norm_(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """As torch's: the norm of all gradients, each expert's once, and gradients scaled down to `max_norm`.

    The same on every rank, to the bit. Every rank takes part.
    """
    used = list(parameters)
    shared, experts = (
        get_total_norm([one.grad for one in used if one.grad is not None and _is_sharded(one) == sharded]).double() ** 2
        for sharded in (False, True)
    )
    torch.distributed.all_reduce(experts)
    same = torch.distributed.get_world_size() // max(_ranks(one) for one in used)
    norm = (shared + experts / same).sqrt().float()
    clip_grads_with_norm_(used, max_norm, norm)
    return norm


def whole_state(state: Mapping[str, Any], parameters: Sequence[nn.Parameter]) -> dict[str, Any]:
    """An optimizer's `state_dict` with all experts, on the first rank; the others get an empty one. All take part.

    Args:
        parameters: at the position that is their number in the state. What is not a single number is stacked like them, and is
            given on the CPU.
    """
    values = {
        number: {key: _collected(value, parameters[number]) for key, value in sorted(held.items())}
        for number, held in sorted(state["state"].items())
    }
    if torch.distributed.get_rank() > 0:
        return {"state": {}, "param_groups": []}
    return {"state": values, "param_groups": state["param_groups"]}


def local_state(state: Mapping[str, Any], parameters: Sequence[nn.Parameter]) -> dict[str, Any]:
    """This rank's part of what `whole_state` gave on the first."""

    def held(number: int, value: Tensor) -> Tensor:
        parameter = parameters[number]
        return _part(value, _ranks(parameter)).clone() if _is_sharded(parameter) and value.ndim else value

    values = {number: {key: held(number, value) for key, value in of.items()} for number, of in state["state"].items()}
    return {"state": values, "param_groups": state["param_groups"]}


def _forward(experts: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    held, count = len(next(experts.parameters())), int(experts.num_experts)
    if held == count:
        return type(experts).forward(experts, hidden_states, top_k_index, top_k_weights)

    def compute(rows: Tensor, local: Tensor) -> Tensor:
        ones = torch.ones(len(rows), 1, dtype=top_k_weights.dtype, device=rows.device)
        return type(experts).forward(_Part(experts, held), rows, local[:, None], ones)

    group = _group(_group_name(count // held))
    return dispatched(hidden_states, top_k_index, top_k_weights, compute, experts=count, held=held, group=group)


class _Part:
    """The experts of a layer for transformers' implementations of them: as many as this rank holds."""

    def __init__(self, experts: nn.Module, held: int) -> None:
        self._experts, self.num_experts = experts, held

    def __getattr__(self, name: str) -> Any:
        return getattr(self._experts, name)


def _collected(value: Tensor, parameter: Any) -> Tensor:
    """Whole on the CPU of the first rank of each group; the other ranks get nothing of use."""
    if not _is_sharded(parameter) or value.ndim == 0:
        return value
    group = _group(parameter.group_name)
    first = torch.distributed.get_rank(group) == 0
    parts = [torch.empty_like(value) for _ in range(_ranks(parameter))] if first else None
    torch.distributed.gather(value.contiguous(), parts, group=group, group_dst=0)
    return torch.cat([part.cpu() for part in parts]) if parts is not None else value


def _part(values: Tensor, ranks: int) -> Tensor:
    return values.chunk(ranks)[torch.distributed.get_rank() % ranks]


def _is_sharded(parameter: nn.Parameter) -> bool:
    return hasattr(parameter, "whole_shape")


def _whole_shape(parameter: Any) -> torch.Size:
    return parameter.whole_shape


def _ranks(parameter: nn.Parameter) -> int:
    """How many hold this parameter together; 1 where each has all of it."""
    return _whole_shape(parameter)[0] // len(parameter) if _is_sharded(parameter) else 1


def _group_name(ranks: int) -> str:
    """DeepSpeed's, for groups of this many ranks."""
    return f"ep_size_{ranks}"


def _group(name: str) -> Any:
    from deepspeed.utils import groups

    return groups._get_expert_parallel_group(name)
