"""How a batch of rollouts falls into optimizer mini-batches, micro-batches and ranks, with nothing lost in the split.

Advantages are given for whole groups; weights and token counts are taken over the whole mini-batch here, before it is
cut. The cut is a pure function of the rollouts, so every rank finds the same one and takes its own part. Where ranks share
passes (`rl.training.sequence_parallel`), "rank" is such a group here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rl.training.objectives import LossInputs, mini_batch_shares, ptx
from rl.training.packing import PackedBatch, TokenRow, collate, plan

__all__ = ["MicroBatch", "MiniBatches", "PTXBatch", "Rollouts", "micro_batches", "mini_batches", "ptx_batches", "scoring_batches"]

MiniBatches = Literal["split", "whole"]


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Sequences of one training iteration, of whole groups."""

    rows: Sequence[TokenRow]
    """[sequences], with behaviour log-probabilities."""
    advantages: Tensor
    """[sequences] float: r - r_bar over whole groups (`group_advantages`)."""
    valid: Tensor
    """[sequences] bool: whether the reward is a verdict about the policy."""
    group_ids: Tensor
    """[sequences] integers, equal for the responses to one prompt."""

    def __post_init__(self) -> None:
        for name in ("advantages", "valid", "group_ids"):
            shape = tuple(getattr(self, name).shape)
            if shape != (len(self.rows),):
                raise ValueError(f"rollouts.{name} has shape {shape}; there are {len(self.rows)} sequences")
        if not self.rows:
            raise ValueError("a batch of rollouts has at least one sequence")
        if any(row.behaviour_log_probs is None for row in self.rows):
            raise ValueError("rollouts carry the engine's log-probabilities; a row has none")
        if not bool(torch.isfinite(self.advantages[self.valid]).all()):
            raise ValueError("the advantage of a valid sequence is not finite")


@dataclass(slots=True)
class MicroBatch:
    """One forward and backward pass of one rank."""

    packed: PackedBatch
    advantages: Tensor
    """[sequences] of this pass."""
    weights: Tensor
    """[sequences]: shares of the global mini-batch; all 0 in a pass that only keeps a rank in step with the others."""
    num_tokens: int
    """Policy tokens of the global mini-batch."""
    old_log_probs: Tensor | None = None
    """[T] at pi_old; set by the first pass that computes them."""
    ref_log_probs: Tensor | None = None
    """[T] of the reference policy, where there is one."""
    routes: Tensor | None = None
    """[T, layers, experts per token] to replay: the engine's, or those of the first pass at pi_old. Of ranks that share the
    pass, each has those of the positions that it computes."""

    @property
    def counts(self) -> bool:
        """Whether this pass has rows of its own; otherwise it repeats rows that another rank counts."""
        return bool((self.weights > 0).any())

    def loss_inputs(self, log_probs: Tensor) -> LossInputs:
        """What an objective reads, with `log_probs` [T] of the current policy."""
        assert self.old_log_probs is not None
        return LossInputs(
            log_probs=log_probs,
            old_log_probs=self.old_log_probs,
            behaviour_log_probs=self.packed.behaviour_log_probs,
            ref_log_probs=self.ref_log_probs,
            loss_mask=self.packed.loss_mask,
            sequence_ids=self.packed.sequence_ids,
            advantages=self.advantages,
            weights=self.weights,
            num_tokens=self.num_tokens,
        )


@dataclass(frozen=True, slots=True)
class PTXBatch:
    """One pass of one rank over demonstrations that are mixed in."""

    packed: PackedBatch
    num_tokens: int
    """Tokens in the loss of all demonstrations of the global mini-batch."""
    counts: bool
    """False for a pass that only keeps a rank in step with the others."""

    def loss(self, log_probs: Tensor) -> Tensor:
        """Scalar share in nats per token; `log_probs` [T] of the current policy."""
        share = ptx(log_probs, self.packed.loss_mask, self.num_tokens)
        return share if self.counts else share * 0.0


def mini_batches(rollouts: Rollouts, steps: int, mode: MiniBatches, skip_zero_advantage: bool) -> list[list[int]]:
    """Rows of each optimizer step; rows that no step uses are in none.

    Args:
        steps: optimizer steps wanted; fewer come back where there are fewer groups to split.
        mode: "split" deals whole groups, in order of appearance, into parts as equal as can be; "whole" gives each
            step all of them.
        skip_zero_advantage: leave out groups whose advantages are all zero.
    """
    groups: dict[int, list[int]] = {}
    for row in rollouts.valid.bool().nonzero().flatten().tolist():
        groups.setdefault(int(rollouts.group_ids[row]), []).append(row)
    used = [rows for rows in groups.values() if not skip_zero_advantage or bool(rollouts.advantages[rows].any())]
    if mode == "whole":
        return [[row for rows in used for row in rows]] * steps if used else []
    parts = np.array_split(np.arange(len(used)), steps)
    return [[row for number in part for row in used[number]] for part in parts if len(part)]


def micro_batches(rollouts: Rollouts, members: list[int], tokens: int, rank: int, ranks: int) -> list[MicroBatch]:
    """This rank's passes over one optimizer mini-batch: as many on every rank, whole sequences, balanced by length.

    Args:
        members: rows of the mini-batch.
        tokens: positions per pass.
    """
    policy_tokens = torch.tensor([rollouts.rows[row].policy_tokens for row in members])
    shares = mini_batch_shares(rollouts.valid[members], rollouts.group_ids[members], policy_tokens)
    passes = []
    for chosen, counts in _share([rollouts.rows[row] for row in members], tokens, rank, ranks):
        rows = [members[number] for number in chosen]
        weights = shares.weights[chosen] if counts else torch.zeros(len(chosen))
        packed = collate(rollouts.rows, rows)
        advantages = rollouts.advantages[rows].float()
        passes.append(MicroBatch(packed, advantages, weights, shares.num_tokens, routes=packed.routes))
    return passes


def ptx_batches(rows: Sequence[TokenRow], tokens: int, rank: int, ranks: int) -> list[PTXBatch]:
    """This rank's passes over the demonstrations of one optimizer mini-batch: as many on every rank."""
    num_tokens = sum(row.policy_tokens for row in rows)
    return [PTXBatch(collate(rows, chosen), num_tokens, counts) for chosen, counts in _share(rows, tokens, rank, ranks)]


def scoring_batches(
    rollouts: Rollouts, members: list[int], tokens: int, rank: int, ranks: int
) -> list[tuple[PackedBatch, bool]]:
    """This rank's passes over rows that are only scored, and whether each counts: as many on every rank."""
    shares = _share([rollouts.rows[row] for row in members], tokens, rank, ranks)
    return [(collate(rollouts.rows, [members[number] for number in chosen]), counts) for chosen, counts in shares]


def _share(rows: Sequence[TokenRow], tokens: int, rank: int, ranks: int) -> list[tuple[list[int], bool]]:
    """Row numbers of each pass of this rank, and whether the pass counts. Where passes do not come out even, some ranks repeat
    the first one for nothing: partitioned weights (ZeRO 3) are gathered in every forward pass, by all ranks at once."""
    bins = plan([row.positions for row in rows], tokens, multiple_of=ranks)
    padded = [(chosen, True) for chosen in bins] + [(chosen, False) for chosen in bins[:1] * (-len(bins) % ranks)]
    return padded[rank::ranks]
