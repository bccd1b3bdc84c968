"""Where ZeRO keeps what of which parameter: the one module that knows DeepSpeed's bookkeeping.

    stage 1, 2    the parameters of an optimizer group end to end, cut into equal shares, one per rank
    stage 3       every parameter cut into equal shares, one per rank; the shares of a group (or of a part of it, where
                  it is larger than `sub_group_size`) end to end

At each stage the optimizer steps flat float32 tensors, and a rank holds at most one run of elements of a parameter. At
stage 3 the model's own parameters are empty but in the modules that are computing, and inside `whole_weights`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rl.training.muonclip.partitions import Piece

__all__ = [
    "FlatPart",
    "are_partitioned",
    "flat_parts",
    "forget_gradients",
    "mark_expert_blocks",
    "number_of_elements",
    "shape_of",
    "whole",
]


@dataclass(frozen=True, slots=True)
class FlatPart:
    """One flat tensor that the optimizer steps, and those in its place on the other ranks."""

    tensor: Tensor
    """[elements], this rank's."""
    pieces: Sequence[Mapping[int, Piece]]
    """[ranks]: number of a parameter to what that rank's flat tensor holds of it."""

    def parameters(self) -> list[int]:
        """Numbers of those that any rank has a piece of, the same on every rank."""
        return sorted({number for held in self.pieces for number in held})

    def collect(self, values: Tensor, number: int, elements: int) -> Tensor:
        """A parameter's values (weights, a moment: [elements of the flat tensor]) whole and flat on the first rank.

        Every rank takes part; the others get nothing of use.
        """
        rank = torch.distributed.get_rank()
        whole_values = values.new_zeros(elements)
        if number in self.pieces[rank]:
            start, length, offset = self.pieces[rank][number]
            whole_values[start : start + length] = values[offset : offset + length]
        # Bits are added, not numbers: -0.0 + 0.0 would lose its sign.
        bits = whole_values.view({4: torch.int32, 8: torch.int64}[values.element_size()])
        torch.distributed.reduce(bits, 0)
        return whole_values

    def place(self, whole_values: Tensor, number: int, values: Tensor) -> None:
        """Writes this rank's piece of a whole parameter into `values` [elements of the flat tensor]."""
        piece = self.pieces[torch.distributed.get_rank()].get(number)
        if piece is not None:
            start, length, offset = piece
            values[offset : offset + length] = whole_values.reshape(-1)[start : start + length]


def flat_parts(zero: Any, parameters: Sequence[nn.Parameter]) -> list[FlatPart]:
    """What DeepSpeed's optimizer of stage 1 to 3 steps, in its order. Every rank takes part.

    Args:
        zero: `engine.optimizer`.
        parameters: every trainable one, in the same order on every rank; its position is its number.
    """
    if hasattr(zero, "single_partition_of_fp32_groups"):
        tensors, held = zero.single_partition_of_fp32_groups, _held_in_groups(zero, parameters)
    else:
        tensors, held = zero.fp32_partitioned_groups_flat, _held_of_each(zero, parameters)
    everyone: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everyone, held)
    return [FlatPart(tensor, [of[index] for of in everyone]) for index, tensor in enumerate(tensors)]


def _held_in_groups(zero: Any, parameters: Sequence[Any]) -> list[dict[int, Piece]]:
    held: list[dict[int, Piece]] = [{} for _ in zero.single_partition_of_fp32_groups]
    for number, parameter in enumerate(parameters):
        if (mapping := parameter._hp_mapping) is not None:
            source, target = mapping.lp_fragment_address, mapping.hp_fragment_address
            held[mapping.param_group_index][number] = Piece(source.start, source.numel, target.start)
    return held


def _held_of_each(zero: Any, parameters: Sequence[Any]) -> list[dict[int, Piece]]:
    held: list[dict[int, Piece]] = [{} for _ in zero.fp32_partitioned_groups_flat]
    for number, parameter in enumerate(parameters):
        index, offset, share = zero.grad_position[zero.get_param_id(parameter)]
        start = torch.distributed.get_rank() * share
        length = min(share, parameter.ds_numel - start)  # the last shares end in padding
        if length > 0:
            held[index][number] = Piece(start, length, offset)
    return held


def forget_gradients(zero: Any) -> None:
    """What backward passes have left in DeepSpeed's optimizer of stage 1 to 3."""
    zero.zero_grad()
    zero.averaged_gradients.clear()
    getattr(zero, "all_grad_tensors", {}).clear()


def are_partitioned(model: nn.Module) -> bool:
    """Whether the weights are partitioned (stage 3): then every rank takes part in a forward pass."""
    return any(hasattr(parameter, "ds_id") for parameter in model.parameters())


def shape_of(parameter: Any) -> torch.Size:
    """Of the whole parameter, at every stage, and where ranks share the experts."""
    return getattr(parameter, "ds_shape", getattr(parameter, "whole_shape", parameter.shape))


def number_of_elements(model: nn.Module) -> int:
    """Over all parameters, wherever they are."""
    return sum(shape_of(parameter).numel() for parameter in model.parameters())


@contextmanager
def whole(parameters: Iterable[nn.Parameter], changed: bool = False) -> Iterator[None]:
    """Inside, these parameters are whole on every rank. Every rank takes part; nothing happens below stage 3.

    Args:
        changed: they are written inside, alike on every rank; otherwise what is written is lost.
    """
    import deepspeed

    chosen = [parameter for parameter in parameters if hasattr(parameter, "ds_id")]
    if not chosen:
        yield
        return
    with deepspeed.zero.GatheredParameters(chosen, modifier_rank=0 if changed else None):
        yield


def mark_expert_blocks(model: nn.Module) -> None:
    """At stage 3 a block of experts is gathered at once: ranks route to different experts and would wait for one another."""
    from deepspeed.utils import set_z3_leaf_modules

    blocks = {type(module) for module in model.modules() if isinstance(getattr(module, "experts", None), nn.Module)}
    if blocks:
        set_z3_leaf_modules(model, list(blocks))
