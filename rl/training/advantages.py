"""Advantages are taken over a whole group before anything is split: r - r_bar over the valid members, 0 for the others.

A fault is not a failure, so an invalid reward (whatever number stands in its place, NaN included) touches neither the
mean nor the spread of its group. Source: Kimi K2 (arXiv 2507.20534, section 3.2.3) for r - r_bar; DeepSeekMath (arXiv
2402.03300) for the division by the standard deviation.
"""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["group_advantages"]

Scale = Literal["none", "std"]


def group_advantages(rewards: Tensor, valid: Tensor, group_ids: Tensor, scale: Scale = "none") -> Tensor:
    """Reward minus the mean reward of the valid members of its group.

    Args:
        rewards: [sequences], any real dtype; entries that are not valid may hold anything.
        valid: [sequences] bool.
        group_ids: [sequences] integers, equal for the responses to one prompt; any values in any order.
        scale: "std" also divides by the sample standard deviation (n - 1) of the valid members, as TRL and verl do.

    Returns:
        [sequences], in the dtype of `rewards` (the default float dtype for integers). Exactly 0 where not valid and
        where all valid rewards of the group are equal.

    Raises:
        ValueError: shapes that differ, an unknown scale, or a valid reward that is not finite.
    """
    rewards, valid, groups, count = _arrange(rewards, valid, group_ids)
    if scale not in ("none", "std"):
        raise ValueError(f'scale must be "none" or "std", not {scale!r}')
    values = torch.where(valid, rewards.double(), 0.0)
    members = _per_group(valid.double(), groups, count)
    mean = _per_group(values, groups, count) / members.clamp(min=1)
    advantages = torch.where(valid & _spread(values, valid, groups, count), values - mean[groups], 0.0)
    if scale == "std":
        variance = _per_group(advantages.square(), groups, count) / (members - 1).clamp(min=1)
        deviation = variance.sqrt()[groups]
        advantages = torch.where(deviation > 0, advantages / deviation, 0.0)
    return advantages.to(rewards.dtype if rewards.is_floating_point() else torch.get_default_dtype())


def _arrange(rewards: Tensor, valid: Tensor, group_ids: Tensor) -> tuple[Tensor, Tensor, Tensor, int]:
    rewards, valid, group_ids = (torch.as_tensor(values) for values in (rewards, valid, group_ids))
    if rewards.ndim != 1 or not rewards.shape == valid.shape == group_ids.shape:
        raise ValueError(
            f"rewards, valid and group_ids must have one shape [sequences], not {tuple(rewards.shape)}, "
            f"{tuple(valid.shape)} and {tuple(group_ids.shape)}"
        )
    valid = valid.bool()
    bad = valid & ~torch.isfinite(rewards.double())
    if bad.any():
        raise ValueError(f"valid rewards must be finite; sequence {int(bad.nonzero()[0])} has {rewards[bad][0].item()}")
    unique, groups = torch.unique(group_ids, return_inverse=True)
    return rewards, valid, groups, len(unique)


def _per_group(values: Tensor, groups: Tensor, count: int) -> Tensor:
    return values.new_zeros(count).index_add(0, groups, values)


def _spread(values: Tensor, valid: Tensor, groups: Tensor, count: int) -> Tensor:
    """[sequences] bool: the group's valid rewards differ. Exact, where `r - mean == 0` would depend on rounding."""
    infinity = values.new_full((count,), torch.inf)
    lowest = infinity.scatter_reduce(0, groups, torch.where(valid, values, torch.inf), "amin")
    highest = (-infinity).scatter_reduce(0, groups, torch.where(valid, values, -torch.inf), "amax")
    return (highest > lowest)[groups]
