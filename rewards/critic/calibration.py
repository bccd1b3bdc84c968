"""How far a critic can be trusted: its comparisons beside what is known of the responses, as one row per version.

On tasks with a verifier the better of two responses is known; order, length and declared features are known always. Pairs of one
group are not independent, so every interval is over groups: a percentile bootstrap (Efron 1979), or Wilson's score interval
(1927, JASA 22:209) with as many trials as groups: of a share where each group has one pair, and wherever all groups say the same,
for a bootstrap would see no spread.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rewards.critic.comparison import Comparison
from trajectories.seeds import derive_seed

__all__ = ["Calibration", "Figure", "KnownPair", "calibrate", "cyclic_triples"]

_Z95: Final = 1.959963984540054
_RESAMPLES: Final = 2000
_Sums = NDArray[np.float64]
"""Shape [..., terms]; of groups, of all of them, or of resamples."""
_Terms = Sequence[tuple[str, tuple[float, ...]]]
"""Of each pair, its group and what it adds to each sum."""


@dataclass(frozen=True, slots=True)
class KnownPair:
    """A comparison, and what is known of its two responses."""

    group: str
    """What is responded to, e.g. the task's id."""
    comparison: Comparison
    truth: float | None = None
    """Of the comparison's first response: 1.0 it is better by the verifier, 0.0 worse, 0.5 as good; None where nobody knows."""
    features: Mapping[str, tuple[float, float]] | None = None
    """By name: of the first response and of the second, e.g. ``length``, ``praise``, ``confidence``; any unit."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float
    pairs: int
    """That it is of."""

    def exceeds(self, limit: float) -> bool:
        """Whether the whole interval lies beyond `limit` on one side of 0."""
        return self.low > limit or self.high < -limit


@dataclass(frozen=True, slots=True)
class Calibration:
    """One row of a critic's ledger."""

    critic: str
    """As `Ranking.critic` has it."""
    policy_version: int
    """Whose responses were compared."""
    pairs: int
    """Comparisons asked for."""
    invalid: int
    """Of these, without a verdict; they count in nothing else."""
    agreement: Figure | None
    """Share of the truth, among valid pairs in which truth and critic both prefer one response; None without such pairs."""
    decided: Figure | None
    """Share in which the critic prefers one, among valid pairs in which the truth does."""
    consistency: Figure | None
    """Share of valid pairs in which both orders say the same."""
    position: Figure | None
    """Liking for the first place, -1 to 1: mean over valid pairs and both orders of 1 for A, -1 for B."""
    biases: Mapping[str, Figure]
    """By feature: liking for the response that has more of it, -1 to 1; see `calibrate`."""
    cyclic: float | None
    """Share of triples that go in a circle, among those whose three pairs are all decided; 0.25 for coin tosses."""

    def flags(self, limit: float = 0.1) -> tuple[str, ...]:
        """What is surely beyond `limit`: ``position`` and features; and ``agreement`` where it is not surely above a half."""
        found = ["position"] if self.position is not None and self.position.exceeds(limit) else []
        found += [name for name, figure in self.biases.items() if figure.exceeds(limit)]
        if self.agreement is not None and self.agreement.low <= 0.5:
            found.append("agreement")
        return tuple(found)

    def to_row(self) -> dict[str, Any]:
        """Flat, JSON values only: ``agreement``, ``agreement_low``, ``agreement_high``, ``agreement_pairs``, ..."""
        row: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name == "biases":
                for feature, figure in value.items():
                    row |= _columns(f"bias_{feature}", figure)
            elif name in ("agreement", "decided", "consistency", "position"):
                row |= _columns(name, value)
            else:
                row[name] = value
        return row


def calibrate(pairs: Sequence[KnownPair], *, critic: str, policy_version: int, seed: int = 0) -> Calibration:
    """The row of these pairs.

    The bias for a feature compares like with like. Of the pairs whose truth is known and whose responses differ in the feature,
    let r be the critic's result (0, 0.5, 1) for the response with more of it. Where the truth prefers one, the bias is
    ``mean(r where that response is better) + mean(r where it is worse) - 1``; where it does not, ``2 mean(r) - 1``; over both,
    their mean by numbers of pairs. A critic that errs whatever the feature has 0, however often it errs and however the feature
    goes with quality. None is told where the response with more of it is always better, or always worse.

    Args:
        seed: of the bootstrap; the same pairs give the same row.
    """
    valid = [pair for pair in pairs if pair.comparison.result is not None]
    known = [(pair, _result(pair), pair.truth) for pair in valid if pair.truth is not None]
    preferred = [(pair, result, truth) for pair, result, truth in known if truth != 0.5]

    def figure(name: str, terms: _Terms, statistic: Callable[[_Sums], _Sums] = _share, least: float = 0.0) -> Figure | None:
        return _figure(terms, statistic, least, derive_seed(seed, "critic calibration", name))

    groups = defaultdict[str, list[Comparison]](list)
    for pair in valid:
        groups[pair.group].append(pair.comparison)
    names = sorted({name for pair in valid for name in pair.features or {}})
    biases = {name: figure(name, _bias_terms(known, name), _bias, -1.0) for name in names}
    return Calibration(
        critic=critic,
        policy_version=policy_version,
        pairs=len(pairs),
        invalid=len(pairs) - len(valid),
        agreement=figure("agreement", [(pair.group, (float(r == t), 1.0)) for pair, r, t in preferred if r != 0.5]),
        decided=figure("decided", [(pair.group, (float(r != 0.5), 1.0)) for pair, r, _ in preferred]),
        consistency=figure("consistency", [(pair.group, (float(pair.comparison.is_consistent or 0), 1.0)) for pair in valid]),
        position=figure("position", [(pair.group, (pair.comparison.first_place or 0.0, 1.0)) for pair in valid], least=-1.0),
        biases={name: found for name, found in biases.items() if found is not None},
        cyclic=cyclic_triples(groups.values()),
    )


