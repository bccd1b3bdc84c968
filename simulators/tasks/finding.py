"""How an agent finds the record that a user means: told its key, by a search, by a search for what it belongs to and a
way from there, or by asking."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from simulators.tasks import wording
from simulators.tasks.draft import PLAIN, Access, Speaker, Unsuitable
from simulators.users.personas import with_slips
from simulators.worlds import OperationSpec, WorldState
from simulators.worlds.expressions import ArgumentOf, Compare, Expression, FieldOf, KeyOf
from simulators.worlds.fields import FieldSpec
from trajectories.questions import value_in
from trajectories.tasks import Fact, GoldCall

__all__ = ["hits", "name_subject"]

MOST_HOPS: Final = 2
"""References between the record that is meant and the one that the user can describe."""


def name_subject(
    state: WorldState,
    access: Access,
    entity: str,
    key: str,
    slot: str,
    rng: random.Random,
    speaker: Speaker = PLAIN,
    read: GoldCall | None = None,
) -> tuple[str, tuple[GoldCall, ...], tuple[Fact, ...]]:
    """How the user names the record, the oracle's acts that find it, and what the user withholds.

    Args:
        slot: what the key is called, e.g. ``order_id``.
        speaker: how the user speaks.
        read: the reading of the record, which shows that a key is wrong; needed where users make slips.

    Raises:
        Unsuitable: when no search finds the record, and it alone.
    """
    language = speaker.language
    if access == "direct":
        return wording.subject(access, entity, rng, language, key=key), (), ()
    if access == "ask":
        fact = Fact(slot, key, wording.ask_keywords(entity, slot, language), wording.answer(key, rng, language))
        # English questions need no words of their own: whoever asks finds them.
        question = GoldCall(None, ask=slot, say=None if language == "en" else wording.reply("ask", language, slot=slot))
        calls: tuple[GoldCall, ...] = (question,)
        if read is not None and speaker.error_prone and rng.random() < speaker.error_prone:
            fact = with_slips(fact, list(state.keys(entity)), rng)
            calls = (question, replace(read, arguments={next(iter(read.arguments)): value_in(fact, fact.slips[0])}), question)
        return wording.subject(access, entity, rng, language), calls, (fact,)
    if access == "related":
        ways = list(_related(state, entity, key, MOST_HOPS))
        if not ways:
            raise Unsuitable(f"no way leads to {entity} {key} from what it belongs to")
        longest = max(len(way.calls) for way in ways)
        way = rng.choice([way for way in ways if len(way.calls) == longest])
        return way.named(rng, language), way.calls, ()
    searches = list(_searches(state, entity, key))
    if not searches:
        raise Unsuitable(f"no search finds {entity} {key} alone")
    call, field, value = rng.choice(searches)
    return wording.subject(access, entity, rng, language, field=field, value=value), (call,), ()


def hits(state: WorldState, call: GoldCall) -> list[str]:
    """Keys of the records that a search or a list (its first page) finds, in its order; empty when it errs or shows no
    keys."""
    operation = state.world.operations[call.tool or ""]
    shown = next((name for name, value in operation.returns.items() if value == KeyOf(operation.entity)), None)
    result = state.call(operation.name, call.arguments).structuredContent or {}
    found = result.get("items" if operation.kind == "list" else "found", [])
    return [hit[shown] for hit in found] if shown is not None else []


@dataclass(frozen=True, slots=True)
class _Way:
    """From what a person knows of one record to another's key."""

    entities: tuple[str, ...]
    """From the record that is meant to the one that is searched."""
    field: str
    value: Any
    calls: tuple[GoldCall, ...]

    def named(self, rng: random.Random, language: str) -> str:
        *meant, searched = self.entities
        named = wording.subject("search", searched, rng, language, field=self.field, value=self.value)
        for entity in reversed(meant):
            named = wording.subject("related", entity, rng, language, owner=named)
        return named


def _related(state: WorldState, entity: str, key: str, hops: int) -> Iterator[_Way]:
    """Searches for a record that this one refers to, each followed by the look-ups that lead back to this one alone."""
    record = state.find(entity, key) or {}
    for field in state.world.entities[entity].fields.values():
        owner = record.get(field.name)
        if field.type != "reference" or owner is None:
            continue
        for last in _hops(state, field, owner, entity, key):
            for call, name, value in _searches(state, field.entity, owner):
                yield _Way((entity, field.entity), name, value, (call, last))
            if hops > 1:
                for way in _related(state, field.entity, owner, hops - 1):
                    yield _Way((entity, *way.entities), way.field, way.value, (*way.calls, last))


def _hops(state: WorldState, reference: FieldSpec, owner: str, entity: str, key: str) -> Iterator[GoldCall]:
    """Look-ups by the key of what a record refers to that find the record alone."""
    for operation in state.world.operations_of(entity, "search", "list"):
        for argument in operation.arguments.values():
            others = (item for item in operation.arguments.values() if item is not argument)
            if argument.value_type != f"key:{reference.entity}" or not all(item.optional for item in others):
                continue
            if FieldOf(entity, reference.name) not in set(_equal_to(operation, argument.name)):
                continue
            call = GoldCall(operation.name, {argument.name: owner})
            if hits(state, call) == [key]:
                yield call


def _searches(state: WorldState, entity: str, key: str) -> Iterator[tuple[GoldCall, str, Any]]:
    """Searches with one argument that find the record alone; with them, what the argument is called and its value."""
    for operation in state.world.operations_of(entity, "search"):
        for name in operation.arguments:
            if not all(item.optional or item.name == name for item in operation.arguments.values()):
                continue
            for field in _equal_to(operation, name):
                value = _value(state, operation, field, key)
                call = GoldCall(operation.name, {name: value})
                if value is not None and hits(state, call) == [key]:
                    yield call, field.field if field.record == entity else field.record, value


def _equal_to(operation: OperationSpec, argument: str) -> Iterator[FieldOf]:
    """The fields that a search compares with an argument for equality."""
    for condition in operation.match:
        if isinstance(condition, Compare) and condition.operator == "equal":
            sides: tuple[Expression, Expression] = (condition.left, condition.right)
            if ArgumentOf(argument) in sides:
                yield from (side for side in sides if isinstance(side, FieldOf))


def _value(state: WorldState, operation: OperationSpec, field: FieldOf, key: str) -> Any:
    """The field's value when the search looks at the record `key`; None when that takes more than one step."""
    record = state.find(operation.entity, key) or {}
    if field.record == operation.entity:
        return record.get(field.field)
    for binding in operation.records:
        if binding.name == field.record and isinstance(binding.key, FieldOf) and binding.key.record == operation.entity:
            return (state.find(binding.entity, record[binding.key.field]) or {}).get(field.field)
    return None
