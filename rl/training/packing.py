"""Whole sequences, packed end to end into micro-batches: no padding tokens, and no sequence is ever cut.

What a batch computes depends on its sequences alone and never on how they were packed: attention is told the boundaries
(`cu_seq_lens`), positions start anew, and everything that normalises a loss is taken before the split. A model reads a
sequence up to its last token in the loss, exclusive: what follows could change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rl.training.sequence_parallel import SequenceGroup
from trajectories.trajectory import Trajectory

__all__ = ["PackedBatch", "TokenRow", "collate", "pack", "plan"]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One sequence as the trainer sees it. Arrays are [tokens] and cross process borders without copies."""

    token_ids: np.ndarray
    """int64."""
    loss_mask: np.ndarray
    """bool: tokens in the loss. The first token never is, because nothing precedes it."""
    behaviour_log_probs: np.ndarray | None = None
    """float32, nats: the engine's, 0 outside the mask; None for demonstrations."""
    temperatures: np.ndarray | None = None
    """float32, above 0: what each token was sampled at; None stands for 1."""
    versions: np.ndarray | None = None
    """int64: the weights that sampled each token, or the oldest in the key/value cache they sampled it on; -1 outside the
    mask; None where nobody says. Only of tokens of its own version can a trainer find the engine's log-probability again."""
    routes: np.ndarray | None = None
    """[tokens, layers, experts per token] integers: where the engine sent each input token (`rl.training.replay`); -1
    throughout where it does not say, None where it never does."""

    def __post_init__(self) -> None:
        shape = self.token_ids.shape
        for name in ("loss_mask", "behaviour_log_probs", "temperatures", "versions"):
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"TokenRow.{name} has shape {value.shape}; token_ids has {shape}")
        if self.routes is not None and (self.routes.ndim != 3 or len(self.routes) != len(self.token_ids)):
            raise ValueError(f"TokenRow.routes has shape {self.routes.shape}; token_ids has {shape}")
        if len(shape) != 1 or shape[0] < 2:
            raise ValueError(f"a sequence has at least two tokens in one dimension, not shape {shape}")
        if self.loss_mask[0]:
            raise ValueError("the first token of a sequence cannot be in the loss: nothing precedes it")
        if self.temperatures is not None and not (self.temperatures[self.loss_mask] > 0).all():
            raise ValueError("temperatures of sampled tokens must be above 0: greedy tokens have no log-probability")

    @staticmethod
    def of(trajectory: Trajectory, *, loss_from_version: int | None = None) -> "TokenRow":
        """The tokens of a trajectory, loss on those that the policy sampled.

        Args:
            loss_from_version: leaves tokens of older weights out of the loss; they stay in the context of those that follow
                (Kimi k1.5, arXiv 2501.12599: of a partial rollout only the current segment is on-policy).

        Raises:
            ValueError: for a demonstration, which has no behaviour log-probabilities; with `loss_from_version`, for tokens
                without a version.
        """
        if any(segment.origin == "demonstration" for segment in trajectory.segments):
            raise ValueError(f"{trajectory.id} is a demonstration; RL learns from what the policy itself sampled")
        mask = np.asarray(trajectory.loss_mask, dtype=bool)
        versions = _versions(trajectory)
        if loss_from_version is not None:
            if versions is None:
                raise ValueError(f"{trajectory.id}: nobody says by which weights it was sampled, so none can be left out")
            mask &= versions >= loss_from_version
            versions = np.where(mask, versions, -1)
        return TokenRow(
            token_ids=np.asarray(trajectory.token_ids, dtype=np.int64),
            loss_mask=mask,
            behaviour_log_probs=np.where(mask, np.asarray(trajectory.behaviour_log_probs, dtype=np.float32), np.float32(0)),
            temperatures=np.where(mask, np.asarray(trajectory.temperatures, dtype=np.float32), np.float32(1)),
            versions=versions,
        )

    @property
    def policy_tokens(self) -> int:
        return int(self.loss_mask.sum())

    @property
    def positions(self) -> int:
        """Positions that a model computes: up to the last token in the loss, exclusive; at least 1."""
        inside = np.flatnonzero(self.loss_mask)
        return int(inside[-1]) if len(inside) else 1


