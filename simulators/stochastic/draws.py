"""Law 3 for troubles: what strikes a call is drawn for that call, by what it is for and never by when it is made.

An episode's seed is itself derived from run, task and rollout, so a draw belongs to (run, task, rollout, call, tool).
Workers, order and resumption change nothing, and no draw depends on whether another one was made.
"""

import random
from collections.abc import Iterable

from simulators.stochastic.rates import Rates, ToolTroubles
from simulators.worlds import WorldSpec
from trajectories.seeds import derive_rng

__all__ = ["strike", "tools_down", "trouble_rng"]


def trouble_rng(seed: int, task_id: str, call_index: int, tool: str) -> random.Random:
    """The generator of one call.

    Args:
        seed: of the episode, see `simulators.environment.Environment.reset`.
        call_index: counted over the episode, from 0.
    """
    return derive_rng(seed, "tool-trouble", task_id, call_index, tool)


def strike(rates: Rates, rng: random.Random) -> str | None:
    """The trouble that strikes one call, or None; takes exactly one number from `rng`."""
    drawn = rng.random()
    for name, rate in rates.per_call().items():
        if drawn < rate:
            return name
        drawn -= rate
    return None


def tools_down(
    troubles: ToolTroubles, world: WorldSpec, spared: Iterable[str], seed: int, task_id: str
) -> frozenset[str]:
    """The tools that are out of service for the whole episode.

    Args:
        spared: tools that never are: those of the gold, so that a certified task stays possible.
    """
    kept = set(spared)
    return frozenset(
        name
        for name, operation in world.operations.items()
        if name not in kept
        and (rates := troubles.rates_of(operation)) is not None
        and rates.permanent > 0
        and derive_rng(seed, "tool-down", task_id, name).random() < rates.permanent
    )
