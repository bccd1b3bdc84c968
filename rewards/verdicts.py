"""What a verifier found, criterion by criterion, as the verdicts that a row carries."""

from trajectories.rewards import Reward
from trajectories.trajectory import Verdict

__all__ = ["rubric_verdicts"]

_PREFIX = "criterion/"


def rubric_verdicts(reward: Reward) -> tuple[Verdict, ...]:
    """Verdicts of judge ``rubric`` from a `CompositeReward`'s components; none where the reward is invalid."""
    return tuple(
        Verdict("rubric", name.removeprefix(_PREFIX), "pass" if value == 1.0 else "fail")
        for name, value in reward.components.items()
        if reward.valid and name.startswith(_PREFIX)
    )
