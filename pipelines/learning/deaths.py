"""Ranks of the trainer that die: who it was, and that the run can go on.

What the other ranks say of it depends on where they were: they fail in a collective, wait in it, or notice nothing. So the ranks
are asked who lives.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipelines.errors import UserError
from rl.training.trainer_group import TrainerGroup

__all__ = ["TrainerDiedError", "naming_dead_ranks"]

class TrainerDiedError(UserError):
    """A rank's process is gone, and with it its part of the optimizer's state since the last checkpoint."""


@asynccontextmanager
async def naming_dead_ranks(trainer: TrainerGroup) -> AsyncIterator[None]:
    """Any error within that a rank's death may have caused becomes one that says so.

    Raises:
        TrainerDiedError: instead of the error, where a rank is dead.
    """
    try:
        yield
    except Exception as error:
        dead = " and ".join(map(str, await trainer.dead_ranks()))
        if not dead:
            raise
        raise TrainerDiedError(
            f"trainer: rank {dead} of {trainer.ranks} died, and training cannot go on without; what was recorded is "
            "kept: resume=auto goes on from the last checkpoint and learns from it again"
        ) from error