@dataclass(frozen=True)
class PackedBatch:
    """Sequences end to end. Position i holds input token i and has the token after it as its target."""

    input_ids: Tensor
    """[1, T] integers."""
    position_ids: Tensor
    """[1, T]: from 0 in each sequence."""
    cu_seq_lens: Tensor
    """[sequences + 1] int32: cumulative lengths, from 0 to T."""
    targets: Tensor
    """[T]: the token that follows each position."""
    loss_mask: Tensor
    """[T] bool: whether the target is in the loss."""
    sequence_ids: Tensor
    """[T]: the number of the sequence within this batch."""
    behaviour_log_probs: Tensor
    """[T] float32, of the target; 0 outside the mask."""
    temperatures: Tensor
    """[T] float32, of the target; 1 outside the mask."""
    rows: tuple[int, ...]
    """Which rows of the whole these sequences are, in order."""
    versions: Tensor | None = None
    """[T] int64, of the target (see `TokenRow.versions`); -1 outside the mask and where a row does not say. None where no
    row says."""
    routes: Tensor | None = None
    """[T, layers, experts per token] int16, of the input token of each position; None unless every row has them."""
    group: SequenceGroup | None = None
    """The ranks that compute this batch together, each of which has all of it here; None: one rank alone."""

    @cached_property
    def loss_positions(self) -> Tensor:
        """[n]: positions whose target is in the loss, ascending."""
        return self.loss_mask.nonzero().squeeze(1)

    @property
    def computed(self) -> slice:
        """Positions that this rank's model computes."""
        total = len(self.targets)
        return slice(0, total) if self.group is None else self.group.computed(total)

    @property
    def counted(self) -> slice:
        """Those of them that no other rank of the group counts; empty where this one only repeats them."""
        return self.computed if self.group is None else self.group.counted(len(self.targets))

    @cached_property
    def counted_loss_positions(self) -> Tensor:
        """[n]: `loss_positions` within `counted`."""
        inside = torch.zeros_like(self.loss_mask)
        inside[self.counted] = True
        return (self.loss_mask & inside).nonzero().squeeze(1)

    @cached_property
    def max_length(self) -> int:
        """Longest sequence, in positions."""
        return int(self.cu_seq_lens.diff().max())

    @property
    def model_inputs(self) -> dict[str, Any]:
        """What a causal model of transformers with the `orrery_varlen` attention takes: the positions that it computes, and
        the boundaries of the whole."""
        shared = self.group is not None and self.group.cuts(len(self.targets))
        return {
            "input_ids": self.input_ids[:, self.computed],
            "position_ids": self.position_ids[:, self.computed],
            "cu_seq_lens_q": self.cu_seq_lens,
            "cu_seq_lens_k": self.cu_seq_lens,
            "max_length_q": self.max_length,
            "max_length_k": self.max_length,
            "use_cache": False,
        } | ({"head_exchange": self.group} if shared else {})


def pack(rows: Sequence[TokenRow], tokens_per_micro_batch: int, multiple_of: int = 1) -> list[PackedBatch]:
    """Every row in exactly one batch of at most that many positions; a longer row has a batch of its own.

    Args:
        multiple_of: the number of batches is a multiple of this (ranks) where there are rows enough.
    """
    lengths = [row.positions for row in rows]
    return [collate(rows, numbers) for numbers in plan(lengths, tokens_per_micro_batch, multiple_of)]


def plan(lengths: Sequence[int], tokens_per_micro_batch: int, multiple_of: int = 1) -> list[list[int]]:
    """Numbers of the rows of each micro-batch, the largest batches first.

    Rows of similar length share a batch, because attention computes a rectangle of the longest.
    """
    if tokens_per_micro_batch < 1:
        raise ValueError(f"tokens_per_micro_batch must be at least 1, not {tokens_per_micro_batch}")
    bins: list[list[int]] = []
    room = 0
    for row in sorted(range(len(lengths)), key=lambda number: (-lengths[number], number)):
        if not bins or lengths[row] > room:
            bins.append([])
            room = tokens_per_micro_batch
        bins[-1].append(row)
        room -= lengths[row]
    while len(bins) % multiple_of and max(map(len, bins)) > 1:
        largest = max(bins, key=lambda numbers: (len(numbers) > 1, sum(lengths[number] for number in numbers)))
        bins.remove(largest)
        bins += [largest[::2], largest[1::2]]
    return sorted(bins, key=lambda numbers: -sum(lengths[number] for number in numbers))


def collate(rows: Sequence[TokenRow], numbers: Sequence[int]) -> PackedBatch:
    """The rows of those numbers as one batch, in that order."""
    chosen = [rows[number] for number in numbers]
    lengths = np.array([row.positions for row in chosen])

    def joined(parts: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts))

    def after(name: str, fill: float, kind: type = np.float32) -> Tensor:
        """A per-token field of each position's target."""
        parts = []
        for row, length in zip(chosen, lengths, strict=True):
            values = getattr(row, name)
            absent = values is None
            parts.append(np.full(length, fill, kind) if absent else values[1 : length + 1].astype(kind))
        return joined(parts)

    pairs = list(zip(chosen, lengths, strict=True))
    return PackedBatch(
        input_ids=joined([row.token_ids[:length] for row, length in pairs]).long()[None],
        position_ids=joined([np.arange(length) for length in lengths])[None],
        cu_seq_lens=torch.from_numpy(np.concatenate([[0], lengths.cumsum()]).astype(np.int32)),
        targets=joined([row.token_ids[1 : length + 1] for row, length in pairs]).long(),
        loss_mask=joined([row.loss_mask[1 : length + 1] for row, length in pairs]),
        sequence_ids=torch.from_numpy(np.repeat(np.arange(len(chosen)), lengths)),
        behaviour_log_probs=after("behaviour_log_probs", 0.0),
        temperatures=after("temperatures", 1.0),
        rows=tuple(int(number) for number in numbers),
        versions=after("versions", -1, np.int64) if any(row.versions is not None for row in chosen) else None,
        routes=_routes(chosen, lengths),
    )


def _routes(rows: Sequence[TokenRow], lengths: np.ndarray) -> Tensor | None:
    parts = [row.routes[:length] for row, length in zip(rows, lengths, strict=True) if row.routes is not None]
    return torch.from_numpy(np.concatenate(parts).astype(np.int16)) if len(parts) == len(rows) else None


def _versions(trajectory: Trajectory) -> np.ndarray | None:
    """[tokens] as `TokenRow.versions`; None where a policy segment has no version."""
    parts = []
    for segment in trajectory.segments:
        known = [version for version in (segment.policy_version, segment.stale_cache_version) if version is not None]
        if segment.origin == "policy" and not known:
            return None
        oldest = min(known) if segment.origin == "policy" else -1
        parts.append(np.full(len(segment.token_ids), oldest, dtype=np.int64))
    return np.concatenate(parts) if parts else None
