"""What other reward settings change: means by component, rankings inside groups, advantages.

The unit of every interval is the group, because rollouts of one task are not independent. Advantages are those of training
(`group_advantages`); where a reward is invalid there is none, and rankings are of the members that have a reward on both sides.
"""

import bisect
import json
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, Final

import numpy as np
import torch

from pipelines.rescoring.ranking import Ranking
from pipelines.rescoring.source import Scale, Split, group_of, step_of
from pipelines.statistics import Estimate, bootstrap_mean, pass_rate
from rewards.config import PASS
from rl.rollout.error_budget import kind_of
from rl.training.advantages import group_advantages
from trajectories.columns import from_batch
from trajectories.rewards import Reward

__all__ = ["Comparison", "Pair", "pairs_of"]

_REWARD: Final = "reward"
_BEFORE: Final = ["id", "task_id", "reward", "reward_valid", "reward_detail", "metadata"]
_AFTER: Final = ["id", "reward", "reward_valid", "reward_detail", "metadata"]
_RESAMPLES: Final = 2_000
_SIDES: Final = ("before", "after")


@dataclass(frozen=True, slots=True)
class Pair:
    """One rollout and its two rewards."""

    id: str
    """Of the recorded row."""
    new_id: str
    task_id: str
    domain: str
    before: Reward
    after: Reward
    verdict: str = "anew"
    """``anew``, ``stored`` or ``fault``."""
    differs: str | None = None
    """How the recorded reward differs from what the run's own settings give now."""


def pairs_of(before: Split, after: Split, start: int, stop: int) -> list[Pair]:
    """The rows from `start` to before `stop` of a split and of what it was rescored to."""
    recorded = from_batch(before.read(start, stop, _BEFORE))
    rescored = from_batch(after.read(start, stop, _AFTER))
    pairs = []
    for one, other in zip(recorded, rescored, strict=True):
        about = other["metadata"]["rescored"]
        domain = one["metadata"].get("domain", "tool_use")
        names = one["id"], other["id"], one["task_id"], domain
        pairs.append(Pair(*names, _reward(one), _reward(other), about["verdict"], about.get("differs")))
    return pairs


def _reward(row: dict[str, Any]) -> Reward:
    return Reward(row["reward"], row["reward_valid"], **json.loads(row["reward_detail"]))


