"""What a world's policies govern, and how a record is put on either side of a policy.

A request is about one record. Whether it must be granted is decided by that record's fields alone, so a task is
balanced by setting those fields (initialise) after everything that the agent is told beforehand was drawn: neither
wording nor key can give it away.
"""

import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simulators.worlds import OperationSpec, PolicySpec, WorldSpec, WorldState
from simulators.worlds.expressions import FieldOf, walk
from simulators.worlds.fields import COUNTED
from simulators.worlds.spec import ArgumentSpec, FieldSpec
from trajectories.tasks import GoldCall, RecordPatch

__all__ = ["GovernedOperation", "draw_argument", "governed_operations", "policy_field_values", "reading_of"]

MOST_COMBINATIONS = 64
"""Of values of the fields that a policy looks at; a random choice of them where there are more."""


@dataclass(frozen=True, slots=True)
class Look:
    """A further reading that a decision needs: of the record that `policy` binds to `name`."""

    policy: PolicySpec
    name: str
    read: OperationSpec
    argument: str


@dataclass(frozen=True, slots=True)
class GovernedOperation:
    """An operation that some policy restricts, and the operations to read its subject and to decline it."""

    operation: OperationSpec
    policies: tuple[PolicySpec, ...]
    """Those that demand a refusal."""
    confirmations: tuple[PolicySpec, ...]
    """Those that demand a confirmation."""
    entity: str
    """Of the subject: the record whose fields decide."""
    subject: str
    """The operation's argument that holds the subject's key."""
    read: OperationSpec
    read_subject: str
    further: tuple[Look, ...]
    """Of records that the subject refers to, where its own reading does not show what policies look at."""
    decline: OperationSpec
    decline_subject: str

    @property
    def looks_at_fields(self) -> bool:
        """Whether some record's field decides; otherwise only the call's own arguments do, or nothing."""
        return any(_looked_at(policy) for policy in (*self.policies, *self.confirmations))

    def reason_against(self, state: WorldState, key: str, arguments: Mapping[str, Any]) -> str | None:
        """The reason to decline this call about the subject `key`; None when the act is allowed.

        Raises:
            LookupError: when policies with different reasons forbid it, so that no single answer is right.
        """
        reasons = {policy.reason for policy in self.policies if policy.applies(state, key, arguments)}
        if len(reasons) > 1:
            raise LookupError(f"{self.operation.name}: several reasons forbid it: {', '.join(sorted(reasons))}")
        return next(iter(reasons), None)

    def wants_confirmation(self, state: WorldState, key: str, arguments: Mapping[str, Any]) -> bool:
        return any(policy.applies(state, key, arguments) for policy in self.confirmations)

    def is_free(self, state: WorldState, key: str, arguments: Mapping[str, Any]) -> bool:
        """Whether the reading of the subject alone shows that no rule is against this call, and none wants it confirmed."""
        if state.find(self.entity, key) is None:
            return False
        rules = (*self.policies, *self.confirmations)
        return not (any(rule.applies(state, key, arguments) for rule in rules) or self.looks(state, key, arguments))

    def looks(self, state: WorldState, key: str, arguments: Mapping[str, Any]) -> tuple[GoldCall, ...]:
        """The readings beyond the subject's own that this call hangs on; none where the subject and the call settle it."""
        known: dict[str, bool | None] = {}
        for policy in (*self.policies, *self.confirmations):
            hidden = [look.name for look in self.further if look.policy is policy]
            known[policy.id] = policy.settled(state, key, arguments, hidden)
        if any(known[policy.id] for policy in self.policies):
            return ()  # it is to be declined, whatever else there is to know
        open_looks = [look for look in self.further if known[look.policy.id] is None]
        keys = ((look, _bound(state, look.policy, key)[look.name][1]) for look in open_looks)
        calls = [GoldCall(look.read.name, {look.argument: other}) for look, other in keys]
        return tuple(call for index, call in enumerate(calls) if call not in calls[:index])


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
    state: WorldState, governed: GovernedOperation, key: str, rng: random.Random
) -> list[tuple[RecordPatch, ...]]:
    """Assignments, in random order, to the fields that the operation's policies look at, of the subject `key` and of
    the records that it refers to.

    A number contributes some values of its range, any other field all the values that fresh instances draw.
    """
    places: set[tuple[str, str, str]] = set()
    for policy in (*governed.policies, *governed.confirmations):
        bound = _bound(state, policy, key)
        places |= {(*bound[record], field) for record, field in _looked_at(policy)}
    # The subject first: with fields of its own alone, draws are what they were before rules could look further.
    ordered = sorted(places, key=lambda place: (place[0] != governed.entity, place))
    fields = [state.world.entities[entity].fields[field] for entity, _, field in ordered]
    pools = [
        _values_of(field, (state.find(entity, other) or {})[field.name], rng)
        for field, (entity, other, _) in zip(fields, ordered, strict=True)
    ]
    combinations = list(itertools.product(*pools))
    chosen = rng.sample(combinations, min(len(combinations), MOST_COMBINATIONS))
    return [_patches(zip(ordered, values, strict=True)) for values in chosen]


