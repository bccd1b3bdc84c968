"""What a user may say, and when it may leave: decided from its ledger alone, never by how anything is worded.

`decide` is a pure function of the ledger, the user's patience, what was decided before and what the agent says now, so a
dialogue can be decided again from its messages. How a decision is put into words is for somebody else (a `Voice`, see
`simulators.users.ledger_user`). Users that withhold and reveal follow Kimi K2 (arXiv 2507.20534, section 3.1.1) and
tau-bench (arXiv 2406.12045).

The rules, the first that fits:

1. The agent asks for facts: they are said. For the n-th time of one with slips, the n-th slip is said, and the answer after
   the last. Of several confirmations the first that was not given is said alone, so that one yes never goes for two acts.
2. The agent hands over (asks nothing, or whether there is anything else): the next follow-up is said; after the last the
   user leaves.
3. The agent asks for something else while the user holds a confirmation that it has not given. That one is *pending*: the
   question may be for it, so leaving is illegal. The user says that it does not see what it is to confirm, as often as that
   happens; the agent may ask in clearer words, or withdraw the question by handing over. The turn limit bounds it.
4. The agent asks for something else, and nothing is pending: the user says that it does not know, `patience` times; then it
   leaves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from trajectories.questions import asked_for, hands_over
from trajectories.tasks import Ledger, Task

__all__ = ["Act", "Decision", "decide", "decisions"]

Act = Literal["answer", "confirm", "follow_up", "not_understood", "not_known", "leave"]
"""`confirm` is an `answer` that gives a confirmation, beside values or alone."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the user does about one message of the agent."""

    act: Act
    facts: tuple[int, ...] = ()
    """Of an `answer` or a `confirm`: positions in the ledger of the facts that are said."""
    texts: tuple[str, ...] = ()
    """What is said, in the ledger's words: a text for each of `facts`, or the follow-up. Otherwise there is nothing to say
    that the ledger holds."""


def decide(task: Task, past: Sequence[Decision], text: str) -> Decision:
    """What the user of `task` does about `text`.

    Args:
        past: the decisions about all earlier messages, in order.
        text: what the agent says to the user.
    """
    ledger, persona = task.ledger, task.persona
    if facts := _chosen(ledger, past, asked_for(text, ledger.facts, persona.language)):
        confirms = any(ledger.facts[at].kind == "confirmation" for at in facts)
        return Decision("confirm" if confirms else "answer", facts, tuple(_said(ledger, past, at) for at in facts))
    if hands_over(text):
        told = sum(decision.act == "follow_up" for decision in past)
        follow_up = ledger.follow_ups[told : told + 1]
        return Decision("follow_up", (), follow_up) if follow_up else Decision("leave")
    if any(fact.kind == "confirmation" and not _given(ledger, past, at) for at, fact in enumerate(ledger.facts)):
        return Decision("not_understood")
    return Decision("not_known" if _borne(past) < persona.patience else "leave")


def decisions(task: Task, texts: Iterable[str]) -> tuple[Decision, ...]:
    """The decisions about everything that the agent says to the user in a dialogue, up to the one to leave."""
    found: list[Decision] = []
    for text in texts:
        if found and found[-1].act == "leave":
            break
        found.append(decide(task, found, text))
    return tuple(found)


def _chosen(ledger: Ledger, past: Sequence[Decision], asked: Sequence[int]) -> tuple[int, ...]:
    """All facts that are asked for, but of confirmations only one."""
    confirmations = [at for at in asked if ledger.facts[at].kind == "confirmation"]
    open_ones = [at for at in confirmations if not _given(ledger, past, at)]
    one = open_ones[:1] or confirmations[-1:]
    return tuple(at for at in asked if at not in confirmations or at in one)


def _said(ledger: Ledger, past: Sequence[Decision], position: int) -> str:
    fact, times = ledger.facts[position], _times(past, position)
    return fact.slips[times] if times < len(fact.slips) else fact.answer


def _given(ledger: Ledger, past: Sequence[Decision], position: int) -> bool:
    return _times(past, position) > len(ledger.facts[position].slips)


def _times(past: Sequence[Decision], position: int) -> int:
    """How often the fact was said, slips included."""
    return sum(position in decision.facts for decision in past)


def _borne(past: Sequence[Decision]) -> int:
    return sum(decision.act == "not_known" for decision in past)
