"""The sub-goal to answer a question about a record: read it and say what it shows."""

import random
from collections.abc import Iterator

from simulators.tasks import wording
from simulators.tasks.draft import Access, Draft, SubGoal, Unsuitable
from simulators.tasks.finding import name_subject
from simulators.tasks.governed import governed_operations, reading_of
from simulators.worlds import OperationSpec, WorldSpec, WorldState
from simulators.worlds.expressions import FieldOf
from trajectories.tasks import Checkpoint, Criterion, GoldCall, ToolPattern

__all__ = ["draw_question"]

RIVALS = 6
"""Wrong answers, at most, that must not be said beside the right one."""


def draw_question(draft: Draft, access: Access, rng: random.Random) -> SubGoal:
    """A question about a record of an entity that some policy is about.

    Raises:
        Unsuitable: when what was drawn cannot be asked; drawing again may help.
    """
    entity = rng.choice(sorted({governed.entity for governed in governed_operations(draft.world)}))
    reading = reading_of(draft.world, entity)
    assert reading is not None  # a governed entity has a reading
    read, argument = reading
    state, key = draft.state(), draft.draw_key(entity, rng)
    fields = list(_shown_fields(draft.world, read))
    if not fields:
        raise Unsuitable(f"{read.name} shows nothing to ask for")
    shown, owner, field = rng.choice(fields)
    call = GoldCall(read.name, {argument: key})
    found = (state.call(read.name, call.arguments).structuredContent or {})[shown]
    if found is None:
        raise Unsuitable(f"{shown} of {entity} {key} holds nothing to say")
    answer = str(found)
    if wording.said_anyway(answer):
        raise Unsuitable(f"{answer!r} would be said whatever the answer is")
    rivals = (f"not:{wording.spoken(rival)}" for rival in _rivals(state, owner, field, answer))
    named, finding, facts = name_subject(state, access, entity, key, argument, rng, draft.speaker, call)
    pattern = ToolPattern(read.name, call.arguments)
    return SubGoal(
        "lookup", access, entity, key, read.name,
        request=wording.question(shown, named, rng, draft.speaker.language),
        calls=(*finding, call),
        criterion=Criterion(f"says_{draft.number}", "says", (wording.spoken(answer), *rivals)),
        checkpoints=(Checkpoint(f"read_{draft.number}", pattern),),
        reply=wording.reply("lookup", draft.speaker.language, answer=answer),
        patterns=(pattern,), facts=facts,
    )  # fmt: skip


def _shown_fields(world: WorldSpec, read: OperationSpec) -> Iterator[tuple[str, str, str]]:
    """What a reading shows and a person could ask for: its name there, and the entity and field it comes from."""
    owners = {read.entity: read.entity} | {binding.name: binding.entity for binding in read.records}
    for name, value in read.returns.items():
        if isinstance(value, FieldOf) and value.record in owners:
            owner = owners[value.record]
            if world.entities[owner].fields[value.field].type in ("enum", "integer", "text"):
                yield name, owner, value.field


def _rivals(state: WorldState, owner: str, field: str, answer: str) -> list[str]:
    """Wrong answers that the field's type and other records suggest; without them, listing all answers would pass."""
    values = (
        *state.world.entities[owner].fields[field].values,
        *(str(item[field]) for item in state.records(owner).values() if item[field] is not None),
    )
    keys = {key for entity in state.world.entities for key in state.keys(entity)}
    wrong = (value for value in dict.fromkeys(values) if value not in answer and value not in keys)
    return [value for value in wrong if not wording.said_anyway(value)][:RIVALS]