def _patches(values: Iterable[tuple[tuple[str, str, str], Any]]) -> tuple[RecordPatch, ...]:
    fields: dict[tuple[str, str], dict[str, Any]] = {}
    for (entity, key, field), value in values:
        fields.setdefault((entity, key), {})[field] = value
    return tuple(RecordPatch(entity, key, changed) for (entity, key), changed in fields.items())


def _looked_at(policy: PolicySpec) -> set[tuple[str, str]]:
    """Record and field, by their names in the policy."""
    nodes = walk(policy.when) if policy.when is not None else ()
    return {(node.record, node.field) for node in nodes if isinstance(node, FieldOf)}


def _bound(state: WorldState, policy: PolicySpec, key: str) -> dict[str, tuple[str, str]]:
    """Entity and key of each record that a policy looks at, by its name there."""
    found = {policy.entity: (policy.entity, key)}
    for binding in policy.records:
        assert isinstance(binding.key, FieldOf)
        record = state.find(*found[binding.key.record]) or {}
        found[binding.name] = (binding.entity, record[binding.key.field])
    return found


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
    rules = world.policies_on(operation.name)
    entities = {policy.entity for policy in rules}
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
    further = _further(world, rules, reading[0])
    if further is None:
        return None
    refusals = tuple(policy for policy in rules if policy.demands == "refusal")
    confirmations = tuple(policy for policy in rules if policy.demands == "confirmation")
    return GovernedOperation(
        operation, refusals, confirmations, entity, subject, *reading, further, decline, decline_subject
    )


def _further(world: WorldSpec, rules: Iterable[PolicySpec], read: OperationSpec) -> tuple[Look, ...] | None:
    """The readings that show what rules look at and `read` does not; None where an agent has no way to learn it."""
    shown = set(read.returns.values())
    there = {binding.key: binding.name for binding in read.records}
    looks = []
    for policy in rules:
        names = {policy.entity: read.entity}  # of the records of the rule that `read` shows, under its own names
        bindings = {binding.name: binding for binding in policy.records}
        names |= {name: there[binding.key] for name, binding in bindings.items() if binding.key in there}
        for record, field in sorted(_looked_at(policy)):
            if record in names and FieldOf(names[record], field) in shown:
                continue
            if record == policy.entity:
                return None
            binding = bindings[record]
            reading = reading_of(world, binding.entity)
            if reading is None or binding.key not in shown:
                return None
            looks.append(Look(policy, record, *reading))
    return tuple(look for index, look in enumerate(looks) if look not in looks[:index])


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
    if field.type in COUNTED:
        span = range(field.minimum, field.maximum + 1)
        return sorted(rng.sample(span, min(8, len(span))))
    if field.type == "date":
        return sorted(set(field.drawn(8, {}, rng)) - {None})
    if field.type == "boolean":
        return [False, True]
    return list(field.values) or [current]
