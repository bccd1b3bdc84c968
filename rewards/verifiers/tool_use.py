"""Judges what an agent did in a tool world: a pass needs all that the rubric asks for, and nothing done beyond it.

The verdict rests on executed calls and on the difference of the world's state, never on what the agent claims. Prose
counts only where a criterion asks for words (`says`). Success criteria, tool-use patterns and checkpoints follow Kimi
K2 (arXiv 2507.20534, section 3.1.1); the single 0/1 verdict over the end state follows tau-bench (arXiv 2406.12045).

How criteria are read:

- `state`: the outcome's changes equal the gold changes exactly. `expected` names the tools that change state; the
  agent may not have made more successful calls of these than the gold does, so acting and undoing fails although the
  state is right.
- `refusal`: `expected` is ``(subject, reason)``; exactly one successful decline of that subject with that reason.
- `no_refusal`: `expected` names the decline tools; no successful call of them beyond those that a `refusal` asks for.
- `says`: each text of `expected` stands in a message to the user as whole words, a text that starts with ``not:`` in
  none.

Beyond the criteria, every tool-use pattern must be matched by a successful call and every checkpoint be reached. A
rubric that asks for nothing passes nobody.
"""

from collections import Counter
from collections.abc import Iterable

from rewards.verifiers.judging import fault_of
from trajectories.canonical import canonical_json
from trajectories.outcomes import CallRecord, Outcome, StateChange
from trajectories.rewards import Reward
from trajectories.rubrics import call_turns, reached_checkpoints
from trajectories.tasks import Criterion, Task
from trajectories.words import stands_in

__all__ = ["NOT", "ToolUseVerifier"]

NOT = "not:"
"""Marks a text of a `says` criterion that must not be said: without it, listing every possible answer would pass."""


class ToolUseVerifier:
    """The verifier of domain ``tool_use``."""

    version = 1

    def verify(self, task: Task, outcome: Outcome) -> Reward:
        """1.0 if every component is 1.0, else 0.0 with a cause that names what was missed; invalid after a fault.

        Components: ``completed``, one per criterion by its name, one per tool-use pattern as ``pattern:<index>``, one
        per checkpoint as ``checkpoint:<name>``, and ``rubric``, which is 0, where there is none of these.
        """
        if (fault := fault_of(outcome)) is not None:
            return Reward.invalid(fault)
        try:
            components = _components(task, outcome)
        except (ValueError, TypeError) as error:  # calls that no message made, or state that is not JSON
            return Reward.invalid(f"environment: the outcome contradicts itself: {error}")
        missed = [name for name, value in components.items() if value != 1.0]
        return Reward(
            float(not missed),
            cause=f"missed: {', '.join(missed)}" if missed else None,
            components=components,
            grader=f"tool_use/{self.version}",
        )


def _components(task: Task, outcome: Outcome) -> dict[str, float]:
    rubric = task.rubric
    turns = call_turns(outcome.messages, len(outcome.calls))
    reached = set(reached_checkpoints(rubric, outcome.calls, turns, outcome.messages))
    components = {"completed": float(outcome.ending == "completed")}
    if not (rubric.criteria or rubric.tool_patterns or rubric.checkpoints):
        components["rubric"] = 0.0
    components |= {item.name: float(_holds(item, task, outcome)) for item in rubric.criteria}
    components |= {
        f"pattern:{index}": float(any(pattern.matches(call) for call in outcome.calls))
        for index, pattern in enumerate(rubric.tool_patterns)
    }
    return components | {f"checkpoint:{item.name}": float(item.name in reached) for item in rubric.checkpoints}


def _holds(criterion: Criterion, task: Task, outcome: Outcome) -> bool:
    match criterion.kind:
        case "state":
            return _state_is_gold(criterion, task, outcome)
        case "refusal":
            return _declines(task, outcome)[criterion.expected] == 1
        case "no_refusal":
            wanted = Counter(item.expected for item in task.rubric.criteria if item.kind == "refusal")
            return not _declines(task, outcome) - wanted
        case "says":
            return _says(criterion, outcome)


def _state_is_gold(criterion: Criterion, task: Task, outcome: Outcome) -> bool:
    changing = set(criterion.expected)
    allowed = sum(call.tool in changing for call in task.gold.calls)
    # A change whose reply was lost on purpose may be made again: the agent cannot know that it was made.
    told = (call for call in outcome.calls if not call.is_error and not (call.trouble and call.trouble.lost))
    made = sum(call.name in changing for call in told)
    return made <= allowed and _canonical(outcome.changes) == _canonical(task.gold.changes)


def _canonical(changes: Iterable[StateChange]) -> list[str]:
    """One text per change, in an order of its own; numbers by value, so that 25 and 25.0 are equal."""
    return sorted(canonical_json([item.entity, item.key, item.kind, dict(item.fields)]) for item in changes)


def _declines(task: Task, outcome: Outcome) -> Counter[tuple[str, ...]]:
    """How often each (subject, reason) was declined."""
    tools = {tool for item in task.rubric.criteria if item.kind == "no_refusal" for tool in item.expected}
    return Counter(_subject_and_reason(call) for call in outcome.calls if call.name in tools and not call.is_error)


def _subject_and_reason(call: CallRecord) -> tuple[str, ...]:
    """Every argument but the reason, in the order of their names, and then the reason; text is its own subject."""
    if isinstance(call.arguments, str):
        return (call.arguments,)
    subjects = [str(call.arguments[name]) for name in sorted(call.arguments) if name != "reason"]
    return (*subjects, str(call.arguments.get("reason", "")))


def _says(criterion: Criterion, outcome: Outcome) -> bool:
    said = [item.content for item in outcome.messages if item.role == "assistant" and not item.tool_calls]
    for text in criterion.expected:
        forbidden = text.startswith(NOT)
        if any(stands_in(text.removeprefix(NOT), content) for content in said) is forbidden:
            return False
    return True
