"""How the ranks of the trainer share one pass: which work together on a sequence, and which hold which experts."""

from dataclasses import dataclass

__all__ = ["ParallelSettings"]


@dataclass(frozen=True, slots=True)
class ParallelSettings:
    """Degrees; what is left of the ranks is data parallel."""

    sequence: int = 1
    """Consecutive ranks that share every packed batch, each its part of the positions and of the attention heads (Ulysses)."""
    experts: int = 1
    """Consecutive ranks that share the routed experts, each its part of every layer's, and send each other tokens."""

    def __post_init__(self) -> None:
        for name in ("sequence", "experts"):
            if getattr(self, name) < 1:
                raise ValueError(f"parallel.{name} must be at least 1, not {getattr(self, name)}")

    def check(self, ranks: int) -> None:
        """Raises ValueError, naming the key, where this many ranks cannot be shared out so."""
        for name in ("sequence", "experts"):
            if ranks % getattr(self, name):
                raise ValueError(f"parallel.{name}={getattr(self, name)} does not divide {ranks} ranks")
