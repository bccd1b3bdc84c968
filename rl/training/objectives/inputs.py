"""What an objective reads and returns: the loss over a part of a mini-batch is its share, parts add up to the whole.

That holds because everything that normalises (`weights`, `num_tokens`) belongs to the global optimizer mini-batch, and
because sequences are never cut: a part holds whole sequences only. Tokens outside the loss mask and sequences of weight
0 may hold anything, NaN included.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

__all__ = ["LossInputs", "LossOutput", "Objective"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossInputs:
    """Packed tokens of whole sequences, in any order. Shapes: [tokens] and [sequences]."""

    log_probs: Tensor
    """[tokens], differentiable: log pi_theta of each token given what precedes it, in nats."""
    old_log_probs: Tensor
    """[tokens]: the trainer's own log-probabilities at pi_old."""
    loss_mask: Tensor
    """[tokens] bool: True for tokens that the policy chose."""
    sequence_ids: Tensor
    """[tokens] integers: the row of `advantages` and `weights` that a token belongs to; -1 for padding."""
    advantages: Tensor
    """[sequences]: r - r_bar, taken over the whole group before any split."""
    weights: Tensor
    """[sequences]: 1 / (groups with a valid member x valid members of the group), 0 where not valid."""
    num_tokens: float | Tensor
    """Policy tokens of valid sequences in the global mini-batch."""
    behaviour_log_probs: Tensor | None = None
    """[tokens]: the engine's, for importance correction."""
    ref_log_probs: Tensor | None = None
    """[tokens]: those of a reference policy."""

    def __post_init__(self) -> None:
        tokens, sequences = self.log_probs.shape, self.weights.shape
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "num_tokens" or value is None:
                continue
            expected = sequences if field.name in ("advantages", "weights") else tokens
            if value.ndim != 1 or value.shape != expected:
                raise ValueError(
                    f"LossInputs.{field.name} has shape {tuple(value.shape)}; the packed batch says {tuple(expected)}"
                )

    @property
    def mask(self) -> Tensor:
        """[tokens] bool: policy tokens of valid sequences, the only ones that any objective may read."""
        return self.loss_mask.bool() & (self.weights > 0)[self.sequence_ids] & (self.sequence_ids >= 0)

    @property
    def reference(self) -> Tensor:
        """[tokens]: log-probabilities of the reference policy, which is pi_old unless another one is given."""
        return self.old_log_probs if self.ref_log_probs is None else self.ref_log_probs

    def select(self, sequences: Tensor) -> "LossInputs":
        """The part that holds the given sequences ([n] integers), renumbered in that order; normalisers stay global."""
        number = torch.full((len(self.weights),), -1, dtype=torch.long, device=self.sequence_ids.device)
        number[sequences] = torch.arange(len(sequences), device=number.device)
        renumbered = torch.where(self.sequence_ids >= 0, number[self.sequence_ids], -1)
        kept = renumbered >= 0
        per_token: dict[str, Any] = {
            name: None if (value := getattr(self, name)) is None else value[kept]
            for name in ("log_probs", "old_log_probs", "loss_mask", "behaviour_log_probs", "ref_log_probs")
        }
        return replace(
            self,
            sequence_ids=renumbered[kept],
            advantages=self.advantages[sequences],
            weights=self.weights[sequences],
            **per_token,
        )


@dataclass(frozen=True, slots=True)
class LossOutput:
    loss: Tensor
    """Scalar, differentiable: this part's share of the mini-batch's loss. Add parts; never average them."""
    metrics: dict[str, Tensor]
    """Detached scalars. Each is a share like the loss: the sum over parts is the figure for the mini-batch."""


Objective = Callable[..., LossOutput]
"""`objective(LossInputs, **settings)`."""
