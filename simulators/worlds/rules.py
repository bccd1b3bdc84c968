"""Reads the rules for the agent from a document.

    - {id, text, operations, entity, forbids_when: condition, reason}
    - {id, text, operations, entity, confirm_when: condition or always}

Both may have `records`, as operations do: ``{customer: {entity: customer, key: {field: order.customer}}}``.
"""

from collections.abc import Mapping
from typing import Final

from simulators.worlds.document import Section
from simulators.worlds.expressions import Condition, FieldOf
from simulators.worlds.fields import EntitySpec
from simulators.worlds.grammar import Scope, read_condition, read_typed
from simulators.worlds.policies import Binding, Demand, PolicySpec
from simulators.worlds.spec import ArgumentSpec, OperationSpec

__all__ = ["read_policies", "read_reasons"]

Entities = Mapping[str, EntitySpec]
Operations = Mapping[str, OperationSpec]
ALWAYS: Final = "always"


def read_reasons(section: Section) -> tuple[str, ...]:
    """The reasons of all rules, each once, in the order of the document."""
    found = (policy.child("reason") for policy in section.elements() if "reason" in policy.mapping())
    reasons = tuple(dict.fromkeys(reason.name() for reason in found))
    return reasons or section.fail("a world has at least one policy that forbids, and each such names its reason")


def read_policies(
    section: Section, entities: Entities, operations: Operations, decline: OperationSpec
) -> tuple[PolicySpec, ...]:
    policies = tuple(_read_policy(part, entities, operations, decline) for part in section.elements())
    seen: set[str] = set()
    for policy, part in zip(policies, section.elements(), strict=True):
        if policy.id in seen:
            part.child("id").fail(f"policy {policy.id} is already given above")
        seen.add(policy.id)
    return policies


def _read_policy(section: Section, entities: Entities, operations: Operations, decline: OperationSpec) -> PolicySpec:
    demands: Demand = "confirmation" if "confirm_when" in section.mapping() else "refusal"
    special = ("forbids_when", "reason") if demands == "refusal" else ("confirm_when",)
    section.check_keys(("id", "text", "operations", "entity", *special), ("records",))
    entity = section.child("entity").one_of(list(entities), "entity")
    if entity != decline.entity:
        section.child("entity").fail(f"must be {decline.entity}, which {decline.name} declines requests about")
    governed = _read_operations(section.child("operations"), operations, entity)
    scope = Scope(entities, _common_arguments(governed), {entity: entities[entity]}, keys_known=False)
    others = section.get("records")
    records = tuple(_read_record(name, part, scope) for name, part in (others.named() if others else ()))
    return PolicySpec(
        id=section.child("id").name(),
        text=section.child("text").text(),
        operations=tuple(operation.name for operation in governed),
        entity=entity,
        when=_read_when(section.child(special[0]), scope),
        reason=section.child("reason").name() if demands == "refusal" else "",
        demands=demands,
        records=records,
    )


def _read_operations(section: Section, operations: Operations, entity: str) -> list[OperationSpec]:
    governed = []
    for part in section.elements():
        operation = operations[part.one_of(list(operations), "operation")]
        if not operation.changes_state or operation.subject_argument is None or operation.entity != entity:
            part.fail(f"{operation.name} does not change a given {entity}, so no rule about one can govern it")
        governed.append(operation)
    return governed or section.fail("needs at least one operation")


def _common_arguments(operations: list[OperationSpec]) -> dict[str, ArgumentSpec]:
    """What all of them take, with one type: only that can a rule about them speak of."""
    first, *others = operations
    return {
        name: argument
        for name, argument in first.arguments.items()
        if all(name in other.arguments and other.arguments[name].value_type == argument.value_type for other in others)
    }


def _read_record(name: str, section: Section, scope: Scope) -> Binding:
    section.check_keys(("entity", "key"))
    if name in scope.records:
        section.fail(f"{name} is already bound; choose another name")
    other = section.child("entity").one_of(list(scope.entities), "entity")
    key = read_typed(section.child("key"), scope, f"key:{other}")
    if not isinstance(key, FieldOf):
        section.child("key").fail("must be a field that refers to the record, so that an agent can follow it")
    scope.records[name] = scope.entities[other]
    return Binding(name, other, key)


def _read_when(section: Section, scope: Scope) -> Condition | None:
    return None if section.value == ALWAYS else read_condition(section, scope)