def cyclic_triples(groups: Iterable[Sequence[Comparison]]) -> float | None:
    """Share of circles (a better than b, b than c, c than a) among the triples of a group whose pairs are all decided."""
    circles = triples = 0
    for comparisons in groups:
        names = sorted({name for item in comparisons for name in (item.first, item.second)})
        beats = np.zeros((len(names), len(names)), dtype=np.int64)
        for item in comparisons:
            if item.result in (0.0, 1.0):
                better, worse = (item.first, item.second) if item.result == 1.0 else (item.second, item.first)
                beats[names.index(better), names.index(worse)] = 1
        decided = beats + beats.T
        circles += int(np.trace(beats @ beats @ beats)) // 3
        triples += int(np.trace(decided @ decided @ decided)) // 6
    return circles / triples if triples else None


def _share(sums: _Sums) -> _Sums:
    return sums[..., 0] / sums[..., 1]


def _bias(sums: _Sums) -> _Sums:
    """Of sums of results and numbers of pairs, by whether the response with more of it is better, worse or as good."""
    better, worse, alike = (sums[..., at] / sums[..., at + 1] for at in (0, 2, 4))
    parts = np.stack([better + worse - 1.0, 2.0 * alike - 1.0])
    sizes = np.stack([sums[..., 1] + sums[..., 3], sums[..., 5]]) * np.isfinite(parts)
    total: _Sums = np.where(np.isfinite(parts), parts * sizes, 0.0).sum(0) / sizes.sum(0)
    return total


def _bias_terms(known: Sequence[tuple[KnownPair, float, float]], name: str) -> _Terms:
    terms = []
    for pair, result, truth in known:
        first, second = (pair.features or {}).get(name, (0.0, 0.0))
        if first != second:
            r, t = (result, truth) if first > second else (1.0 - result, 1.0 - truth)
            kinds = (t == 1.0, t == 0.0, t == 0.5)
            terms.append((pair.group, tuple(value for kind in kinds for value in (r * kind, float(kind)))))
    return terms


def _result(pair: KnownPair) -> float:
    result = pair.comparison.result
    assert result is not None
    return result


def _figure(terms: _Terms, statistic: Callable[[_Sums], _Sums], least: float, seed: int) -> Figure | None:
    """A statistic of sums over groups.

    Args:
        terms: of each pair, its group and what it adds to each sum.
        statistic: of sums with shape [..., terms], from `least` to 1; not finite where there is no estimate.
    """
    if not terms:
        return None
    place = {group: at for at, group in enumerate(dict.fromkeys(group for group, _ in terms))}
    added = np.array([values for _, values in terms])
    sums = np.zeros((len(place), added.shape[1]))
    np.add.at(sums, [place[group] for group, _ in terms], added)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(sums.sum(0)))
        if not math.isfinite(value):
            return None
        drawn = np.random.default_rng(seed).multinomial(len(place), np.full(len(place), 1 / len(place)), size=_RESAMPLES)
        resampled = statistic(drawn @ sums)
    low, high = np.quantile(resampled[np.isfinite(resampled)], (0.025, 0.975))
    if low == high or (least == 0 and len(place) == len(terms)):
        low, high = (least + (1.0 - least) * bound for bound in _wilson((value - least) / (1.0 - least), len(place)))
    return Figure(value, float(low), float(high), len(terms))


def _wilson(share: float, trials: int) -> tuple[float, float]:
    scale = 1.0 / (1.0 + _Z95**2 / trials)
    centre = (share + _Z95**2 / (2 * trials)) * scale
    half = _Z95 * math.sqrt(share * (1.0 - share) / trials + _Z95**2 / (4 * trials**2)) * scale
    return max(0.0, centre - half), min(1.0, centre + half)


def _columns(name: str, figure: Mapping[str, Any] | None) -> dict[str, Any]:
    said = figure or dict.fromkeys(("value", "low", "high", "pairs"))
    return {f"{name}{'' if part == 'value' else f'_{part}'}": value for part, value in said.items()}
