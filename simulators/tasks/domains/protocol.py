"""What a domain of verifiable tasks is: problems drawn from a generator of random numbers, and how each is put to an agent.

A problem decides everything about a task but its language. Its digest decides the split it belongs to, whatever the seed, so
no problem is ever in both.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulators.playable import Playable
from simulators.tasks.oracle import Plan
from trajectories.tasks import GoldCall, RecordPatch

__all__ = ["Domain", "Draft", "Problem"]

Problem = Mapping[str, Any]
"""JSON values only, and small: what is long is made from it when it is rendered."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A problem in words, with what the oracle does and what the verifier needs."""

    prompt: str
    """The user's opening."""
    reply: str
    """The oracle's last message."""
    key: Mapping[str, Any]
    """`Task.key`: for the verifier alone. JSON values only."""
    calls: tuple[GoldCall, ...] = ()
    """The oracle's tool calls before its reply."""
    world: str = ""
    """Whose tools the agent has: empty for none, the domain's own name for those of `Domain.world`, or a tool world's name."""
    seed: int = 0
    """`Task.seed`: what the world is instantiated from, ..."""
    patches: tuple[RecordPatch, ...] = ()
    """... and how it is prepared."""
    follow_ups: tuple[str, ...] = ()
    """Further messages of the user, each said after a message of the agent that calls no tool."""
    tags: tuple[str, ...] = ()
    """What is hard about it; the family is a tag by itself."""
    cheats: Mapping[str, str | Plan] = field(default_factory=dict)
    """Dishonest ways, by name, each of which must score 0: a reply, or a plan of tool calls with one."""


class Domain(Protocol):
    """Makes the tasks of one domain; `rewards.verifiers` has the verifier of the same name."""

    name: str
    about: str
    """One line."""
    families: Mapping[str, str]
    """Kinds of problems, each with one line about it; tasks take turns in this order."""
    levels: int
    """Difficulties are 1 to this."""
    languages: tuple[str, ...]
    """Codes, the first being the default."""
    cheats: tuple[str, ...]
    """Names of the cheats that its drafts bring."""

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        """A problem; cheap, because it is drawn again until the split is right."""
        ...

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        """The problem in words: a pure function of its arguments."""
        ...

    def world(self) -> Playable:
        """The domain's own tools; only asked for where a draft names the domain as its world."""
        ...
