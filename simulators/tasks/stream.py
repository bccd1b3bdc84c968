"""A numbered stream of certified tasks: number i is the same task whoever asks for it, in whatever order.

Worlds take turns. A composed task that fails its certification is replaced by the next candidate of the same number,
so that the stream has no holes and numbers never shift. An agent is part of the task: it is drawn before certification, from
a generator of its own for each candidate.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from simulators.tasks.certify import certify
from simulators.tasks.compose import CANDIDATE_STRIDE, FAMILIES, compose
from simulators.tasks.domains.registry import DOMAINS, domain_of
from simulators.tasks.domains.stream import DomainMix, UncertifiableError, certified_task
from simulators.tasks.equipping import AgentMix, equip
from simulators.users.personas import PersonaMix
from simulators.worlds import load, names
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.seeds import derive_rng
from trajectories.tasks import Split, Task

__all__ = ["TaskStream", "UncertifiableError"]

_CANDIDATES = 8
"""That are certified, before a number is given up."""
_DRAWS = 512
"""That are composed, while plans are too short or too long."""


@dataclass(frozen=True)
class TaskStream:
    """Which tasks; `task` and `tasks` make them."""

    worlds: tuple[str, ...] = ("order_desk", "it_tickets", "travel")
    """Names or paths of worlds; they take turns."""
    difficulty: int = 1
    """Number of sub-goals of each task, 1 to 3."""
    families: tuple[str, ...] = ("act", "refuse")
    """Kinds of sub-goals: act, refuse, search, ask, lookup, related, branch, reach, confirm, change."""
    fewest_calls: int = 0
    """Tool calls that doing a task takes at least; the depth of its plan."""
    most_calls: int = 0
    """Tool calls that doing a task takes at most; 0 for any number."""
    follow_ups: float = 0.0
    """How likely each wish but the first is said only once those before it are done, 0 to 1."""
    personas: PersonaMix = field(default_factory=PersonaMix)
    """Who the users are."""
    agents: AgentMix = field(default_factory=AgentMix)
    """System prompts and tools of the assistants."""
    domains: tuple[str, ...] = ("tool_use",)
    """Domains that take turns; every key above is about tool_use, whose tasks are composed. `orrery gym` lists the others."""
    gym: DomainMix = field(default_factory=DomainMix)
    """Which tasks of the other domains."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.domains if name not in ("tool_use", *DOMAINS)]
        if unknown or not self.domains:
            known = ", ".join(("tool_use", *DOMAINS))
            raise ValueError(f"domains: {', '.join(unknown) or 'none'} is not among {known}")
        if not self.worlds:
            raise ValueError(f"worlds: name at least one; those that ship: {', '.join(names())}")
        if self.difficulty not in (1, 2, 3):
            raise ValueError(f"difficulty: is 1, 2 or 3, not {self.difficulty}")
        if self.fewest_calls < 0 or self.most_calls < 0:
            raise ValueError(f"fewest_calls, most_calls: are at least 0, not {self.fewest_calls} and {self.most_calls}")
        if self.most_calls and self.most_calls < self.fewest_calls:
            raise ValueError(f"most_calls: is at least fewest_calls={self.fewest_calls}, not {self.most_calls}")
        if not 0 <= self.follow_ups <= 1:
            raise ValueError(f"follow_ups: is from 0 to 1, not {self.follow_ups}")
        unknown = [family for family in self.families if family not in FAMILIES]
        if unknown or not self.families:
            raise ValueError(f"families: {', '.join(unknown) or 'none'} is not among {', '.join(FAMILIES)}")

    def task(self, number: int, *, run_seed: int, split: Split, verify: Callable[[Task, Outcome], Reward]) -> Task:
        """The certified task of this number.

        Raises:
            UncertifiableError: when no candidate is certified; says why the last one was not.
        """
        number, place = divmod(number, len(self.domains))
        if self.domains[place] != "tool_use":
            domain = domain_of(self.domains[place])
            return certified_task(domain, number, mix=self.gym, run_seed=run_seed, split=split, verify=verify)
        name = self.worlds[number % len(self.worlds)]
        world = load(name)
        index = number // len(self.worlds)
        tried = 0
        for candidate in range(_DRAWS):
            try:
                task = compose(
                    world,
                    index + candidate * CANDIDATE_STRIDE,
                    run_seed=run_seed,
                    split=split,
                    difficulty=self.difficulty,
                    families=self.families,
                    follow_ups=self.follow_ups,
                    personas=self.personas,
                    reference=None if name in names() else name,
                )
            except ValueError as error:
                raise UncertifiableError(str(error)) from error
            if not self._is_as_deep(task):
                continue
            rng = derive_rng(run_seed, "agent", split, world.name, number, candidate)
            if rng.random() < self.agents.share:
                task = equip(task, world, self.agents, rng)
            task = certify(task, world, verify)
            if task.certificate is not None and task.certificate.certified:
                return task
            tried += 1
            if tried == _CANDIDATES:
                reasons = "; ".join(task.certificate.reasons) if task.certificate else ""
                raise UncertifiableError(
                    f"{world.name}: none of {_CANDIDATES} candidates for task {number} is certified: {reasons}"
                )
        raise UncertifiableError(
            f"{world.name}: none of {_DRAWS} candidates for task {number} takes {self.fewest_calls} to"
            f" {self.most_calls or 'any number of'} calls; other families or another difficulty may"
        )

    def _is_as_deep(self, task: Task) -> bool:
        # An act that the user does not confirm counts: otherwise a plan's depth would tell the user's word.
        calls = sum(call.tool is not None for call in task.gold.calls) + ("keep" in task.tags)
        return self.fewest_calls <= calls <= (self.most_calls or calls)

    def tasks(
        self, numbers: Iterable[int], *, run_seed: int, split: Split, verify: Callable[[Task, Outcome], Reward]
    ) -> list[Task]:
        """The certified tasks of these numbers, in their order."""
        return [self.task(number, run_seed=run_seed, split=split, verify=verify) for number in numbers]
