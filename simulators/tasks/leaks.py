"""What an agent can know, and when: no answer before it has looked, and every key and answer before it must write it.

Texts before the first call have two authors. What the *task* wrote (the agent's preamble, the user's words, withheld ones
too, since asking is no looking) was made together with the answer and must not hold it at all. What the *world* wrote
(instructions, tools) is the same for every instance, and instances are drawn without regard to it: it can say what answers
there are, never which is right. So it may name values, as policies and enumerations do, but not in one sentence with what
the gold looks up, since that is a statement about this record.

The oracle knows the task's gold, so it would also pass a task that nobody else could do. Keys and words cannot be worked out
as figures can; one that the oracle uses before anything told it makes such a task.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from simulators.worlds import WorldSpec
from trajectories.messages import Message, ToolSpec
from trajectories.tasks import Task
from trajectories.words import stands_in

__all__ = ["answers", "leaks", "untold"]


def leaks(task: Task, world: WorldSpec, prompt: str, tools: Sequence[ToolSpec]) -> Iterator[str]:
    """Where an answer that a `says` criterion wants can be read before the first call; nothing for a sound task.

    Args:
        prompt: the system prompt, as the agent is shown it.
        tools: those that the agent is shown.
    """
    wanted = answers(task)
    for place, text in _of_task(task, world, prompt):
        yield from (f"{place} holds the answer {answer!r}" for answer in wanted if stands_in(answer, text))
    looked_up = _looked_up(task, world)
    for place, sentence in _of_world(world, tools) if wanted else ():
        for answer in wanted:
            about = (name for name in looked_up if stands_in(name, sentence))
            if stands_in(answer, sentence) and (name := next(about, None)) is not None:
                yield f"{place} holds the answer {answer!r} beside {name!r}"


def answers(task: Task) -> tuple[str, ...]:
    """The texts that must be said."""
    texts = (text for item in task.rubric.criteria if item.kind == "says" for text in item.expected)
    return tuple(text for text in dict.fromkeys(texts) if not text.startswith("not:"))


def untold(task: Task, world: WorldSpec, messages: Sequence[Message]) -> Iterator[str]:
    """Keys that the oracle writes, and words that it answers with, before anything that the agent can read has told them.

    Args:
        messages: the oracle's whole dialogue, system prompt first.
    """
    told = ""
    for message in messages:
        for call in message.tool_calls:
            operation = world.operations.get(call.name)
            arguments = call.parsed_arguments()
            named = (item.name for item in operation.arguments.values() if item.kind in ("key", "keys")) if operation else ()
            keys = _leaves([arguments[name] for name in named if name in arguments])
            yield from (f"nothing tells {key!r} before {call.name}" for key in keys if not stands_in(key, told))
        if message.role != "assistant":  # what the agent wrote itself tells it nothing
            told += f"{message.content}\n"
    words = (answer for answer in answers(task) if not any(map(str.isdigit, answer)))
    spoken = told.replace("_", " ")
    yield from (f"nothing tells the answer {word!r}" for word in words if not stands_in(word, spoken))


def _of_task(task: Task, world: WorldSpec, prompt: str) -> Iterator[tuple[str, str]]:
    ledger = task.ledger
    yield "the system prompt", prompt.replace(world.instructions, "\n")
    yield "the opening", ledger.opening
    yield from (("a follow-up", text) for text in ledger.follow_ups)
    for fact in ledger.facts:
        yield f"the user's {fact.slot}", " ".join([fact.value, fact.answer, *fact.slips])


def _of_world(world: WorldSpec, tools: Sequence[ToolSpec]) -> Iterator[tuple[str, str]]:
    texts = [("the instructions", world.instructions)]
    texts += [(f"tool {tool.name}", text) for tool in tools for text in _leaves(tool.to_mcp())]
    for place, text in texts:
        yield from ((place, sentence) for sentence in re.split(r"(?<=[.!?;])\s+|\n+", text))


def _looked_up(task: Task, world: WorldSpec) -> tuple[str, ...]:
    """What the gold's readings and searches are given: what tells the records in question from others."""
    looking = (call for call in task.gold.calls if call.tool in world.operations)
    calls = (call for call in looking if not _decides(world, call.tool or ""))
    return tuple(dict.fromkeys(text for call in calls for text in _leaves(call.arguments)))


def _decides(world: WorldSpec, tool: str) -> bool:
    operation = world.operations[tool]
    return operation.changes_state or operation.kind == "decline"


def _leaves(value: Any) -> Iterator[str]:
    """The texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        parts: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        for part in parts:
            yield from _leaves(part)
