"""One call of each tool that does what the tool is there for: found by trying, kept as the tool's example."""

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

from simulators.worlds import ArgumentSpec, OperationSpec, WorldSpec, WorldState

__all__ = ["example_call", "tries"]

INSTANCES: Final = 16
TRIES: Final = 100
"""On each instance."""


def example_call(world: WorldSpec, tool: str, rng: random.Random) -> tuple[int, dict[str, Any]] | None:
    """Seed of an instance, and arguments that the tool answers there without an error; a tool that changes things must
    change something. None where no try succeeds."""
    operation = world.operations[tool]
    for seed in range(INSTANCES):
        start = world.instantiate(seed)
        for arguments in tries(start, operation, rng, TRIES):
            state = start.fork()
            if not state.call(tool, arguments).isError and bool(state.diff()) == operation.changes_state:
                return seed, arguments
    return None


def tries(
    state: WorldState, operation: OperationSpec, rng: random.Random, count: int
) -> Iterator[dict[str, Any]]:
    """So many draws of arguments that the operation's schema accepts; most of them are about records that exist."""
    for _ in range(count):
        subject = rng.choice(list(state.keys(operation.entity))) if operation.subject_argument else None
        yield {
            name: _value(state, operation, argument, subject, rng)
            for name, argument in operation.arguments.items()
            if not argument.optional
        }


def _value(
    state: WorldState, operation: OperationSpec, argument: ArgumentSpec, subject: str | None, rng: random.Random
) -> Any:
    if argument.name == operation.subject_argument:
        return [subject] if argument.kind == "keys" else subject
    if argument.kind == "key":
        return rng.choice(list(state.keys(argument.entity)))
    if argument.kind == "value":
        return _field_value(state, operation, argument, subject, rng)
    if "enum" in argument.schema:
        return rng.choice(list(argument.schema["enum"]))
    if argument.schema["type"] == "integer":
        return rng.randint(argument.schema["minimum"], argument.schema["maximum"])
    return rng.random() < 0.5 if argument.schema["type"] == "boolean" else "note"


def _field_value(
    state: WorldState, operation: OperationSpec, argument: ArgumentSpec, subject: str | None, rng: random.Random
) -> Any:
    """One that is there, one that could be, or what the subject holds now."""
    field = state.world.entities[argument.entity].fields[argument.field]
    held: Mapping[str, Any] = (state.find(operation.entity, subject) if subject is not None else None) or {}
    if argument.entity == operation.entity and held.get(argument.field) is not None and rng.random() < 0.4:
        return held[argument.field]
    there = [fields[argument.field] for fields in state.records(argument.entity).values()]
    # What is looked for is better there; what is written may well be new.
    could_be = () if operation.kind in ("search", "list", "compute") else field.draw
    pool = [value for value in (*there, *could_be) if value is not None]
    if field.type == "boolean":
        pool = [False, True]
    return rng.choice(pool) if pool else field.minimum
