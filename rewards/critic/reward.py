"""From scores to rewards: bounded, centred in the group, and beside the verifiable reward as the domain has it.

A response's critic reward is the mean over the others of ``P(better) - P(worse)`` under the scores, so it lies in (-1, 1) and
those of a group add up to 0. Who has no score has none, and where it would count there is no reward at all: nothing invents a 0.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, get_args

from rewards.config import PASS
from rewards.critic.ranking import Ranking
from rewards.verifiers import VERIFIERS
from trajectories.rewards import Reward

__all__ = ["Combination", "CriticRewardConfig", "combined_rewards", "group_rewards"]

Combination = Literal["sum", "gate", "product"]
"""With v the verifiable reward, c the critic's and w its weight: v + wc; v + wc for a pass, else v; v + wcv for v above 0,
else v. Where there is no verifier it is wc."""

_Setting = TypeVar("_Setting")


@dataclass(frozen=True, kw_only=True)
class CriticRewardConfig:
    """What the critic's reward is worth beside the verifiable one.

    Raises:
        ValueError: naming the key.
    """

    combination: Combination = "sum"
    combinations: Mapping[str, Combination] = field(default_factory=dict)
    """By domain; `combination` where nothing is said."""
    weight: float = 0.25
    """Ours. Below 0.5, a pass is worth more than a fail whatever the critic says."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """By domain; `weight` where nothing is said."""

    def __post_init__(self) -> None:
        for key in ("combinations", "weights"):
            for domain in getattr(self, key):
                if domain not in VERIFIERS:
                    raise ValueError(f"{key}.{domain}: no such domain; there are: {', '.join(sorted(VERIFIERS))}")
        for key, said in (("combination", self.combination), *_named("combinations", self.combinations)):
            if said not in get_args(Combination):
                raise ValueError(f"{key}: is one of {', '.join(get_args(Combination))}, not {said!r}")
        for key, weight in (("weight", self.weight), *_named("weights", self.weights)):
            if not (math.isfinite(weight) and weight > 0):
                raise ValueError(f"{key}: is a finite number above 0, not {weight}; do without a critic instead")
        for domain in ("", *self.combinations, *self.weights):
            if self.combination_of(domain) == "product" and self.weight_of(domain) > 1:
                raise ValueError(f"weights.{domain}: is at most 1 in a product, or a bad pass is worth less than a fail")

    def combination_of(self, domain: str) -> Combination:
        return self.combinations.get(domain, self.combination)

    def weight_of(self, domain: str) -> float:
        return self.weights.get(domain, self.weight)


def group_rewards(scores: Sequence[float | None]) -> list[float | None]:
    """In (-1, 1) for each response of a group, in order; those that are there add up to 0.

    Args:
        scores: in logits; None where there is none, which the others do not see. One alone has no reward: it is better than
        nobody.
    """
    known = [score for score in scores if score is not None]
    if len(known) < 2:
        return [None] * len(scores)
    return [
        None if score is None else math.fsum(math.tanh((score - other) / 2) for other in known) / (len(known) - 1)
        for score in scores
    ]


def combined_rewards(
    ranking: Ranking, verdicts: Sequence[Reward | None], domain: str, config: CriticRewardConfig | None = None
) -> list[Reward]:
    """One reward for each response of `ranking`, in its order.

    Components are those of the verdict, ``critic`` (what the critic added), and where there is a score ``critic/score`` and
    ``critic/error``. A verdict that is invalid passes through untouched, and the others are centred without it.

    Args:
        verdicts: of these responses; None where there is no verifier, and the critic's reward is all there is.

    Raises:
        ValueError: there are more or fewer verdicts than responses.
    """
    settings = config or CriticRewardConfig()
    if len(verdicts) != len(ranking.ids):
        raise ValueError(f"critic: {len(verdicts)} verdicts of {len(ranking.ids)} responses")
    judged = [
        score.value if score is not None and (verdict is None or verdict.valid) else None
        for score, verdict in zip(ranking.scores, verdicts, strict=True)
    ]
    return [
        verdict if verdict is not None and not verdict.valid else _combined(ranking, at, verdict, share, domain, settings)
        for at, (verdict, share) in enumerate(zip(verdicts, group_rewards(judged), strict=True))
    ]


def _combined(
    ranking: Ranking, at: int, verdict: Reward | None, share: float | None, domain: str, settings: CriticRewardConfig
) -> Reward:
    """Of one response, whose verdict is no fault."""
    earned, score = verdict or Reward(0.0), ranking.scores[at]
    scale = _scale(verdict, settings.combination_of(domain), settings.weight_of(domain))
    if share is None and scale:
        return Reward.invalid(f"critic: {ranking.causes[at] or 'no other response has a score and a verdict'}")
    added = scale * (share or 0.0)
    said = {"critic": added}
    if score is not None:
        said |= {"critic/score": score.value, "critic/error": score.error}
    by = f"critic/{ranking.critic}"
    return replace(
        earned,
        value=(earned.value or 0.0) + added,
        components={**earned.components, **said},
        grader=f"{earned.grader}+{by}" if earned.grader else by,
    )


def _scale(verdict: Reward | None, how: Combination, weight: float) -> float:
    """What the critic's reward is multiplied by."""
    if verdict is None or verdict.value is None or how == "sum":
        return weight
    if how == "product":
        return weight * max(0.0, verdict.value)
    return weight * float(verdict.components.get(PASS, verdict.value) == 1.0)


def _named(key: str, said: Mapping[str, _Setting]) -> Iterator[tuple[str, _Setting]]:
    return ((f"{key}.{name}", value) for name, value in said.items())
