"""Numbered tasks of a domain: number i is the same certified task whoever asks for it.

Families take turns, and within a family levels and languages do. The split is a property of the problem: its digest decides,
under every run seed and in every language, so that the two splits never share a problem.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulators.playable import PLAIN, open_world
from simulators.tasks.domains.certify import certify_drafted
from simulators.tasks.domains.protocol import Domain, Draft, Problem
from trajectories.canonical import digest
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.seeds import derive_rng
from trajectories.tasks import Gold, Ledger, Persona, Rubric, Split, Task

__all__ = ["Choice", "DomainMix", "UncertifiableError", "candidate", "certified_task", "choice", "problem_id", "split_of"]

_CANDIDATES = 8
"""That are certified, before a number is given up."""
_DRAWS = 4096
"""Problems that are drawn while none belongs to the split."""
_BUCKETS = 8
"""Of problems by their digest; those of the first are held out."""

Verify = Callable[[Task, Outcome], Reward]


class UncertifiableError(ValueError):
    """No candidate for a number passed its certification, or none belongs to the split."""


@dataclass(frozen=True)
class DomainMix:
    """Which tasks of the domains."""

    families: tuple[str, ...] = ()
    """Names, as `orrery gym` lists them; empty for all. A domain without one of them has all of its own."""
    levels: tuple[int, ...] = (1,)
    """Difficulties that take turns; a level that a domain does not have is its highest."""
    languages: tuple[str, ...] = ("en",)
    """Languages that take turns; a domain that speaks none of them speaks its own first."""

    def __post_init__(self) -> None:
        if not self.levels or min(self.levels) < 1:
            raise ValueError(f"levels: are at least one number from 1 on, not {self.levels}")
        if not self.languages:
            raise ValueError("languages: name at least one")


@dataclass(frozen=True, slots=True)
class Choice:
    """What number i asks a domain for."""

    family: str
    level: int
    language: str


def choice(domain: Domain, number: int, mix: DomainMix) -> Choice:
    """Families take turns first, then levels, then languages."""
    families = [name for name in domain.families if name in mix.families] or list(domain.families)
    levels = list(dict.fromkeys(min(level, domain.levels) for level in mix.levels))
    languages: Sequence[str] = [name for name in mix.languages if name in domain.languages] or domain.languages[:1]
    turn, place = divmod(number, len(families))
    turn, level = divmod(turn, len(levels))
    return Choice(families[place], levels[level], languages[turn % len(languages)])


def problem_id(domain: str, family: str, problem: Problem) -> str:
    """Digest of what decides the problem."""
    return digest([domain, family, problem])


def split_of(identity: str) -> Split:
    """The split that a problem belongs to by its `problem_id`."""
    return "held_out" if int(identity[:8], 16) % _BUCKETS == 0 else "train"


def candidate(
    domain: Domain, number: int, *, mix: DomainMix, run_seed: int, split: Split, attempt: int = 0
) -> tuple[Task, Draft]:
    """The `attempt`-th candidate for this number, not certified yet, with its draft.

    Raises:
        UncertifiableError: no problem of the split was drawn.
    """
    asked = choice(domain, number, mix)
    rng = derive_rng(run_seed, "problem", domain.name, split, number, asked.family, asked.level, attempt)
    for _ in range(_DRAWS):
        problem = domain.draw(asked.family, asked.level, rng)
        if split_of(problem_id(domain.name, asked.family, problem)) == split:
            draft = domain.render(problem, asked.family, asked.level, asked.language)
            return _task(domain, asked, draft, split), draft
    raise UncertifiableError(f"{domain.name}/{asked.family}: none of {_DRAWS} problems of level {asked.level} is {split}")


def certified_task(domain: Domain, number: int, *, mix: DomainMix, run_seed: int, split: Split, verify: Verify) -> Task:
    """The certified task of this number.

    Raises:
        UncertifiableError: when no candidate is certified; says why the last one was not.
    """
    reasons: tuple[str, ...] = ()
    for attempt in range(_CANDIDATES):
        task, draft = candidate(domain, number, mix=mix, run_seed=run_seed, split=split, attempt=attempt)
        task = certify_drafted(task, open_world(task.world), draft.cheats, verify)
        assert task.certificate is not None
        if task.certificate.certified:
            return task
        reasons = task.certificate.reasons
    raise UncertifiableError(
        f"{domain.name}: none of {_CANDIDATES} candidates for task {number} is certified: {'; '.join(reasons)}"
    )


def _task(domain: Domain, asked: Choice, draft: Draft, split: Split) -> Task:
    return Task(
        id="",
        world=draft.world or PLAIN.name,
        seed=draft.seed,
        split=split,
        difficulty=asked.level,
        persona=Persona(language=asked.language),
        ledger=Ledger(draft.prompt, follow_ups=draft.follow_ups),
        rubric=Rubric(),
        gold=Gold(initialise=draft.patches, calls=draft.calls, reply=draft.reply),
        tags=(asked.family, *draft.tags),
        domain=domain.name,
        key=draft.key,
    ).with_id()

