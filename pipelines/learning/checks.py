"""What can be known of a run of learning before anything starts."""

from pipelines.errors import UserError
from pipelines.learning.settings import LearningSettings
from pipelines.rollouts import RolloutSettings
from pipelines.streams import check_stream
from simulators.tasks.stream import TaskStream

__all__ = ["check_learning"]


def check_learning(settings: LearningSettings, stream: TaskStream, rollouts: RolloutSettings) -> None:
    """The tasks of every grade are there, and engine and schedule fit.

    Raises:
        UserError, WorldSpecError: naming the key or the world.
    """
    check_stream(stream, "tasks")
    for grade in settings.recipe.curriculum.grades:
        check_stream(grade.of(stream), "learning.recipe.curriculum")
    try:
        settings.trainer.parallel.check(settings.placement.ranks)
    except ValueError as error:
        raise UserError(f"learning.trainer.{error} of learning.placement") from error
    if settings.schedule.update == "keep" and rollouts.engine.enable_prefix_caching:
        raise UserError(
            "learning.schedule.update: keep leaves old caches behind that later requests would take unawares; set "
            "rollouts.engine.enable_prefix_caching=false, or use wait or recompute"
        )
    if settings.weight_sync.backend in ("nccl", "ipc") and rollouts.replicas > 1:
        raise UserError(
            f"learning.weight_sync.backend: {settings.weight_sync.backend} reaches one engine; with rollouts.replicas="
            f"{rollouts.replicas} set it to memory or disk"
        )
