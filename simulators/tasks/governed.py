"""What a world's policies govern, and how a record is put on either side of a policy.

A request is about one record. Whether it must be granted is decided by that record's fields alone, so a task is
balanced by setting those fields (initialise) after everything that the agent is told beforehand was drawn: neither
wording nor key can give it away.
"""

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simulators.worlds import OperationSpec, PolicySpec, WorldSpec
from simulators.worlds.expressions import FieldOf, walk
from simulators.worlds.spec import ArgumentSpec, FieldSpec

__all__ = ["GovernedOperation", "draw_argument", "governed_operations", "policy_field_values", "reading_of"]

MOST_COMBINATIONS = 64
"""Of values of the fields that a policy looks at; a random choice of them where there are more."""


@dataclass(frozen=True, slots=True)
class GovernedOperation:
    """An operation that some policy restricts, and the operations to read its subject and to decline it."""

    operation: OperationSpec
    policies: tuple[PolicySpec, ...]
    entity: str
    """Of the subject: the record whose fields decide."""
    subject: str
    """The operation's argument that holds the subject's key."""
    read: OperationSpec
    read_subject: str
    decline: OperationSpec
    decline_subject: str

    def reason_against(self, record: Mapping[str, Any]) -> str | None:
        """The reason to decline for a record with these fields; None when the act is allowed.

        Raises:
            LookupError: when policies with different reasons forbid it, so that no single answer is right.
        """
        reasons = {policy.reason for policy in self.policies if policy.forbids(record)}
        if len(reasons) > 1:
            raise LookupError(f"{self.operation.name}: several reasons forbid it: {', '.join(sorted(reasons))}")
        return next(iter(reasons), None)


@lru_cache(maxsize=64)
def governed_operations(world: WorldSpec) -> tuple[GovernedOperation, ...]:
    """Every operation of `world` that a policy restricts and that an agent can look up and decline.

    Raises:
        ValueError: when there is none; such a world has nothing to decide.
    """
    found = tuple(item for operation in world.operations.values() if (item := _governed(world, operation)) is not None)
    if not found:
        raise ValueError(
            f"world {world.name}: no operation that changes state has a policy, a reading and a way to decline"
        )
    return found


def policy_field_values(
    world: WorldSpec, governed: GovernedOperation, record: Mapping[str, Any], rng: random.Random
) -> list[dict[str, Any]]:
    """Assignments, in random order, to the fields that the operation's policies look at.

    An integer field contributes some values of its range, any other field all the values that fresh instances draw.
    """
    fields = world.entities[governed.entity].fields
    nodes = (node for policy in governed.policies for node in walk(policy.forbids_when))
    names = sorted({node.field for node in nodes if isinstance(node, FieldOf)})
    pools = [_values_of(fields[name], record[name], rng) for name in names]
    combinations = [dict(zip(names, values, strict=True)) for values in itertools.product(*pools)]
    return rng.sample(combinations, min(len(combinations), MOST_COMBINATIONS))


def draw_argument(world: WorldSpec, argument: ArgumentSpec, keys: Mapping[str, list[str]], rng: random.Random) -> Any:
    """A value for an argument that is not the subject.

    Raises:
        LookupError: when the schema alone does not say what to write.
    """
    if argument.kind == "key" and keys[argument.entity]:
        return rng.choice(keys[argument.entity])
    if argument.kind == "value":
        field = world.entities[argument.entity].fields[argument.field]
        if field.type == "reference":
            return rng.choice(keys[field.entity])
        return rng.choice(_values_of(field, None, rng))
    if "enum" in argument.schema:
        return rng.choice(argument.schema["enum"])
    if argument.schema.get("type") == "integer" and "minimum" in argument.schema:
        low = argument.schema["minimum"]
        return rng.randint(low, min(argument.schema.get("maximum", low + 9), low + 9))
    if argument.schema.get("type") == "boolean":
        return rng.random() < 0.5
    raise LookupError(f"world {world.name}: nothing to draw argument {argument.name} from")


def _governed(world: WorldSpec, operation: OperationSpec) -> GovernedOperation | None:
    policies = world.policies_on(operation.name)
    entities = {policy.entity for policy in policies}
    if not operation.changes_state or len(entities) != 1:
        return None
    entity = entities.pop()
    subject = operation.subject_argument if operation.entity == entity else None
    subject = subject or _key_argument(operation, entity)
    decline = world.decline_operation
    decline_subject = _key_argument(decline, entity) or _free_argument(decline)
    reading = reading_of(world, entity)
    if subject is None or decline_subject is None or reading is None:
        return None
    return GovernedOperation(operation, policies, entity, subject, *reading, decline, decline_subject)


def reading_of(world: WorldSpec, entity: str) -> tuple[OperationSpec, str] | None:
    """The operation that reads one record of `entity`, and its argument for the key."""
    for operation in world.operations_of(entity, "read"):
        argument = operation.subject_argument or _key_argument(operation, entity)
        if argument is not None and all(
            item.optional or item.name == argument for item in operation.arguments.values()
        ):
            return operation, argument
    return None


def _key_argument(operation: OperationSpec, entity: str) -> str | None:
    named = (item.name for item in operation.arguments.values() if item.kind == "key" and item.entity == entity)
    return next(named, None)


def _free_argument(operation: OperationSpec) -> str | None:
    return next((item.name for item in operation.arguments.values() if item.kind == "free"), None)


def _values_of(field: FieldSpec, current: Any, rng: random.Random) -> list[Any]:
    if field.draw:
        return list(field.draw)
    if field.type == "integer":
        span = range(field.minimum, field.maximum + 1)
        return sorted(rng.sample(span, min(8, len(span))))
    if field.type == "boolean":
        return [False, True]
    return list(field.values) or [current]
