"""Sub-goals whose acts depend on what is observed: one of two by the record's state, or the steps that lead to a state.

What may be done when is found by trying the operations on forks of the state, so a plan is right by construction, and
its depth is counted.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from simulators.tasks import wording
from simulators.tasks.draft import Access, Draft, SubGoal, Unsuitable, Verdict
from simulators.tasks.finding import name_subject
from simulators.tasks.governed import GovernedOperation, governed_operations
from simulators.tasks.requests import DRAWS, draw_arguments, would_do
from simulators.worlds import OperationSpec, WorldState
from simulators.worlds.effects import Set
from simulators.worlds.expressions import FieldOf
from simulators.worlds.fields import FieldSpec
from trajectories.tasks import Checkpoint, Fact, GoldCall, RecordPatch, ToolPattern

__all__ = ["draw_branch", "draw_reach"]

MOST_STEPS: Final = 4
"""From a record's state to the one that is asked for."""


def draw_branch(draft: Draft, access: Access, first: bool, rng: random.Random) -> SubGoal:
    """A wish of the form "if it is so, do this; otherwise do that"; both sides could be right, until one looks.

    Args:
        first: whether it is so.

    Raises:
        Unsuitable: when what was drawn has not two sides.
    """
    governed = rng.choice(governed_operations(draft.world))
    shown = _choices(draft, governed)
    acts = _acts(draft, governed)
    if not shown or len(acts) < 2:
        raise Unsuitable(f"{governed.entity} has nothing to look at, or not two things to do")
    for _ in range(DRAWS):
        name, field = rng.choice(shown)
        value, other = rng.sample(_values(field), 2)
        key = draft.draw_key(governed.entity, rng)
        chosen = rng.sample(acts, 2)
        calls = [
            GoldCall(act.name, draw_arguments(draft, act, act.subject_argument or "", key, rng)) for act in chosen
        ]
        sides = [RecordPatch(governed.entity, key, {field.name: value}), RecordPatch(governed.entity, key, {field.name: other})]
        if all(_may(draft.state(side), key, call) for side, call in zip(sides, calls, strict=True)):
            break
    else:
        raise Unsuitable(f"no two acts on {governed.entity} that {name} could decide between")
    patch, right = (sides[0], calls[0]) if first else (sides[1], calls[1])
    named, finding, facts = _named(draft, governed, access, key, patch, rng)
    language = draft.speaker.language
    then, otherwise = (
        wording.request(draft.world, act, act.subject_argument or "", wording.it(language), call.arguments, rng, language)
        for act, call in zip(chosen, calls, strict=True)
    )
    return _goal(
        draft, governed, "branch", access, key, right.tool or "",
        wording.branch(name, value, named, then, otherwise, rng, language=language),
        finding, (right,), calls, patch, facts,
        lambda state: _holds(state, governed.entity, key, field.name, value) == first and _may(state.fork(), key, right),
    )  # fmt: skip


def draw_reach(draft: Draft, access: Access, rng: random.Random) -> SubGoal:
    """A wish for a state that is several steps away: the shortest way there, where there is only one.

    Raises:
        Unsuitable: when no state of what was drawn is two or more steps away.
    """
    governed = rng.choice(governed_operations(draft.world))
    moves = [act for act in draft.world.operations_of(governed.entity, "transition") if len(act.arguments) == 1]
    shown = {field.name for _, field in _choices(draft, governed)}
    fields = sorted(shown & {_moved(act) for act in moves})
    if not fields:
        raise Unsuitable(f"{governed.entity} has no states to move between")
    field = draft.world.entities[governed.entity].fields[rng.choice(fields)]
    moves = [act for act in moves if _moved(act) == field.name]
    if any(_sets(act, field.name) for act in _acts(draft, governed) if act.kind != "transition"):
        raise Unsuitable(f"{field.name} of {governed.entity} can be set without taking the steps")
    for _ in range(DRAWS):
        key = draft.draw_key(governed.entity, rng)
        patch = RecordPatch(governed.entity, key, {field.name: rng.choice(_values(field))})
        found = _reachable(draft.state(patch), governed.entity, key, field.name, moves)
        goals = sorted(value for value, ways in found.items() if len(ways) == 1 and len(ways[0]) > 1)
        if goals:
            break
    else:
        raise Unsuitable(f"no {field.name} of {governed.entity} is two steps away")
    goal = rng.choice(goals)
    way = found[goal][0]
    named, finding, facts = _named(draft, governed, access, key, patch, rng)

    language = draft.speaker.language

    def still_right(state: WorldState) -> bool:
        return _reachable(state, governed.entity, key, field.name, moves).get(goal) == [way]

    return _goal(
        draft, governed, "reach", access, key, way[-1].tool or "",
        wording.reach(field.name, goal, named, rng, language=language),
        finding, way, way, patch, facts, still_right,
    )  # fmt: skip


