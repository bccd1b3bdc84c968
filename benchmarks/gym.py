"""Tasks of the gym's domains per second: drawn and rendered, and certified, which plays the oracle and every cheat."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.figure import Figure, Limit, seconds_of, take_turns
from rewards.verifiers import verify
from simulators.tasks.domains.protocol import Domain
from simulators.tasks.domains.registry import DOMAINS, domain_of
from simulators.tasks.domains.stream import DomainMix, candidate, certified_task
from trajectories.tasks import Task

__all__ = ["GymBenchmark", "measure"]


@dataclass(frozen=True, kw_only=True)
class GymBenchmark:
    domains: tuple[str, ...] = DOMAINS
    """Which domains."""
    tasks: int = 64
    """Of each domain; families take turns, then levels."""
    certified: int = 16
    """Of each domain."""
    mix: DomainMix = field(default_factory=lambda: DomainMix(levels=(1, 2, 3)))
    """Which tasks; of long_context, level 7 alone takes seconds."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.domains if name not in DOMAINS]
        if unknown or not self.domains:
            raise ValueError(f"domains: {', '.join(unknown) or 'nothing'} is not among {', '.join(DOMAINS)}")
        for key in ("tasks", "certified"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1, not {getattr(self, key)}")

    def quick(self) -> "GymBenchmark":
        return replace(self, tasks=2, certified=1)


def measure(settings: GymBenchmark, repeats: int, seed: int) -> list[Figure]:
    """Tasks per second by domain, in one process; certified ones beside those that nobody certifies."""
    return [_of(settings, domain_of(name), repeats, seed) for name in settings.domains]


def _of(settings: GymBenchmark, domain: Domain, repeats: int, seed: int) -> Figure:
    characters = 0

    def made() -> float:
        nonlocal characters
        numbers = range(settings.tasks)
        tasks: list[Task] = []

        def work() -> None:
            tasks.extend(candidate(domain, n, mix=settings.mix, run_seed=seed, split="train")[0] for n in numbers)

        rate = settings.tasks / seconds_of(work)
        characters = sum(len(task.ledger.opening) for task in tasks)
        return rate

    measures: tuple[Callable[[], float], ...] = (made, lambda: _certified(settings, domain, seed))
    rendered, certified = take_turns(repeats, *measures)
    details = {"tasks": float(settings.tasks), "characters_per_prompt": characters / settings.tasks}
    return Figure(f"{domain.name}: certified tasks", "tasks/s", certified, Limit("not certified", rendered), details)


def _certified(settings: GymBenchmark, domain: Domain, seed: int) -> float:
    def work() -> None:
        for number in range(settings.certified):
            certified_task(domain, number, mix=settings.mix, run_seed=seed, split="train", verify=verify)

    return settings.certified / seconds_of(work)
