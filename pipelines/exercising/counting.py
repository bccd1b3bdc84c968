"""Whether numbers give different problems, and whether the two splits share one: counted over the digests of the problems."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipelines.cluster import in_order
from pipelines.progress import Progress
from pipelines.report import table
from simulators.tasks.domains.measuring import drawn_ids
from simulators.tasks.domains.registry import domain_of
from simulators.tasks.domains.stream import DomainMix
from trajectories.tasks import Split

if TYPE_CHECKING:
    from pipelines.gym import Gym

__all__ = ["count_distinct", "distinct_tables"]

_CHUNK: Final = 2_000


def count_distinct(config: "Gym", progress: Progress) -> dict[str, Any]:
    """By domain, of `config.count` training numbers and an eighth as many held-out ones, for which eight times as many problems
    are drawn: distinct problems, by family too, and those in both. Needs a running Ray.

    Eight bytes of each digest are compared: of a million problems, two different ones agree with probability 3e-8.
    """
    found: dict[str, Any] = {}
    with progress.phase("distinct", total=(config.count + _held_out(config)) * len(config.chosen), unit="problems") as phase:
        for name in config.chosen:
            families = [f for f in domain_of(name).families if f in config.mix.families] or list(domain_of(name).families)
            train = _ids(config, name, "train", config.count, phase)
            held_out = _ids(config, name, "held_out", _held_out(config), phase)
            by_family = {
                family: {"numbers": len(part), "distinct": len(np.unique(part))}
                for place, family in enumerate(families)
                if len(part := train[(np.arange(len(train)) + config.number) % len(families) == place])
            }
            found[name] = {
                "numbers": len(train),
                "distinct": len(np.unique(train)),
                "held_out": len(held_out),
                "held_out_distinct": len(np.unique(held_out)),
                "in_both": len(np.intersect1d(train, held_out)),
                "families": by_family,
            }
    return {"domains": found}


def _held_out(config: "Gym") -> int:
    return max(1, config.count // 8)


def _ids(config: "Gym", name: str, split: Split, count: int, phase: Any) -> np.ndarray:
    """(count,) uint64, in the order of the numbers."""
    last, context = config.number + count, (name, config.mix, config.seed, split)
    numbers = (range(start, min(start + _CHUNK, last)) for start in range(config.number, last, _CHUNK))
    found = []
    for part in in_order(_drawn, context, numbers, config.workers):
        found.append(part)
        phase.advance(len(part))
    return np.concatenate(found)


def _drawn(context: tuple[str, DomainMix, int, Split], numbers: range) -> np.ndarray:
    name, mix, seed, split = context
    ids = drawn_ids(domain_of(name), numbers, mix=mix, run_seed=seed, split=split)
    return np.array([int(identity[:16], 16) for identity in ids], dtype=np.uint64)


def distinct_tables(found: Mapping[str, Any]) -> str:
    """The figures for a person; families that repeat themselves are named."""
    rows, notes = [], []
    for name, figures in found["domains"].items():
        counts = (f"{figures[key]:,}" for key in ("numbers", "distinct", "held_out", "held_out_distinct", "in_both"))
        rows.append([name, *counts])
        repeated = [
            f"{family} {part['distinct']:,} of {part['numbers']:,}"
            for family, part in figures["families"].items()
            if part["distinct"] < part["numbers"]
        ]
        if repeated:
            notes.append(f"{name} repeats: {', '.join(repeated)}")
    text = table(["domain", "training numbers", "distinct", "held-out numbers", "distinct", "in both"], rows)
    return "\n\n".join([text, *notes])