@dataclass
class Comparison:
    """Grows span by span; holds a few numbers of each rollout, and of each group one of each component."""

    scale: Scale
    """Of the advantages."""
    top: int
    """Groups that are named."""
    rows: int = 0
    groups: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    """Of the new scoring, by kind."""
    differing: int = 0
    first_difference: dict[str, str] | None = None
    named: list[dict[str, Any]] = field(default_factory=list)
    """The groups that change most, the most first."""
    values: dict[str, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    """By ``reward before`` and the like: of every rollout that has one."""
    by_step: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _means: dict[tuple[str, str], "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    _domains: dict[tuple[str, str], "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    _found: dict[str, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    _ranks: list[tuple[float, float, int]] = field(default_factory=list)

    def add(self, pairs: Sequence[Pair]) -> None:
        """Whole groups."""
        ordered = sorted(pairs, key=lambda pair: group_of(pair.id))  # stable: members keep their order
        numbers = torch.tensor([0, *np.cumsum([group_of(a.id) != group_of(b.id) for a, b in pairwise(ordered)])])
        advantages = [self._advantages([getattr(pair, side) for pair in ordered], numbers) for side in _SIDES]
        first = 0
        for name, members in groupby(ordered, key=lambda pair: group_of(pair.id)):
            group = list(members)
            last = first + len(group)
            self._add_group(name, group, *(some[first:last] for some in advantages))
            first = last

    def _advantages(self, rewards: Sequence[Reward], groups: torch.Tensor) -> list[float]:
        values = torch.tensor([reward.value or 0.0 for reward in rewards], dtype=torch.float64)
        valid = torch.tensor([reward.valid for reward in rewards])
        return group_advantages(values, valid, groups, self.scale).tolist()

    def _add_group(self, name: str, group: Sequence[Pair], before: Sequence[float], after: Sequence[float]) -> None:
        self._count(group)
        both = [number for number, pair in enumerate(group) if pair.before.valid and pair.after.valid]
        self._add_means(group, both)
        signal = {"before": any(before), "after": any(after)}
        for side in _SIDES:
            self._found[f"no signal {side}"].append(not signal[side])
        moved = [(before[number], after[number]) for number in both]
        for side, place in (("before", 0), ("after", 1)):
            self.values[f"advantage {side}"].extend(pair[place] for pair in moved)
        if moved:
            self._found["sign_flips"].append(_share(one * other < 0 for one, other in moved))
            self._found["gained"].append(_share(one == 0 != other for one, other in moved))
            self._found["lost"].append(_share(one != 0 == other for one, other in moved))
        values = [(_value(group[number].before), _value(group[number].after)) for number in both]
        ranking = Ranking.of([one for one, _ in values], [other for _, other in values])
        if ranking is not None:
            for key in ("changed", "best_changed", "best_overturned"):
                self._found[key].append(getattr(ranking, key))
            if ranking.tau_b is not None:
                self._found["tau_b"].append(ranking.tau_b)
        if (step := step_of(group[0].id)) is not None:
            self._add_step(self.by_step[step], group, signal)
        change = _share(abs(other - one) for one, other in moved), _share(abs(other - one) for one, other in values)
        self._name(change, name, group, ranking)

    def _count(self, group: Sequence[Pair]) -> None:
        self.rows += len(group)
        self.groups += 1
        for pair in group:
            self.verdicts[pair.verdict] += 1
            if pair.before.valid and not pair.after.valid:
                self.faults[kind_of(pair.after.cause or "unknown")] += 1
            if pair.differs is not None:
                self.differing += 1
                self.first_difference = self.first_difference or {"row": pair.id, "difference": pair.differs}

    def _add_means(self, group: Sequence[Pair], both: Sequence[int]) -> None:
        domain = group[0].domain
        for side in _SIDES:
            found: dict[str, list[float]] = defaultdict(list)
            for reward in (getattr(pair, side) for pair in group):
                if reward.valid:
                    found[_REWARD].append(reward.value)
                    for name, value in reward.components.items():
                        found[name].append(value)
            self.values[f"reward {side}"].extend(found[_REWARD])
            for name, values in found.items():
                if values:
                    self._means[name, side].append(math.fsum(values) / len(values))
            if found[_REWARD]:
                self._domains[domain, side].append(math.fsum(found[_REWARD]) / len(found[_REWARD]))
        if both:
            change = math.fsum(_value(group[number].after) - _value(group[number].before) for number in both)
            self._means[_REWARD, "difference"].append(change / len(both))

    def _add_step(self, found: Counter[str], group: Sequence[Pair], signal: dict[str, bool]) -> None:
        found["groups"] += 1
        for side in _SIDES:
            valid = [reward.value for reward in (getattr(pair, side) for pair in group) if reward.valid]
            found[f"rewards {side}"] += len(valid)
            found[f"sum {side}"] += math.fsum(valid)  # type: ignore[assignment]  # a counter of a sum
            found[f"no signal {side}"] += not signal[side]

    def _name(self, change: tuple[float, float], name: str, group: Sequence[Pair], ranking: Ranking | None) -> None:
        rank = (-change[0], -change[1], self.groups)
        if not any(change) or (len(self._ranks) == self.top and rank > self._ranks[-1]):
            return
        place = bisect.bisect(self._ranks, rank)
        about = {
            "group": name,
            "task": group[0].task_id,
            "domain": group[0].domain,
            "advantage_change": change[0],
            "reward_change": change[1],
            "tau_b": ranking.tau_b if ranking else None,
            "rows": [{"id": p.id, "rescored": p.new_id, "before": p.before.value, "after": p.after.value} for p in group],
        }
        self._ranks.insert(place, rank)
        self.named.insert(place, about)
        del self._ranks[self.top :], self.named[self.top :]

    def summary(self, seed: int) -> dict[str, Any]:
        """Everything as JSON values; intervals are of 95 %, over groups."""
        judged = self.rows - self.verdicts["fault"]
        return {
            "rows": self.rows,
            "groups": self.groups,
            "verdicts": dict(sorted(self.verdicts.items())),
            "faults": {"recorded": self.verdicts["fault"], "new": sum(self.faults.values()), "causes": dict(self.faults)},
            "check": {"rows": judged, "differ": self.differing, "first": self.first_difference},
            "components": self._components(seed),
            "domains": {
                name: {side: _mean(self._domains[name, side], seed) for side in _SIDES}
                for name in sorted({name for name, _ in self._domains})
            },
            "ranking": {
                key: (_mean if key == "tau_b" else _rate)(self._found[key], seed)
                for key in ("changed", "tau_b", "best_changed", "best_overturned")
            },
            "advantages": {
                "scale": self.scale,
                "correlation": _correlation(self.values["advantage before"], self.values["advantage after"]),
                "rollouts": len(self.values["advantage before"]),
            }
            | {key: _mean(self._found[key], seed) for key in ("sign_flips", "gained", "lost")}
            | {f"no_signal_{side}": _rate(self._found[f"no signal {side}"], seed) for side in _SIDES},
            "most_changed": self.named,
        }

    def _components(self, seed: int) -> dict[str, Any]:
        names = dict.fromkeys([_REWARD, PASS, *sorted({name for name, _ in self._means})])
        found: dict[str, Any] = {}
        for name in names:
            before, after = (self._means.get((name, side), array("d")) for side in _SIDES)
            first = _mean(before, seed)
            found[name] = {"before": first, "after": first if before == after else _mean(after, seed)}
        found[_REWARD]["difference"] = _mean(self._means.get((_REWARD, "difference"), array("d")), seed)
        return found


def _value(reward: Reward) -> float:
    assert reward.value is not None
    return reward.value


def _share(values: Iterable[float]) -> float:
    some = list(values)
    return math.fsum(some) / len(some) if some else 0.0


def _mean(values: "array[float]", seed: int) -> dict[str, Any]:
    """``{"mean", "ci95", "groups"}``; null where there is nothing to take the mean of."""
    return _told(bootstrap_mean(values, seed=seed, resamples=_RESAMPLES) if values else None)


def _rate(values: "array[float]", seed: int) -> dict[str, Any]:
    """The same of 0s and 1s."""
    return _told(pass_rate(values, seed=seed) if values else None)


def _told(estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {"mean": None, "ci95": [None, None], "groups": 0}
    return estimate.as_mean() | {"groups": estimate.count}


def _correlation(before: "array[float]", after: "array[float]") -> float | None:
    """Pearson's; None where one side does not vary."""
    if len(before) < 2:
        return None
    first, second = np.asarray(before), np.asarray(after)
    spread = float(first.std() * second.std())
    return float(((first - first.mean()) * (second - second.mean())).mean()) / spread if spread else None
