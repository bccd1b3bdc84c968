"""Who is to blame for a failed dialogue: the agent, the user, a tool, or the infrastructure.

A pure function of stored records, so any dialogue can be attributed again without a simulator. It changes no reward: a
failure that is attributed to user or tool is still a verdict about the policy, and a share of them that grows says that the
simulation needs looking at, not the policy.
"""

from collections.abc import Iterator
from typing import Final, Literal

from trajectories.outcomes import Outcome
from trajectories.questions import asked_for, hands_over, value_in
from trajectories.rewards import Reward
from trajectories.tasks import Fact, Ledger, Task
from trajectories.words import stands_in

__all__ = ["Attribution", "attribute"]

Attribution = Literal["agent", "user", "tool", "infrastructure"]

_OF_FAULT: Final[dict[str, Attribution]] = {"tool": "tool", "user": "user"}
"""By the source of a fault; any other is infrastructure."""


def attribute(task: Task, outcome: Outcome, reward: Reward) -> Attribution | None:
    """Who made the dialogue fail; None for a pass.

    The first rule that fits:

    1. Something broke (a fault, or a reward that is not valid): the source of the first fault, which those after it may
       follow from. Engine, environment, judge, and whatever recorded no fault are infrastructure.
    2. The reward is a pass: nobody. With components the verdict itself counts (``pass``), not what settings add to it.
    3. A tool that the gold calls was out of service (trouble ``permanent``): the tool. All other troubles pass, and what the
       gold does not call can be done without.
    4. The user broke its ledger's rules, or left too early (`_failed_by_user`): the user.
    5. Everything else: the agent, be it that it ran out of turns while the user asked what it is to confirm.
    """
    if outcome.faults:
        return _OF_FAULT.get(outcome.faults[0].source, "infrastructure")
    if outcome.ending == "fault" or not reward.valid:
        return "infrastructure"
    if reward.components.get("pass", reward.value) == 1.0:
        return None
    if _is_impossible(task, outcome):
        return "tool"
    return "user" if _failed_by_user(task, outcome) else "agent"


def _is_impossible(task: Task, outcome: Outcome) -> bool:
    needed = {call.tool for call in task.gold.calls}
    return any(call.trouble is not None and call.trouble.kind == "permanent" and call.name in needed for call in outcome.calls)


def _failed_by_user(task: Task, outcome: Outcome) -> bool:
    """Whether the user

    - was asked for a fact by its keywords and said neither the fact nor one of its slips;
    - left on a question (not an offer of more help) while it held a fact that it had not given: it did not understand; or
    - left before it had said all its follow-ups.

    The user of a domain other than tool_use only asks: it says each follow-up whatever it hears, and answers nothing.
    """
    if task.domain != "tool_use":
        return False
    ledger, language = task.ledger, task.persona.language
    turns = list(_turns(outcome))
    for said, answer in turns:
        asked = [ledger.facts[at] for at in asked_for(said, ledger.facts, language)]
        if asked and not _answers(asked, answer or ""):
            return True
    if not turns or turns[-1][1] is not None:
        return False  # the user did not leave
    heard = "\n".join(answer for _, answer in turns if answer is not None)
    if not hands_over(turns[-1][0]) and any(not _is_said(fact, heard) for fact in ledger.facts):
        return True
    return _told(turns, ledger, language) < len(ledger.follow_ups)


def _turns(outcome: Outcome) -> Iterator[tuple[str, str | None]]:
    """What the agent said to the user and what that answered; None at the end, where the user left. Words that were cut
    off from outside have no answer, and are not the user's matter."""
    messages = outcome.messages
    for at, message in enumerate(messages):
        if message.role != "assistant" or message.tool_calls:
            continue
        answer = messages[at + 1] if at + 1 < len(messages) else None
        if answer is not None and answer.role == "user":
            yield message.content, answer.content
        elif answer is None and outcome.ending == "completed":
            yield message.content, None


def _answers(asked: list[Fact], text: str) -> bool:
    """Whether every value that was asked for is said, right or by a slip, and of confirmations at least one."""
    confirmations = [fact for fact in asked if fact.kind == "confirmation"]
    values = [fact for fact in asked if fact.kind == "value"]
    said = all(_is_said(fact, text) or any(_is_slip(fact, slip, text) for slip in fact.slips) for fact in values)
    return said and (not confirmations or any(_is_said(fact, text) for fact in confirmations))


def _is_slip(fact: Fact, slip: str, text: str) -> bool:
    return slip in text or stands_in(value_in(fact, slip), text)


def _is_said(fact: Fact, text: str) -> bool:
    return fact.answer in text or stands_in(fact.value, text)


def _told(turns: list[tuple[str, str | None]], ledger: Ledger, language: str) -> int:
    """How many follow-ups were said, in whatever words: the answers to messages that handed over."""
    handed_over = (said for said, answer in turns if answer is not None and not asked_for(said, ledger.facts, language))
    return sum(hands_over(said) for said in handed_over)
