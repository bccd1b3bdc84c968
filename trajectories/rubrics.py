"""Which of a rubric's checkpoints were reached, computed from what was called, or said by the user, and when.

One function serves the environment, which reports checkpoints while a dialogue runs, and the verifiers, which
recompute them from a stored Outcome: neither can disagree with the other, and nothing that the agent writes in prose
counts.
"""

import sys
from collections.abc import Sequence

from trajectories.messages import Message
from trajectories.outcomes import CallRecord
from trajectories.tasks import Checkpoint, Rubric

__all__ = ["call_turns", "reached_checkpoints"]


def reached_checkpoints(
    rubric: Rubric, calls: Sequence[CallRecord], turns: Sequence[int] | None = None, messages: Sequence[Message] = ()
) -> tuple[str, ...]:
    """Names of the checkpoints that were reached, in the order in which they were.

    A checkpoint is reached by the first successful call that matches its pattern, or by the first message of the user
    after the opening that holds its words, unless a call that matches one of its `before` patterns came earlier. With
    `turns` (see `call_turns`) it must also be reached in an earlier turn than every such call: whoever looks up and
    acts in one breath has not read the answer.

    Args:
        calls: every call of the episode, in order.
        turns: for each call, the index of the assistant turn that made it; None to go by the order of the calls alone.
        messages: the dialogue, for checkpoints that the user's words reach; these need `turns`.

    Raises:
        ValueError: when `turns` has another length than `calls`.
    """
    if turns is None:
        turns = range(len(calls))
    if len(turns) != len(calls):
        raise ValueError(f"{len(calls)} calls but {len(turns)} turns")
    reached = []
    for item in rubric.checkpoints:
        place = _called(item, calls, turns) if item.pattern is not None else _said(item, messages)
        if place is not None and not _too_late(item, place, calls, turns):
            reached.append((place, item.name))
    return tuple(name for _, name in sorted(reached, key=lambda pair: pair[0]))


def call_turns(messages: Sequence[Message], num_calls: int) -> tuple[int, ...]:
    """For each of the first `num_calls` tool calls in `messages`, the index of the assistant message that made it.

    Raises:
        ValueError: when the messages hold fewer tool calls than that; such an outcome contradicts itself.
    """
    assistants = (message for message in messages if message.role == "assistant")
    turns = [turn for turn, message in enumerate(assistants) for _ in message.tool_calls]
    if len(turns) < num_calls:
        raise ValueError(f"{num_calls} calls were executed but the messages hold only {len(turns)}")
    return tuple(turns[:num_calls])


def _called(item: Checkpoint, calls: Sequence[CallRecord], turns: Sequence[int]) -> tuple[int, int] | None:
    """Turn and index of the first call that matches."""
    pattern = item.pattern
    first = next((i for i, call in enumerate(calls) if pattern is not None and pattern.matches(call)), None)
    return None if first is None else (turns[first], first)


def _said(item: Checkpoint, messages: Sequence[Message]) -> tuple[int, int] | None:
    """The assistant turn that the user's words answer; they come after every call of it."""
    turn = -1
    for message in messages:
        if message.role == "assistant":
            turn += 1
        elif message.role == "user" and turn >= 0 and item.said and item.said in message.content:
            return turn, sys.maxsize
    return None


def _too_late(
    item: Checkpoint, place: tuple[int, int], calls: Sequence[CallRecord], turns: Sequence[int]
) -> bool:
    """Whether a call that should have waited for the checkpoint was made in its turn already."""
    return any(
        turn <= place[0] and index != place[1] and any(pattern.matches(call) for pattern in item.before)
        for index, (call, turn) in enumerate(zip(calls, turns, strict=True))
    )