def _named(
    draft: Draft, governed: GovernedOperation, access: Access, key: str, patch: RecordPatch, rng: random.Random
) -> tuple[str, tuple[GoldCall, ...], tuple[Fact, ...]]:
    read = GoldCall(governed.read.name, {governed.read_subject: key})
    return name_subject(draft.state(patch), access, governed.entity, key, governed.subject, rng, draft.speaker, read)


def _goal(
    draft: Draft, governed: GovernedOperation, verdict: Verdict, access: Access, key: str, operation: str, request: str,
    finding: tuple[GoldCall, ...], done: Sequence[GoldCall], asked: Sequence[GoldCall], patch: RecordPatch,
    facts: tuple[Fact, ...], still_right: Callable[[WorldState], bool],
) -> SubGoal:  # fmt: skip
    read = GoldCall(governed.read.name, {governed.read_subject: key})
    subjects = [(call.tool or "", draft.world.operations[call.tool or ""].subject_argument or "") for call in asked]
    before = (
        *(ToolPattern(call.tool or "", call.arguments) for call in asked),
        *(ToolPattern(tool, {argument: key}) for tool, argument in dict.fromkeys(subjects)),
        ToolPattern(governed.decline.name, {governed.decline_subject: key}),
    )
    reading = ToolPattern(governed.read.name, read.arguments)
    return SubGoal(
        verdict, access, governed.entity, key, operation, request,
        calls=(*finding, read, *done),
        criterion=None,
        checkpoints=(Checkpoint(f"read_{draft.number}", reading, before),),
        reply=wording.reply("act", draft.speaker.language),
        patterns=(reading, *(ToolPattern(call.tool or "", call.arguments) for call in done)),
        initialise=(patch,), facts=facts, still_right=still_right,
    )  # fmt: skip


def _choices(draft: Draft, governed: GovernedOperation) -> list[tuple[str, FieldSpec]]:
    """Fields of few values that the subject's reading shows, and what they are called there."""
    fields = draft.world.entities[governed.entity].fields
    shown = [
        (name, fields[value.field])
        for name, value in governed.read.returns.items()
        if isinstance(value, FieldOf) and value.record == governed.entity
    ]
    return [(name, field) for name, field in shown if field.type in ("enum", "boolean") and len(_values(field)) > 1]


def _values(field: FieldSpec) -> list[Any]:
    return list(dict.fromkeys(field.draw or field.values or (False, True)))


def _acts(draft: Draft, governed: GovernedOperation) -> list[OperationSpec]:
    """What changes one record of the subject's kind, and is told which by its key."""
    acts = (act for act in draft.world.operations.values() if act.changes_state and act.entity == governed.entity)
    return [act for act in acts if act.kind != "batch" and act.subject_argument is not None]


def _may(state: WorldState, key: str, call: GoldCall) -> bool:
    """Whether no rule is in the way, which the reading shows, and the tool does it; `state` is changed."""
    operation = state.world.operations[call.tool or ""]
    if state.find(operation.entity, key) is None:
        return False
    if state.world.policies_on(operation.name):
        governed = next((item for item in governed_operations(state.world) if item.operation.name == operation.name), None)
        if governed is None or not governed.is_free(state, key, call.arguments):
            return False  # without `governed`: a rule that nobody can look up
    return would_do(state, operation, call.arguments)


def _holds(state: WorldState, entity: str, key: str, field: str, value: Any) -> bool:
    return (state.find(entity, key) or {}).get(field) == value


def _moved(transition: OperationSpec) -> str:
    """The field that a transition moves: its first effect does that."""
    first = transition.effects[0]
    assert isinstance(first, Set)
    return next(iter(first.fields))


def _sets(act: OperationSpec, field: str) -> bool:
    return any(isinstance(effect, Set) and effect.record == act.entity and field in effect.fields for effect in act.effects)


def _reachable(
    state: WorldState, entity: str, key: str, field: str, moves: Sequence[OperationSpec]
) -> dict[Any, list[tuple[GoldCall, ...]]]:
    """For each value of the field, every shortest way to it."""
    found: dict[Any, list[tuple[GoldCall, ...]]] = {(state.find(entity, key) or {}).get(field): [()]}
    frontier: list[tuple[WorldState, tuple[GoldCall, ...]]] = [(state, ())]
    for _ in range(MOST_STEPS):
        further: list[tuple[WorldState, tuple[GoldCall, ...]]] = []
        seen = set(found)
        for at, way in frontier:
            for move in moves:
                call, after = GoldCall(move.name, {move.subject_argument or "": key}), at.fork()
                if not _may(after, key, call):
                    continue
                value = (after.find(entity, key) or {}).get(field)
                if value not in seen:
                    found.setdefault(value, []).append((*way, call))
                    further.append((after, (*way, call)))
        frontier = further
    return found
