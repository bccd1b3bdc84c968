"""How long answers are, as reward: a reward inside the group, and two penalties for more than a budget.

The length reward is that of Kimi k1.5 (arXiv 2501.12599, section 2.3.3), over the K responses to one task: with
``lambda = 0.5 - (length - min) / (max - min)``, a correct response gets lambda, an incorrect one ``min(0, lambda)``, and all get
0 where all are equally long. The budget by type of task, with a penalty for what goes beyond, is Kimi K2's (arXiv 2507.20534,
section 3.2.3).
"""

from collections.abc import Sequence

from trajectories.outcomes import Outcome

__all__ = ["excess", "is_over_budget", "length_rewards"]


def length_rewards(lengths: Sequence[int | None], correct: Sequence[bool]) -> list[float | None]:
    """In [-0.5, 0.5] for each response of a group, in order; None for one without a length, which the others do not see.

    Args:
        lengths: in tokens; None where there is no verdict, or nobody tokenised the response.
        correct: by response.
    """
    known = [length for length in lengths if length is not None]
    least, span = (min(known), max(known) - min(known)) if known else (0, 0)
    rewards: list[float | None] = []
    for length, is_correct in zip(lengths, correct, strict=True):
        if length is None:
            rewards.append(None)
            continue
        share = 0.5 - (length - least) / span if span else 0.0
        rewards.append(share if is_correct else min(0.0, share))
    return rewards


def excess(tokens: int, budget: int) -> float:
    """Tokens beyond `budget`, in budgets."""
    return max(0, tokens - budget) / budget


def is_over_budget(tokens: int, budget: int, outcome: Outcome) -> bool:
    """Whether a response was longer than it may be, or was cut off for it before it could be."""
    return tokens > budget or outcome.ending == "token_limit"
