"""What every way of sending weights offers."""

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from rl.rollout.engine import WeightUpdate

__all__ = ["Export", "Exporter"]


@dataclass(frozen=True, slots=True)
class Export:
    update: WeightUpdate
    bytes: int
    """Size of the tensors that travel."""
    seconds: float
    """Time to write and to digest."""


class Exporter(Protocol):
    """Sends the updates of one trainer."""

    def export(self, model: nn.Module, version: int) -> Export:
        """The model's weights as an update. The receipt of the one before must be there.

        The model must not change until this one's receipt is there too.

        Raises:
            OSError: there is no space, e.g. ENOSPC for a full disk.
        """
        ...

    def close(self) -> None:
        """Gives back what the exporter holds. Closing twice is fine."""
        ...
