"""Which reads and searches tell whether a change was made: those that answer otherwise before it than after it.

A reply may be lost after the commit only where such a call exists, so that who looks can always know. The calls are
built from the records that changed and the records that these refer to; keys that only the change made are not used,
because nobody who lost the reply knows them.
"""

import itertools
from collections.abc import Collection, Iterator
from typing import Any

from simulators.worlds import ArgumentSpec, OperationSpec, WorldState

__all__ = ["telling_calls"]

MOST_CALLS = 64
"""Combinations of arguments that are tried per tool."""

_Record = tuple[str, str]
"""Entity and key."""


def telling_calls(
    before: WorldState, after: WorldState, without: Collection[str] = ()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Tool and arguments of calls that change nothing and whose answers differ between two states of one world.

    Args:
        without: tools that cannot be used.
    """
    involved = _involved(before, after)
    for operation in before.world.operations.values():
        if operation.changes_state or operation.kind == "decline" or operation.name in without:
            continue
        for arguments in itertools.islice(_arguments(operation, involved, before, after), MOST_CALLS):
            if before.call(operation.name, arguments).content != after.call(operation.name, arguments).content:
                yield operation.name, arguments


def _involved(before: WorldState, after: WorldState) -> list[_Record]:
    """The records that differ, and those that they refer to, in a fixed order."""
    old = {(change.entity, change.key): change for change in before.diff()}
    new = {(change.entity, change.key): change for change in after.diff()}
    changed = [record for record in sorted(old.keys() | new.keys()) if old.get(record) != new.get(record)]
    found = dict.fromkeys(changed)
    for (entity, key), state in itertools.product(changed, (before, after)):
        fields = state.find(entity, key) or {}
        for spec in before.world.entities[entity].fields.values():
            if spec.type == "reference" and fields.get(spec.name) is not None:
                found[spec.entity, fields[spec.name]] = None
    return list(found)


def _arguments(
    operation: OperationSpec, involved: list[_Record], before: WorldState, after: WorldState
) -> Iterator[dict[str, Any]]:
    """What the tool can be asked about these records: every required argument, or one optional one."""
    values = {item.name: _values(item, involved, before, after) for item in operation.arguments.values()}
    required = [item.name for item in operation.arguments.values() if not item.optional]
    for chosen in itertools.product(*(values[name] for name in required)):
        yield dict(zip(required, chosen, strict=True))
    if not required:
        yield from ({name: value} for name, options in values.items() for value in options)


def _values(argument: ArgumentSpec, involved: list[_Record], before: WorldState, after: WorldState) -> list[Any]:
    keys = [key for entity, key in involved if entity == argument.entity]
    if argument.kind == "key":
        return [key for key in keys if before.find(argument.entity, key) is not None]
    if argument.kind == "value":
        found = (state.find(argument.entity, key) for key in keys for state in (before, after))
        return list(dict.fromkeys(fields[argument.field] for fields in found if fields is not None))
    return []
