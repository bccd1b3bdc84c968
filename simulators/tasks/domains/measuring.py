"""What certification finds in a sample of candidates, before it filters them: the evidence for law 4.

Candidates are read back from their stored form before anybody plays them, so that what holds here holds for a data set.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from simulators.playable import open_world
from simulators.tasks.agents import play
from simulators.tasks.domains.certify import MAX_TURNS, certify_drafted
from simulators.tasks.domains.protocol import Domain
from simulators.tasks.domains.stream import DomainMix, candidate, choice, problem_id, split_of
from simulators.tasks.oracle import OracleAgent
from trajectories.codec import from_row, to_row
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.seeds import derive_rng
from trajectories.tasks import Split, Task

__all__ = ["Measured", "drawn_ids", "measure"]

Verify = Callable[[Task, Outcome], Reward]


@dataclass(frozen=True)
class Measured:
    """One candidate."""

    domain: str
    number: int
    family: str
    level: int
    language: str
    task_id: str
    characters: int
    """Of the prompt."""
    oracle: float
    cheats: dict[str, float] = field(default_factory=dict)
    """Reward by cheat; 1.0 where the verdict was not valid."""
    certified: bool = True
    reasons: tuple[str, ...] = ()
    make_seconds: float = 0.0
    """To draw and render it."""
    verify_seconds: float = 0.0
    """Of one verdict about the oracle."""


def measure(
    domain: Domain, numbers: Iterable[int], *, mix: DomainMix, run_seed: int, split: Split, verify: Verify
) -> Iterator[Measured]:
    """The first candidate of each number, with what the oracle and every cheat score."""
    for number in numbers:
        asked, started = choice(domain, number, mix), time.perf_counter()
        task, draft = candidate(domain, number, mix=mix, run_seed=run_seed, split=split)
        made = time.perf_counter() - started
        task = from_row(Task, to_row(task))
        world = open_world(task.world)
        outcome = play(task, world, OracleAgent(task), task.seed, max_turns=MAX_TURNS)[2]
        started = time.perf_counter()
        verify(task, outcome)
        verified = time.perf_counter() - started
        certificate = certify_drafted(task, world, draft.cheats, verify).certificate
        assert certificate is not None
        yield Measured(
            domain.name,
            number,
            asked.family,
            asked.level,
            asked.language,
            task.id,
            len(draft.prompt),
            certificate.oracle,
            dict(certificate.cheats),
            certificate.certified,
            certificate.reasons,
            made,
            verified,
        )


def drawn_ids(domain: Domain, numbers: Iterable[int], *, mix: DomainMix, run_seed: int, split: Split) -> Iterator[str]:
    """The `problem_id` that each number has before certification; nothing is rendered."""
    for number in numbers:
        asked = choice(domain, number, mix)
        rng = derive_rng(run_seed, "problem", domain.name, split, number, asked.family, asked.level, 0)
        identity = ""
        while not identity or split_of(identity) != split:
            identity = problem_id(domain.name, asked.family, domain.draw(asked.family, asked.level, rng))
        yield identity
