"""The pool's settings. They decide speed and what is given up as broken, never a verdict that comes in time."""

import math
from dataclasses import dataclass

from rewards.verifiers import VERIFIERS

__all__ = ["ScoringConfig"]


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """How verdicts are spread over processes.

    Raises:
        ValueError: naming the key, when a value makes no sense.
    """

    workers: int = 2
    """Processes that judge side by side; they start when there is work for them."""
    item_seconds: float = 30.0
    """Most seconds of one verdict; beyond, its process is killed and the reward is invalid."""
    start_seconds: float = 120.0
    """Most seconds in which a process starts and imports one verifier, which is no part of a verdict."""
    patience_seconds: float = 0.25
    """A verdict that takes longer gets a lower priority, and its place is taken by a spare process."""
    spares: int = 2
    """Processes beyond `workers` that may stand in for slow ones."""
    memory_bytes: int = 2 * 2**30
    """Most data of one process, and of each that it starts; beyond, allocations fail there."""
    max_queued: int = 1024
    """Verdicts that wait; whoever brings more waits until there is room."""
    idle_seconds: float = 300.0
    """A process that had nothing to do for so long ends, and is started again when there is work."""
    in_process: tuple[str, ...] = ("tool_use", "search", "safety", "long_context")
    """Domains whose verdicts are cheaper than the way to another process and bounded whatever the answer: judged where the caller
    is."""

    def __post_init__(self) -> None:
        for key in ("workers", "memory_bytes", "max_queued"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} is at least 1, not {getattr(self, key)}")
        for key in ("item_seconds", "start_seconds", "patience_seconds", "idle_seconds"):
            if not 0 < getattr(self, key) < math.inf:
                raise ValueError(f"{key} is above 0 and finite, not {getattr(self, key)}")
        if self.spares < 0:
            raise ValueError(f"spares is at least 0, not {self.spares}")
        if self.patience_seconds > self.item_seconds:
            raise ValueError(f"patience_seconds is at most item_seconds={self.item_seconds:g}, not {self.patience_seconds:g}")
        for domain in self.in_process:
            if domain not in VERIFIERS:
                raise ValueError(f"in_process: no domain {domain!r}; there are: {', '.join(sorted(VERIFIERS))}")
