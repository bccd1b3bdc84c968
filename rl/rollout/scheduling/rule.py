"""Who may begin, and who is learnt from next: staleness is bounded by admission, so nothing is ever thrown away.

Discarding what has grown too old would discard what takes long: the hard tasks. Here a group begins only when the bound
can still be kept, and where an order by completion would break it for a slow group, the batch waits for that group.
(Admission by capacity is AReaL's, arXiv 2505.24298; that the slow ones are waited for is ours.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rl.rollout.scheduling.groups import Group

__all__ = ["Order", "Rule"]

Order = Literal["dispatch", "completion"]
"""`dispatch`: a batch is the tasks of its iteration; `completion`: whoever is finished first, the bound permitting."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Pure decisions about groups."""

    size: int
    """Groups that begin with each iteration, and groups of a batch; only batches of a run in parts vary."""
    iterations: int
    """Of the run."""
    ahead: int = 0
    """Iterations that may begin before the last one is learnt; 0 for turns."""
    max_staleness: int = 0
    """Iterations that may be learnt between a group's beginning and the batch that it is in; at least `ahead`."""
    order: Order = "dispatch"
    in_parts: bool = False
    """Rollouts come back unfinished when their budget is used up, and go on with the next iteration."""

    def __post_init__(self) -> None:
        if not 0 <= self.ahead <= self.max_staleness:
            raise ValueError(f"max_staleness is at least ahead={self.ahead}, not {self.max_staleness}")

    def admits(self, iteration: int, learnt: int) -> bool:
        """Whether the groups of `iteration` may begin."""
        return iteration <= self.iterations and iteration - 1 - learnt <= self.ahead

    def batch(self, step: int, groups: Sequence[Group], finished: Sequence[int]) -> list[Group] | None:
        """What iteration `step` learns from, in order; None while that still has to be waited for.

        Args:
            groups: begun and not learnt from, by number.
            finished: numbers of those of them that are finished, in the order of completion.
        """
        if self.in_parts:
            return self._finished_parts(step, groups)
        needed = self.size if self.order == "dispatch" else self._bound(step, groups)
        first, rest = list(groups[:needed]), {group.number: group for group in groups[needed:]}
        others = [rest[number] for number in finished if number in rest][: self.size - len(first)]
        whole = all(group.finished for group in first) and len(first) + len(others) == min(self.size, len(groups))
        return first + others if whole else None

    def due(self, step: int, groups: Sequence[Group]) -> list[Group]:
        """Those that must be in the batch of `step` at the latest: a later one would find them too old, or there is none."""
        return [group for group in groups if step == self.iterations or self._last(group) <= step]

    def _last(self, group: Group) -> int:
        """The last iteration that may learn from it."""
        return group.began + 1 + self.max_staleness

    def _bound(self, step: int, groups: Sequence[Group]) -> int:
        """The least number of oldest groups with which, whoever fills the batch beside them, all others can be learnt from
        in time: each at the latest when its turn comes by age."""
        for taken in range(self.size):
            behind = enumerate(groups[taken:])
            if all(step + 1 + place // self.size <= self._last(group) for place, group in behind):
                return taken
        return self.size

    def _finished_parts(self, step: int, groups: Sequence[Group]) -> list[Group] | None:
        ready = [group for group in groups if group.finished]
        return ready if ready and all(group.finished for group in self.due(step, groups)) else None
