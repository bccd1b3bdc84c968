"""A task in the making, and the sub-goals that it is made of.

Composing tasks from sub-goals that each initialise, fix and assert follows tau2-bench's telecom domain (arXiv
2506.07982): difficulty is counted, not guessed.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from simulators.worlds import WorldSpec, WorldState
from trajectories.tasks import Checkpoint, Criterion, Fact, GoldCall, RecordPatch, ToolPattern

__all__ = ["PLAIN", "Access", "Draft", "FollowUp", "Speaker", "SubGoal", "Unsuitable", "Verdict"]

Verdict = Literal["act", "refuse", "keep", "lookup", "branch", "reach"]
"""What is right: to do what is asked, to decline it, to leave it because the user says no when asked to confirm, to
answer a question, to do one of two things by what is observed, or to do what leads to a state."""
Access = Literal["direct", "search", "related", "ask"]
"""How the agent comes to know which record is meant: it is told, it must search, it must search for something that the
record belongs to and follow it, or it must ask."""


class Unsuitable(Exception):
    """What was drawn does not make a task; draw again."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """What of the user's persona matters for what is drawn."""

    language: str = "en"
    error_prone: float = 0.0
    """Probability that a withheld value is said wrongly the first time."""


PLAIN: Final = Speaker()


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What the user says once the agent has handed over, and what is right then."""

    words: str
    call: GoldCall
    before: tuple[ToolPattern, ...]
    """Calls that must not come before the words."""
    still_right: Callable[[WorldState], bool]
    """As a sub-goal's."""


@dataclass(frozen=True, slots=True)
class SubGoal:
    """One wish of the user: how the world is prepared for it, how it is done, and how that is judged."""

    verdict: Verdict
    access: Access
    entity: str
    key: str
    operation: str
    """What is wished for; of a `lookup`, the reading operation."""
    request: str
    """The wish in words."""
    calls: tuple[GoldCall, ...]
    criterion: Criterion | None
    checkpoints: tuple[Checkpoint, ...]
    """Their names end in the number of the sub-goal."""
    reply: str
    patterns: tuple[ToolPattern, ...] = ()
    initialise: tuple[RecordPatch, ...] = ()
    facts: tuple[Fact, ...] = ()
    still_right: Callable[[WorldState], bool] = lambda state: True
    """Whether the same is right in a state that other sub-goals had their part in, too."""
    change: FollowUp | None = None
    """A change of mind once the wish is fulfilled."""
    tags: tuple[str, ...] = ()
    """Beyond verdict, access and operation."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The instance, what was initialised so far, and the records that are taken."""

    world: WorldSpec
    seed: int
    patches: tuple[RecordPatch, ...]
    taken: frozenset[tuple[str, str]]
    number: int
    """Of the next sub-goal, from 1."""
    speaker: Speaker = PLAIN

    def state(self, *more: RecordPatch) -> WorldState:
        """A fresh state with everything initialised so far, and `more`."""
        return self.world.instantiate(self.seed, (*self.patches, *more))

    def free_keys(self, entity: str) -> list[str]:
        return [key for key in self.state().keys(entity) if (entity, key) not in self.taken]

    def draw_key(self, entity: str, rng: random.Random) -> str:
        """A record of `entity` that no sub-goal speaks of yet.

        Raises:
            Unsuitable: when all are taken.
        """
        free = self.free_keys(entity)
        if not free:
            raise Unsuitable(f"every {entity} is taken")
        return rng.choice(free)
