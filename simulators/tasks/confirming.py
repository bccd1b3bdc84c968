"""What it takes to have an act confirmed: the user's word, the question for it, and that it comes before the act."""

import random
from dataclasses import dataclass

from simulators.tasks import wording
from trajectories.tasks import Checkpoint, Fact, GoldCall, ToolPattern

__all__ = ["Confirming", "confirming"]


@dataclass(frozen=True, slots=True)
class Confirming:
    """The parts of a task that belong to one confirmation."""

    fact: Fact
    question: GoldCall
    checkpoint: Checkpoint


def confirming(
    number: int, phrase: str, yes: bool, before: tuple[ToolPattern, ...], rng: random.Random, language: str = "en"
) -> Confirming:
    """
    Args:
        number: of the sub-goal.
        phrase: the act, as the question names it.
        yes: what the user says.
        before: calls that must wait for it.
    """
    said = wording.confirmed_text(yes, language)
    keywords, answer = wording.CONFIRM_KEYWORDS[language], wording.confirmation(yes, rng, language)
    fact = Fact(f"confirmation_{number}", said, keywords, answer, kind="confirmation")
    question = GoldCall(None, ask=fact.slot, say=wording.confirm_question(phrase, language))
    return Confirming(fact, question, Checkpoint(f"confirmed_{number}", None, before, said=said))
