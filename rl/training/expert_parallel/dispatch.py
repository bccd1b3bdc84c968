"""Token-expert pairs on their way to the ranks that hold the experts, and their results on the way back.

    rank    T x K pairs, sorted by expert  ->  counts, then rows [pairs, H]  ->  the experts' ranks
    home    weighted and summed over K     <-  results [pairs, H]            <-  computed there

Weights stay at home, and so does the order in which the results of a token are added: on one rank the same numbers are
added in the same order. Gradients travel the same way in reverse. Every rank takes part in every exchange, forward and
backward, with whatever number of pairs: none to send, none to compute, or no tokens at all.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["dispatched"]

Compute = Callable[[Tensor, Tensor], Tensor]
"""(rows [n, H], which of this rank's experts each goes to [n]) to results [n, H] of the same dtype."""


def dispatched(
    hidden: Tensor, chosen: Tensor, weights: Tensor, compute: Compute, *, experts: int, held: int, group: Any
) -> Tensor:
    """What a layer of routed experts computes, whose experts are spread over the ranks of a group.

    Args:
        hidden: [T, H], this rank's own tokens; T can differ from rank to rank.
        chosen: [T, K] integers below `experts`.
        weights: [T, K] of the results.
        experts: of the layer; consecutive ones lie on a rank, the first ones on the group's first.
        held: how many this rank has, as every other.
        group: the process group; all its ranks call this at once.

    Returns:
        [T, H] in the dtype of `hidden`.
    """
    tokens, top_k = chosen.shape
    pairs = chosen.reshape(-1)
    order = pairs.argsort(stable=True)
    leaving = torch.bincount(pairs, minlength=experts).view(-1, held)  # [ranks, their experts]
    arriving = torch.empty_like(leaving)
    torch.distributed.all_to_all_single(arriving, leaving, group=group)
    sent, received = torch.stack([leaving.sum(1), arriving.sum(1)]).tolist()
    rows = _Exchange.apply(hidden[order // top_k], sent, received, group)
    if len(rows):
        local = torch.arange(held, device=arriving.device).repeat(len(arriving))
        results = compute(rows, local.repeat_interleave(arriving.view(-1)))
    else:
        results = rows  # computed by nobody, but in the graph: the backward pass has its exchanges on every rank
    home = torch.empty_like(order)
    home[order] = torch.arange(len(order), device=order.device)
    weighted = _Exchange.apply(results, received, sent, group)[home] * weights.reshape(-1, 1)
    return weighted.view(tokens, top_k, hidden.shape[-1]).sum(1).to(hidden.dtype)


class _Exchange(torch.autograd.Function):
    """`sent[i]` consecutive rows [.., H] to rank i of the group, `received[i]` from it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
        ctx.ways = sent, received, group
        arrived = rows.new_empty(sum(received), rows.shape[1])
        torch.distributed.all_to_all_single(arrived, rows.contiguous(), received, sent, group=group)
        return arrived

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        sent, received, group = ctx.ways
        return _Exchange.apply(gradients[0], received, sent, group), None, None, None
