"""Which of several responses to one task are kept, and which make a pair: Kimi k1.5's rules (arXiv 2501.12599, section 2.4).

- Shortest rejection sampling: of n responses (n = 8) the shortest correct one.
- Preference pairs: the shortest correct one is chosen; rejected are wrong ones that are longer, and correct ones that are at
  least 1.5 times as long. A wrong answer that is shorter is no lesson in brevity and makes no pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["RATIO", "SAMPLES", "Kind", "Pair", "Response", "pairs_of", "shortest"]

SAMPLES, RATIO = 8, 1.5
"""As k1.5 has them."""

Kind = Literal["wrong_and_longer", "correct_and_longer"]


@dataclass(frozen=True, slots=True)
class Response:
    """A response with a verdict."""

    row: int
    """Its number in the data set."""
    correct: bool
    tokens: int
    """That the policy sampled."""


@dataclass(frozen=True, slots=True)
class Pair:
    chosen: Response
    rejected: Response
    kind: Kind


def shortest(responses: Sequence[Response]) -> Response | None:
    """The correct one with the fewest tokens, the earlier among equals; None where none is correct."""
    correct = [response for response in responses if response.correct]
    return min(correct, key=lambda response: (response.tokens, response.row), default=None)


def pairs_of(responses: Sequence[Response], ratio: float = RATIO) -> list[Pair]:
    """The pairs of one task, in the order of the rejected ones."""
    if (chosen := shortest(responses)) is None:
        return []
    longer = [response for response in responses if response.tokens > chosen.tokens]
    return [
        Pair(chosen, response, "correct_and_longer" if response.correct else "wrong_and_longer")
        for response in longer
        if not response.correct or response.tokens >= ratio * chosen.tokens
    ]
