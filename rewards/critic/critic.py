"""Responses to one context, ranked by comparing them in pairs under criteria.

After the self-critique rubric reward of Kimi K2 (arXiv 2507.20534, section 3.2.2). Everything is keyed by the ids of the
responses, so the order in which they come, or in which comparisons end, changes nothing.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rewards.critic.bradley_terry import PRIOR_SD
from rewards.critic.comparison import (
    Comparer,
    Comparison,
    Context,
    Decision,
    Invalid,
    PairVerdict,
    Preference,
    Response,
    decision,
)
from rewards.critic.design import check_opponents, pairs
from rewards.critic.ranking import Ranking, ranking_of
from rewards.rubrics import CriticCriterion, criteria_id
from trajectories.seeds import derive_seed

__all__ = ["Critic", "CriticConfig"]


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """How a group is ranked.

    Raises:
        ValueError: naming the key.
    """

    opponents: int | None = None
    """Others that each response is compared with, even and at least 2; null for all of them."""
    decide: Decision = "overall"
    """Where no veto decides: by the overall verdict, or by the weights of the criteria on either side."""
    prior_sd: float = PRIOR_SD
    """Of the scores' prior, in logits; the larger, the weaker."""
    seed: int = 0
    """Of designs and draws; each context, pair and order has its own."""

    def __post_init__(self) -> None:
        check_opponents(self.opponents)
        if self.decide not in ("overall", "weights"):
            raise ValueError(f"decide: is overall or weights, not {self.decide!r}")
        if not 0 < self.prior_sd < math.inf:
            raise ValueError(f"prior_sd: is a finite number above 0, not {self.prior_sd}")


class Critic:
    """Ranks groups, one at a time; as many at once as are awaited."""

    def __init__(self, comparer: Comparer, config: CriticConfig | None = None) -> None:
        self.comparer, self.config = comparer, config or CriticConfig()

    async def rank(
        self, context: Context, responses: Sequence[Response], criteria: Sequence[CriticCriterion], *, key: str
    ) -> Ranking:
        """The ranking of all `responses`; see `Ranking` for those of which nothing is known.

        Args:
            responses: those that no fault ended.
            criteria: as `rewards.rubrics.criteria_for` chooses them.
            key: what is responded to, e.g. the task's id; designs and draws are keyed by it.

        Raises:
            ValueError: no criteria, or an id twice.
        """
        if not criteria:
            raise ValueError(f"critic: no criteria apply to {key!r}; add a core rubric, which applies to every task")
        ordered = sorted(responses, key=lambda response: response.id)
        config = self.config
        design = pairs(len(ordered), config.opponents, derive_seed(config.seed, "critic", key))
        comparisons = await asyncio.gather(
            *(self._compare(context, ordered[one], ordered[other], criteria, key) for one, other in design)
        )
        by = f"{self.comparer.identity}:{config.decide}:{criteria_id(criteria)[:8]}"
        return ranking_of([response.id for response in responses], comparisons, by, config.prior_sd)

    async def _compare(
        self, context: Context, first: Response, second: Response, criteria: Sequence[CriticCriterion], key: str
    ) -> Comparison:
        orders = await asyncio.gather(*(self._ask(context, a, b, criteria, key) for a, b in ((first, second), (second, first))))
        decided = [order[0] for order in orders]
        verdicts = tuple(verdict for _, verdict in orders if verdict is not None)
        return Comparison(first.id, second.id, (decided[0], decided[1]), verdicts if len(verdicts) == len(orders) else ())

    async def _ask(
        self, context: Context, a: Response, b: Response, criteria: Sequence[CriticCriterion], key: str
    ) -> tuple[Preference | Invalid, PairVerdict | None]:
        seed = derive_seed(self.config.seed, "critic comparison", key, a.id, b.id)
        try:
            verdict = await self.comparer.compare(context, a, b, criteria, seed)
            if isinstance(verdict, Invalid):
                return verdict, None
            return decision(verdict, criteria, self.config.decide), verdict
        except Exception as error:  # a mistake of the comparer, whatever the responses say: no comparison
            return Invalid("broken", f"{type(error).__name__}: {error}"[:500]), None
