"""Whether a stored outcome tells what its dialogue tells: the rewards rest on outcomes, trainers read dialogues."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, get_args

from trajectories.canonical import canonical_json
from trajectories.messages import Message, ToolCall
from trajectories.outcomes import CallRecord, Ending, Outcome, StateChange
from trajectories.rubrics import call_turns, reached_checkpoints
from trajectories.tasks import Task

__all__ = ["outcome_problems", "same_changes"]

_ENDINGS: Final = get_args(Ending)


def outcome_problems(outcome: Outcome, messages: Sequence[Message], task: Task | None) -> Iterator[str]:
    """What is wrong with an outcome.

    Args:
        messages: the row's dialogue, system prompt included.
        task: whose rubric says which checkpoints there are; None where it is not known.
    """
    if outcome.ending not in _ENDINGS:
        yield f"the ending {outcome.ending!r} is none of {', '.join(_ENDINGS)}"
    dialogue = tuple(messages[1:] if messages and messages[0].role == "system" else messages)
    yield from _messages(outcome.messages, dialogue)
    if outcome.ending == "fault" and not outcome.calls:
        return  # an environment that is gone tells neither its calls nor its checkpoints
    yield from _calls(outcome.calls, dialogue)
    if task is None:
        return
    try:
        turns = call_turns(outcome.messages, len(outcome.calls))
        reached = reached_checkpoints(task.rubric, outcome.calls, turns, outcome.messages)
    except (ValueError, TypeError) as error:
        yield f"the checkpoints cannot be computed: {error}"
        return
    if reached != outcome.checkpoints:
        yield f"checkpoints {list(outcome.checkpoints)}; computed again they are {list(reached)}"


def same_changes(one: Iterable[StateChange], other: Iterable[StateChange]) -> bool:
    """Whether both say the same of a world, in whatever order; numbers count by value.

    Raises:
        ValueError, TypeError: a value that is not JSON.
    """
    return _canonical(one) == _canonical(other)


def _canonical(changes: Iterable[StateChange]) -> list[str]:
    return sorted(canonical_json([item.entity, item.key, item.kind, dict(item.fields)]) for item in changes)


def _messages(stored: Sequence[Message], dialogue: Sequence[Message]) -> Iterator[str]:
    if len(stored) != len(dialogue):
        yield f"the outcome has {len(stored)} messages, the dialogue {len(dialogue)} without its system prompt"
    for number, (one, other) in enumerate(zip(stored, dialogue, strict=False), start=1):
        if one != other:
            yield f"message {number} ({other.role}) is not the outcome's: {_difference(one, other)}"
            return


def _difference(one: Message, other: Message) -> str:
    names = (name for name in Message.__slots__ if getattr(one, name) != getattr(other, name))
    name = next(names)
    return f"{name} is {getattr(other, name)!r:.80}, the outcome has {getattr(one, name)!r:.80}"


def _calls(records: Sequence[CallRecord], dialogue: Sequence[Message]) -> Iterator[str]:
    results = [message for message in dialogue if message.role == "tool"]
    calls = [call for message in dialogue for call in message.tool_calls]
    if len(records) != len(results):
        yield f"the outcome has {len(records)} calls, the dialogue {len(results)} results"
    for number, (record, call, result) in enumerate(zip(records, calls, results, strict=False)):
        if record.name != call.name or not _same_arguments(record.arguments, call):
            yield f"call {number} ({call.id}) is not the outcome's, which is {record.name} with {record.arguments!r:.80}"
        elif record.content != result.content:
            yield f"the result of call {number} ({call.id}) is not the outcome's {record.content!r:.80}"


def _same_arguments(stored: Any, call: ToolCall) -> bool:
    if isinstance(stored, str):
        return stored == call.arguments
    try:
        return canonical_json(dict(stored)) == canonical_json(call.parsed_arguments())
    except (ValueError, TypeError, RecursionError):
        return False
