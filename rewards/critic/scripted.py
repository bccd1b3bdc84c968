"""A comparer without a model: it reads what is declared about the responses, and has the biases that it is told to have.

For tests and runs without a model, where the right order is known. The better response has the higher utility: its declared
quality, and for each bias what the declared features add.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from rewards.critic.comparison import VIOLATIONS, Context, CriterionVerdict, Invalid, PairVerdict, Preference, Response
from rewards.rubrics import CriticCriterion
from trajectories.canonical import digest
from trajectories.seeds import derive_rng

__all__ = ["Biases", "Features", "ScriptedComparer"]

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What is declared of a response, hidden from every comparer but the scripted one."""

    quality: float = 0.0
    """How good it really is, in logits against another response."""
    length: int = 100
    """In characters."""
    praise: float = 0.0
    """How much it flatters, 0 to 1."""
    confidence: float = 0.0
    """How firm its tone is, 0 to 1, whatever its grounds."""
    breaks: frozenset[str] = frozenset()
    """Ids of the vetoes that it breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Biases:
    """What a comparer likes besides quality, in logits; 0 for an honest one."""

    position: float = 0.0
    """For the first place; below 0 for the second."""
    length: float = 0.0
    """For each doubling of the length."""
    flattery: float = 0.0
    """For praise."""
    confidence: float = 0.0
    """For a firm tone."""


class ScriptedComparer:
    """Compares by declared features.

    Args:
        features: by id of the response.
        noise: 0 to decide by the utilities alone; else the better one is drawn with probability ``1 / (1 + exp(-margin /
        noise))``,
            a draw of its own for each seed.
        least_margin: of the utilities, for a preference; below it there is a tie.
    """

    def __init__(
        self, features: Mapping[str, Features], biases: Biases | None = None, *, noise: float = 0.0, least_margin: float = 0.0
    ) -> None:
        self._features, self._biases = features, biases or Biases()
        self._noise, self._least_margin = noise, least_margin
        self.identity = f"scripted/{_VERSION}#{digest([asdict(self._biases), noise, least_margin])[:8]}"

    async def compare(
        self, context: Context, response_a: Response, response_b: Response, criteria: Sequence[CriticCriterion], seed: int
    ) -> PairVerdict | Invalid:
        """As `Comparer.compare`; every criterion that is no veto gets the overall verdict."""
        for response in (response_a, response_b):
            if response.id not in self._features:
                return Invalid("unscripted", f"nothing is declared of the response {response.id!r}")
        a, b = self._features[response_a.id], self._features[response_b.id]
        overall = self._preferred(self._biases.position + self._utility(a) - self._utility(b), seed)
        named = {breaks: name for name, breaks in VIOLATIONS.items()}
        verdicts = tuple(
            CriterionVerdict(item.id, named[item.id in a.breaks, item.id in b.breaks] if item.veto else overall)
            for item in criteria
        )
        return PairVerdict(overall, verdicts)

    def _utility(self, said: Features) -> float:
        likes = self._biases
        liked = likes.length * math.log2(max(1, said.length)) + likes.flattery * said.praise + likes.confidence * said.confidence
        return said.quality + liked

    def _preferred(self, margin: float, seed: int) -> Preference:
        """Given by how much A is ahead."""
        if self._noise:
            ahead = derive_rng(seed, "scripted comparison").random() < 1.0 / (1.0 + math.exp(min(700.0, -margin / self._noise)))
            return "A" if ahead else "B"
        if abs(margin) <= self._least_margin:
            return "tie"
        return "A" if margin > 0 else "B"
