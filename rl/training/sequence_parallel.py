"""Exact sequence parallelism (Ulysses): the ranks of a group compute every packed batch together.

    outside attention    a rank has its part of the positions, with all heads
    in attention         a rank has all positions, with its part of the heads

One all-to-all leads into attention and one out of it (DeepSpeed-Ulysses, Jacobs et al., arXiv 2309.14509). In between is
plain attention over whole sequences, so the boundaries of the batch hold wherever it was cut, and nothing is approximated.
Every rank of a group gets the log-probabilities of all positions, computes the same loss from them, and takes the
gradient of its own positions back: summed over ranks as ever, these are the gradient of the whole.

The exchange is `torch.distributed`'s: DeepSpeed's layer wants equal parts and one width for queries, keys and values,
which MLA does not have.
"""

import math
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from transformers import PreTrainedModel

from rl.policy.attention import NAME, attention_modules
from rl.training.trainer_process import Ranks

__all__ = ["SequenceGroup", "check_model", "meet"]


@dataclass(frozen=True, slots=True)
class SequenceGroup:
    """One rank's place among those that compute its batches with it."""

    rank: int
    """Within the group; it has the positions and heads of this number."""
    size: int
    group: Any = None
    """Of `torch.distributed`: the ranks of this group."""
    replicas: Any = None
    """Of `torch.distributed`: the ranks in this one's place in all groups. Sums over them take every batch once."""

    # Positions.

    def parts(self, total: int) -> list[int]:
        """Positions of each rank, in order; as equal as can be."""
        return [total // self.size + (rank < total % self.size) for rank in range(self.size)]

    def cuts(self, total: int) -> bool:
        """Whether a batch of that many positions is cut: a smaller one than the group is computed whole by every rank, and
        counted by the first, so that no rank ever computes nothing."""
        return total >= self.size

    def computed(self, total: int) -> slice:
        """Positions that this rank computes."""
        if not self.cuts(total):
            return slice(0, total)
        start = sum(self.parts(total)[: self.rank])
        return slice(start, start + self.parts(total)[self.rank])

    def counted(self, total: int) -> slice:
        """Those of them that no other rank counts."""
        return self.computed(total) if self.cuts(total) or self.rank == 0 else slice(0, 0)

    def join(self, values: Tensor) -> Tensor:
        """Sums over the group: values [any] that only the rank has that counts them, 0 elsewhere, whole on every rank.

        Differentiable: every rank computes the same loss from the sum, so its own values' gradient is that of the sum.
        """
        return _Joined.apply(values, self.group)

    # Heads; called by the attention.

    def scatter_heads(self, query: Tensor, key: Tensor, value: Tensor, total: int) -> tuple[Tensor, Tensor, Tensor]:
        """Own positions of all heads ``[1, heads, own, D]`` to all positions of own heads ``[1, heads / size, total, D]``.

        Key heads that do not come out even are repeated just as often as they must be.
        """
        repeats = self.size // math.gcd(self.size, key.shape[1])
        if repeats > 1:
            key, value = key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)
        shapes = [(tensor.shape[1] // self.size, tensor.shape[3]) for tensor in (query, key, value)]
        rows = [tensor[0].unflatten(0, (self.size, -1)).transpose(1, 2).flatten(2) for tensor in (query, key, value)]
        sent = torch.cat(rows, dim=-1)
        parts = self.parts(total)
        got = _Exchanged.apply(sent.flatten(0, 1), [sent.shape[1]] * self.size, parts, self.group)
        ends = [0]
        for heads, width in shapes:
            ends.append(ends[-1] + heads * width)
        query, key, value = (
            got[:, start:end].unflatten(1, shape).transpose(0, 1)[None]
            for (start, end), shape in zip(pairwise(ends), shapes, strict=True)
        )
        return query, key, value

    def gather_heads(self, output: Tensor) -> Tensor:
        """Back: ``[1, total, heads / size, D]`` to ``[1, own, heads, D]``."""
        total, heads, width = output.shape[1:]
        parts = self.parts(total)
        own = parts[self.rank]
        got = _Exchanged.apply(output[0].flatten(1), parts, [own] * self.size, self.group)
        return got.view(self.size, own, heads, width).transpose(0, 1).flatten(1, 2)[None]

    def place_heads(self, values: Tensor) -> Tensor:
        """``[heads / size]`` of this rank's heads to ``[heads]``, -inf for those of other ranks."""
        placed = values.new_full((self.size, len(values)), -math.inf)
        placed[self.rank] = values
        return placed.flatten()


def meet(ranks: Ranks, degree: int) -> SequenceGroup | None:
    """Groups of `degree` consecutive ranks; None where each rank is alone. Every rank takes part."""
    if degree == 1:
        return None
    numbers = torch.arange(ranks.world_size).view(-1, degree)
    timeout = timedelta(seconds=ranks.timeout_s)
    enumerate_groups = torch.distributed.new_subgroups_by_enumeration
    group, _ = enumerate_groups(numbers.tolist(), timeout=timeout)
    replicas, _ = enumerate_groups(numbers.T.tolist(), timeout=timeout)
    return SequenceGroup(ranks.rank % degree, degree, group, replicas)


def check_model(model: PreTrainedModel, degree: int) -> None:
    """Raises ValueError, naming the key, for a model whose positions cannot be shared by that many ranks."""
    if degree == 1:
        return
    config = model.config.get_text_config()
    attentions = attention_modules(model)
    used = config._attn_implementation
    if used != NAME:
        raise ValueError(f"trainer.parallel.sequence={degree} needs attention {NAME!r}; this model computes with {used!r}")
    if len(attentions) != config.num_hidden_layers:
        raise ValueError(
            f"trainer.parallel.sequence={degree}: {len(attentions)} of the {config.num_hidden_layers} layers of "
            f"{config.model_type} have an attention that can be shared by heads; others would see a part of a sequence only"
        )
    if config.num_attention_heads % degree:
        raise ValueError(
            f"trainer.parallel.sequence={degree} does not divide the {config.num_attention_heads} attention heads of the model"
        )


class _Exchanged(Function):
    """Rows of each rank for each rank, in the order of the ranks; the gradient goes the same way back."""

    @staticmethod
    def forward(context: Any, rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
        context.splits = sent, received, group
        return _exchange(rows, sent, received, group)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        sent, received, group = context.splits
        return _exchange(gradients[0], received, sent, group), None, None, None


def _exchange(rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
    got = rows.new_empty(sum(received), *rows.shape[1:])
    torch.distributed.all_to_all_single(got, rows.contiguous(), received, sent, group=group)
    return got


class _Joined(Function):
    """A sum over the ranks of a group, all of which compute the same from it."""

    @staticmethod
    def forward(context: Any, values: Tensor, group: Any) -> Tensor:
        whole = values.clone()
        torch.distributed.all_reduce(whole, group=group)
        return whole

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
