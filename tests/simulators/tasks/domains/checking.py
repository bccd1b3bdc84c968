"""Certification of a sample, for the tests of every domain."""

from collections import Counter
from dataclasses import dataclass

from rewards.verifiers import verify
from simulators.tasks.domains.measuring import measure
from simulators.tasks.domains.registry import domain_of
from simulators.tasks.domains.stream import DomainMix
from trajectories.tasks import Split


@dataclass(frozen=True)
class Report:
    candidates: int
    certified: int
    oracle_passes: int
    cheat_scores: dict[str, float]
    """By name: the most that it scored."""
    tried: Counter[str]
    """By name: how many candidates it was tried on."""
    reasons: list[str]
    """Of those that were refused."""


def certify_sample(
    name: str,
    count: int,
    *,
    mix: DomainMix | None = None,
    split: Split = "train",
    seed: int = 0,
    start: int = 0,
) -> Report:
    """Candidates `start` to `start + count`; by default of all levels and languages."""
    domain = domain_of(name)
    mix = mix or DomainMix(levels=tuple(range(1, domain.levels + 1)), languages=domain.languages)
    found = list(measure(domain, range(start, start + count), mix=mix, run_seed=seed, split=split, verify=verify))
    scores: dict[str, float] = {}
    for item in found:
        for cheat, score in item.cheats.items():
            scores[cheat] = max(scores.get(cheat, 0.0), score)
    return Report(
        candidates=len(found),
        certified=sum(item.certified for item in found),
        oracle_passes=sum(item.oracle == 1.0 for item in found),
        cheat_scores=scores,
        tried=Counter(cheat for item in found for cheat in item.cheats),
        reasons=[f"{item.family}/{item.level}/{item.language}: {reason}" for item in found for reason in item.reasons],
    )
