"""Where a trajectory comes from, as its task and its world say it."""

from collections.abc import Mapping
from functools import lru_cache

from simulators.playable import Playable, open_world
from trajectories.messages import ToolSpec
from trajectories.tasks import Task
from trajectories.trajectory import Provenance

__all__ = ["provenance_of"]


def provenance_of(
    task: Task, tools: tuple[ToolSpec, ...], *, run_seed: int, models: Mapping[str, str] | None = None, licence: str = ""
) -> Provenance:
    """The provenance of a dialogue on `task`, whose world can be loaded, with these tools.

    Args:
        models: role to the name of the model that played it.
        licence: SPDX identifier.
    """
    world = open_world(task.world)
    known = _fingerprints(world)
    return Provenance(
        world=task.world,
        world_fingerprint=world.fingerprint(),
        tool_fingerprints=tuple(known.get(tool.name) or tool.fingerprint() for tool in tools),
        certificate=task.certificate,
        run_seed=run_seed,
        models=dict(models or {}),
        licence=licence,
    )


@lru_cache(maxsize=512)
def _fingerprints(world: Playable) -> dict[str, str]:
    return {tool.name: tool.fingerprint() for tool in world.tool_specs()}
