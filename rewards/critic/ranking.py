"""From comparisons to scores: what is known of each response, and of which nothing is.

Only valid comparisons count, so the scores are those of a group whose failed comparisons were never asked for. Scores tell
something only among responses that hang together by comparisons: where failures split the group, its one largest part is scored
and the others are not, because a score against nobody, or against other people, is no score against these.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rewards.critic.bradley_terry import PRIOR_SD, components, fit
from rewards.critic.comparison import Comparison, Invalid

__all__ = ["Ranking", "Score", "ranking_of"]


@dataclass(frozen=True, slots=True)
class Score:
    """Of one response among those of its group, in logits; the scores of a group add up to 0."""

    value: float
    error: float
    """Standard error."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a critic finds of the responses to one context."""

    critic: str
    """Who compared, by which criteria: comparer's identity and digest of the criteria."""
    ids: tuple[str, ...]
    """Of the responses, in the order in which they came."""
    scores: tuple[Score | None, ...]
    """In this order; None where there is none."""
    causes: tuple[str | None, ...]
    """Why there is none."""
    comparisons: tuple[Comparison, ...]
    """All that were asked for, invalid ones too; by ids in ascending order."""

    @property
    def order(self) -> tuple[str, ...]:
        """Ids of the responses that have a score, the best first; equals, rounding aside, by id."""
        scored = [(-round(score.value, 9), name) for name, score in zip(self.ids, self.scores, strict=True) if score is not None]
        return tuple(name for _, name in sorted(scored))

    @property
    def faults(self) -> tuple[Invalid, ...]:
        """One for each invalid comparison, for an error budget."""
        return tuple(item.invalid for item in self.comparisons if item.invalid is not None)


def ranking_of(ids: Sequence[str], comparisons: Sequence[Comparison], critic: str, prior_sd: float = PRIOR_SD) -> Ranking:
    """The ranking of responses `ids` by comparisons among them; the order of neither changes any score.

    Raises:
        ValueError: an id twice, or a comparison of a response that is not there.
    """
    names = sorted(ids)
    place = {name: at for at, name in enumerate(names)}
    if len(place) != len(names):
        raise ValueError(f"critic: response ids must differ, not {list(ids)}")
    wins = np.zeros((len(names), len(names)))
    for item in comparisons:
        if item.first not in place or item.second not in place:
            raise ValueError(f"critic: {item.first!r} and {item.second!r} were compared, and one is no response of the group")
        if item.result is not None:
            one, other = place[item.first], place[item.second]
            wins[one, other] += item.result
            wins[other, one] += 1.0 - item.result
    scores, causes = dict[str, Score](), dict[str, str]()
    parts = components(wins)
    largest = max(map(len, parts), default=0)
    for part in parts:
        members = [names[at] for at in part]
        if len(part) == 1:
            causes[members[0]] = _why_alone(members[0], comparisons)
        elif len(part) < largest or sum(len(other) == largest for other in parts) > 1:
            cause = f"not comparable: {len(part)} of {len(names)} responses were compared with each other only"
            causes |= dict.fromkeys(members, cause)
        else:
            values, errors = fit(wins[np.ix_(part, part)], prior_sd)
            found = zip(members, values.tolist(), errors.tolist(), strict=True)
            scores = {name: Score(value, error) for name, value, error in found}
    ordered = tuple(sorted(comparisons, key=lambda item: (item.first, item.second)))
    return Ranking(critic, tuple(ids), tuple(map(scores.get, ids)), tuple(map(causes.get, ids)), ordered)


def _why_alone(name: str, comparisons: Sequence[Comparison]) -> str:
    mine = (item.invalid for item in comparisons if name in (item.first, item.second))
    counts = Counter(invalid.cause for invalid in mine if invalid is not None)
    if not counts:
        return "no comparison: there is no other response"
    return f"no valid comparison: {', '.join(f'{count} x {cause}' for cause, count in sorted(counts.items()))}"
