"""A verifier that takes as long as its task says, in the way it says: what a scoring pool has to live with.

A module of its own, so that a scoring process imports nothing else for it.
"""

import os
import re
import time
from collections.abc import Mapping
from typing import Final

from rewards.verifiers import Verifier, verifier_for
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task

__all__ = ["DEEDS", "find"]

DEEDS: Final[Mapping[str, str]] = {
    "sleep": "sleeps for {seconds:g} s",
    "power": "computes one huge power",
    "regex": "backtracks in one regular expression",
    "exit": "ends its process",
    "eat": "eats all memory",
}
"""What befalls a verdict, by the word in the key."""

_DIGITS: Final = 10**9


class PlantedVerifier:
    """Stands in for domain ``maths``; works for the key's ``seconds``, or does its ``deed``."""

    version = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        assert task.key is not None
        match task.key["deed"]:
            case "work":
                end = time.thread_time() + task.key["seconds"]
                while time.thread_time() < end:
                    pass
            case "sleep":
                time.sleep(task.key["seconds"])
            case "power":
                pow(7, _DIGITS)
            case "regex":
                re.fullmatch("(a+)+b", "a" * 64)
            case "exit":
                os._exit(3)
            case "eat":
                blocks = []
                while True:
                    blocks.append(b"x" * 2**24)
        return Reward(1.0)


def find(domain: str) -> Verifier:
    """As `verifier_for`, but for the planted one."""
    return PlantedVerifier() if domain == "maths" else verifier_for(domain)
