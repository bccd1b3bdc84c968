"""One episode, tokens in and tokens out, from its beginning or from where it stopped.

What the engine sampled is kept as sampled and never tokenised again; what a tool or the user says is rendered once.
Seeds hang on (run, task, rollout, turn, part), so that neither order nor parallelism changes what is drawn.
"""

from typing import TYPE_CHECKING

from rl.rollout.engine import Engine, EngineError, EngineLostError, WeightSyncError
from rl.rollout.episode import Episode, Episodes, RolloutLimits
from rl.rollout.unfinished import WaitingSlots, check_belongs, free
from simulators.pool import SlotFault
from simulators.provenance import provenance_of
from trajectories.outcomes import Fault
from trajectories.tasks import Task
from trajectories.trajectory import Sampling, Trajectory

if TYPE_CHECKING:
    from rl.policy.dialects import Dialect

__all__ = ["Episodes", "RolloutLimits", "check_sampling", "rollout"]


async def rollout(
    task: Task,
    seed: int,
    engine: Engine,
    pool: Episodes,
    dialect: "Dialect",
    sampling: Sampling,
    limits: RolloutLimits,
    *,
    rollout_index: int = 0,
    prefix: str = "",
    for_training: bool = True,
    unfinished: Trajectory | None = None,
    waiting: WaitingSlots | None = None,
) -> Trajectory:
    """Plays one episode of `task`, or goes on with one.

    Args:
        seed: of the run; sampling seeds and the user's seed are derived from it.
        sampling: its own seed is ignored. With ``grammar="tool_calls"`` the policy can call nothing but the task's tools,
            with arguments that their schemas take; every segment says so.
        rollout_index: tells rollouts of the same task apart.
        prefix: of slot and request names, e.g. ``step-12/``; episodes that run together differ in it or in the rest.
        for_training: refuses sampling whose log-probabilities the trainer cannot reproduce (see `check_sampling`).
        unfinished: what an earlier call with this task, seed, index and prefix gave, and perhaps was stored since; it goes on
            from there. Sampling and limits may be others.
        waiting: where the environment of an episode that comes back unfinished stays in its slot; without it, it is given
            back, and the episode goes on by replay.

    Returns:
        The trajectory with its outcome and no reward. What broke, engine or environment, is a fault in the outcome;
        whatever the policy wrote is no error. Without an outcome where `limits.iteration_tokens` are spent: it is unfinished.

    Raises:
        ValueError: for sampling that is refused, or that names another grammar; for an unfinished trajectory of another
            episode.
        WeightSyncError, EngineLostError: which concern every episode.
    """
    if for_training:
        check_sampling(sampling)
    if sampling.grammar not in (None, "tool_calls"):
        raise ValueError(f"sampling.grammar is 'tool_calls' or None, not {sampling.grammar!r}")
    identity = f"{prefix}{task.id}/{rollout_index}"
    for key in ("iteration_tokens", "max_reasoning_tokens"):
        if sampling.grammar is not None and getattr(limits, key) is not None:
            raise ValueError(f"limits.{key} may end in the middle of a turn, where no grammar can go on: leave one out")
    if unfinished is not None:
        check_belongs(unfinished, identity, task, rollout_index, seed)
    elif waiting is not None:
        waiting.take(identity)  # an earlier attempt's; it is dropped
    episode = Episode(task, seed, rollout_index, identity, engine, pool, dialect, sampling, limits)
    try:
        if unfinished is not None:
            await episode.restore(unfinished, waiting)
        outcome = await episode.play()
    except SlotFault as error:  # its slot is free already
        outcome = episode.faulty(error.fault)
    except (WeightSyncError, EngineLostError):
        raise
    except EngineError as error:
        outcome = await episode.give_up(Fault("engine", str(error)))
    except Exception as error:
        outcome = await episode.give_up(Fault("infrastructure", f"{type(error).__name__}: {error}"))
    about = {"domain": task.domain, "difficulty": task.difficulty, "split": task.split, "tags": list(task.tags)}
    trajectory = Trajectory(
        id=identity,
        task_id=task.id,
        rollout=rollout_index,
        seed=seed,
        segments=tuple(episode.segments),
        messages=tuple(episode.messages),
        tools=episode.tools,
        outcome=outcome,
        provenance=provenance_of(task, episode.tools, run_seed=seed),
        metadata=about if outcome is not None else about | {"unfinished": episode.standing.metadata},
    )
    if outcome is None and not (waiting is not None and waiting.keep(trajectory)):
        await free(identity, pool)
    return trajectory


def check_sampling(sampling: Sampling) -> None:
    """Law 1: behaviour log-probabilities must be those of the full distribution at a temperature.

    Raises:
        ValueError: for top-p, top-k or greedy sampling, and for turns that were held to a grammar.
    """
    if sampling.grammar is not None:
        raise ValueError(
            f"sampling for training keeps the whole distribution: grammar is None, not {sampling.grammar!r} (a mask "
            "renormalises the log-probabilities, and the trainer's are not; such rows are for supervised training)"
        )
    if sampling.renormalises:
        raise ValueError(
            f"sampling for training keeps the whole distribution: top_p is 1 and top_k is -1, not {sampling.top_p} and "
            f"{sampling.top_k} (a kept set renormalises the log-probabilities, and the trainer's are not)"
        )
    if sampling.temperature <= 0:
        raise ValueError(f"sampling for training has a temperature above 0, not {sampling.temperature}")
