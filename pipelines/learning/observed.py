"""The curves of a run: what its rollouts look like, and where its time goes."""

import math
from collections.abc import Mapping, Sequence

from rl.training.synchronise import Synchronisation
from trajectories.trajectory import Trajectory

__all__ = ["curves", "observed", "pass_rate"]


def observed(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """What the rollouts of one iteration look like; means are over valid ones."""
    valid = [trajectory for trajectory in trajectories if trajectory.reward is not None and trajectory.reward.valid]
    counted = len(valid) or math.nan  # where there is no verdict there is no rate either
    endings = [trajectory.outcome.ending for trajectory in valid if trajectory.outcome is not None]
    return {
        "reward/mean": sum(t.reward.value or 0.0 for t in valid if t.reward is not None) / counted,
        "reward/pass_rate": sum(t.reward.components["pass"] for t in valid if t.reward is not None) / counted,
        "reward/invalid_share": 1 - len(valid) / len(trajectories),
        "rollout/policy_tokens_per_trajectory": sum(t.num_policy_tokens for t in valid) / counted,
        "rollout/turns_per_trajectory": sum(_turns(t) for t in valid) / counted,
        "rollout/malformed_share": endings.count("malformed") / counted,
        "rollout/cut_off_share": (endings.count("token_limit") + endings.count("turn_limit")) / counted,
    }


def _turns(trajectory: Trajectory) -> int:
    """Of the policy; one that was cut has several segments and counts once."""
    return sum(message.role == "assistant" for message in trajectory.messages)


def pass_rate(trajectories: Sequence[Trajectory]) -> float | None:
    """Share of the valid rollouts that passed; None where none is valid."""
    verdicts = [trajectory.reward for trajectory in trajectories]
    passes = [verdict.components["pass"] for verdict in verdicts if verdict is not None and verdict.valid]
    return sum(passes) / len(passes) if passes else None


def curves(figures: Mapping[str, float], clock: Sequence[float], sync: Synchronisation | None) -> dict[str, float]:
    """The trainer's figures and the seconds of each part of the iteration."""
    seconds = {
        "time/rollout_seconds": clock[1] - clock[0],
        "time/train_seconds": clock[2] - clock[1],
        "time/sync_seconds": clock[3] - clock[2],
        "time/step_seconds": clock[3] - clock[0],
    }
    if sync is not None:
        seconds |= {"time/sync_transfer_seconds": sync.seconds, "sync/probe_difference_max": sync.proof.max_difference}
        seconds["sync/probe_coverage"] = sync.coverage
    return {f"train/{name}": value for name, value in figures.items()} | seconds
