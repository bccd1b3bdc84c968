"""The pool's settings. They decide speed and what is given up as broken, never what an episode that ends well gives."""

import math
from dataclasses import dataclass, field
from typing import Any

from simulators.pool.host import TimeLimits
from simulators.stochastic import ToolTroubles

__all__ = ["PoolConfig"]


@dataclass(frozen=True)
class PoolConfig:
    """How environments are spread over Ray actors, which decides speed, never results; and what `Environment` is given:
    max_turns, end_on_malformed and troubles."""

    actors: int = 1
    """Actor processes, spread over the nodes of the cluster; each holds many environments."""
    max_turns: int = 12
    """Assistant messages per episode."""
    end_on_malformed: bool = False
    """Whether a call that is no JSON object, or names no tool, ends the episode with ending ``malformed``."""
    troubles: ToolTroubles = field(default_factory=ToolTroubles)
    """How often tools misbehave; never, unless a rate is set."""
    batch: int = 256
    """Most operations (steps, resets, ...) per remote call; an actor never has more of them at once."""
    max_queued: int = 1024
    """Most operations that wait for one actor; whoever brings more waits until there is room (backpressure)."""
    cpus_per_actor: float = 0.1
    """Ray's logical CPUs per actor; environments wait for the policy most of the time."""
    max_deaths: int = 3
    """An operation that its actor does not survive this many times, alone, becomes a fault of its episode."""
    operation_seconds: float = 60.0
    """Most seconds of one operation of one environment; beyond, it is interrupted and its episode ends by a fault."""
    item_seconds: float = 900.0
    """Most seconds of one item of `map`, or one whole episode of `play_many`."""
    grace_seconds: float = 30.0
    """Beyond these limits: an actor that has not answered by then hangs where nothing can interrupt it, and is replaced."""

    def __post_init__(self) -> None:
        for name in ("actors", "max_turns", "batch", "max_queued", "max_deaths"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        for name in ("operation_seconds", "item_seconds", "grace_seconds"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is above 0 and finite, not {getattr(self, name)}")
        if self.cpus_per_actor < 0:
            raise ValueError(f"cpus_per_actor is at least 0, not {self.cpus_per_actor}")

    @property
    def episode(self) -> dict[str, Any]:
        """What `Environment` and `play` are given."""
        return {name: getattr(self, name) for name in ("max_turns", "end_on_malformed", "troubles")}

    @property
    def limits(self) -> TimeLimits:
        return TimeLimits(self.operation_seconds, self.item_seconds)
