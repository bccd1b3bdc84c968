"""One reward from a verdict and what the settings add to it: weights and penalties are visible as components.

A verdict is computed once, by the domain's verifier. A fault stays a fault: an invalid verdict passes through
untouched.
"""

import math
from dataclasses import dataclass, fields

from rewards.verifiers import verifier_for
from trajectories.outcomes import Outcome
from trajectories.rewards import Reward
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["CompositeReward", "RewardConfig"]


@dataclass(frozen=True)
class RewardConfig:
    """Settings of `CompositeReward`; the default is the bare verdict.

    Raises:
        ValueError: naming the key, when a value makes no sense.
    """

    domain: str = "tool_use"
    """Which verifier judges."""
    pass_weight: float = 1.0
    """What a pass is worth."""
    malformed_penalty: float = 0.0
    """Taken off when a turn of the policy did not parse and the episode ended by it."""
    length_penalty: float = 0.0
    """Taken off per `length_budget` policy tokens beyond `length_budget`, in proportion."""
    length_budget: int = 512
    """Policy tokens of a trajectory that cost nothing."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "domain" and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"rewards.{field.name} is a finite number of at least 0, not {value}")
        if self.length_budget < 1:
            raise ValueError(f"rewards.length_budget is at least 1 token, not {self.length_budget}")
        if self.pass_weight == 0:
            raise ValueError("rewards.pass_weight is above 0: a reward that ignores the verdict teaches nothing")
        verifier_for(self.domain)


class CompositeReward:
    """Scores outcomes: ``pass_weight * pass - malformed_penalty * malformed - length_penalty * excess``.

    ``excess`` is ``max(0, policy tokens - length_budget) / length_budget``. Components of the reward: ``pass`` (the
    verdict, 0 or 1), ``malformed`` and ``length`` (what they took off, at most 0; only where their weight is above 0, and
    ``length`` only where there are tokens),
    and every criterion of the verifier as ``criterion/<name>``.
    """

    def __init__(self, config: RewardConfig | None = None) -> None:
        self.config = config or RewardConfig()
        self._verifier = verifier_for(self.config.domain)

    def score(self, task: Task, outcome: Outcome, trajectory: Trajectory | None = None) -> Reward:
        """The reward of `outcome`.

        Args:
            trajectory: needed where `length_penalty` is above 0, because only it counts tokens.

        Raises:
            ValueError: when a length penalty is set and there is no trajectory.
        """
        verdict = self._verifier.verify(task, outcome)
        if verdict.value is None:
            return verdict
        penalties = self._penalties(outcome, trajectory)
        components = {"pass": verdict.value, **penalties}
        components |= {f"criterion/{name}": value for name, value in verdict.components.items()}
        value = self.config.pass_weight * verdict.value + sum(penalties.values())
        return Reward(value, cause=verdict.cause, components=components)

    def _penalties(self, outcome: Outcome, trajectory: Trajectory | None) -> dict[str, float]:
        config, penalties = self.config, {}
        if config.malformed_penalty > 0:
            penalties["malformed"] = -config.malformed_penalty if outcome.ending == "malformed" else 0.0
        if config.length_penalty > 0:
            if trajectory is None:
                raise ValueError(
                    "rewards.length_penalty counts tokens: score(task, outcome, trajectory) needs the trajectory"
                )
            if trajectory.segments:  # a dialogue that nobody tokenised has no length to speak of
                excess = max(0, trajectory.num_policy_tokens - config.length_budget) / config.length_budget
                penalties["length"] = 0.0 - config.length_penalty * excess
        return penalties
