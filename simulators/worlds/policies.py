"""Rules for the agent, which no tool enforces: what it must decline, and what it must have confirmed first.

A rule looks at the record that a call is about, at records that this one refers to (so that it may depend on whose
order it is), and at the call's arguments (so that it may set a limit). Dates are compared with a day that the world's
instructions name, since a world has no clock.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from simulators.worlds.expressions import Condition, Expression, compile_expression, holds, settled

__all__ = ["Binding", "Demand", "PolicySpec", "Records"]

Demand = Literal["refusal", "confirmation"]


@dataclass(frozen=True, slots=True)
class Binding:
    """A record that an operation works on, or a rule looks at, by name: the one of `entity` whose key `key` gives."""

    name: str
    entity: str
    key: Expression


class Records(Protocol):
    """What a rule is judged on; a `WorldState`, say."""

    def find(self, entity: str, key: str) -> Mapping[str, Any] | None:
        """The fields of a record; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A rule about calls of `operations`, each of which is about a record of `entity`."""

    id: str
    text: str
    operations: tuple[str, ...]
    entity: str
    when: Condition | None
    """The rule holds of calls for which this is true; None for all."""
    reason: str
    """What a refusal under this rule names; empty where no refusal is demanded."""
    demands: Demand = "refusal"
    """`refusal`: the call must not be made. `confirmation`: the user must have said yes to it."""
    records: tuple[Binding, ...] = ()
    """What the condition may look at besides the record itself; keys are fields of it, or of those before."""

    def applies(self, records: Records, key: str, arguments: Mapping[str, Any]) -> bool:
        """Whether the rule holds of a call with these arguments about the record with this key.

        Raises:
            KeyError: for a record that does not exist.
        """
        return self.when is None or holds(self.when, _Frame(self, records, key, arguments))

    def settled(
        self, records: Records, key: str, arguments: Mapping[str, Any], unknown: Collection[str]
    ) -> bool | None:
        """As `applies`, for somebody who has not seen the records that are bound to `unknown`; None where these decide."""
        return self.when is None or settled(self.when, _Frame(self, records, key, arguments), unknown)


class _Frame:
    __slots__ = ("_fields", "arguments")

    def __init__(self, policy: PolicySpec, records: Records, key: str, arguments: Mapping[str, Any]) -> None:
        self.arguments = arguments
        self._fields: dict[str, Mapping[str, Any]] = {}
        self._fields[policy.entity] = _existing(records, policy.entity, key)
        for binding in policy.records:
            other = compile_expression(binding.key)(self)
            self._fields[binding.name] = _existing(records, binding.entity, other)

    def fields(self, record: str) -> Mapping[str, Any]:
        return self._fields[record]

    def key(self, record: str) -> str:
        raise LookupError(f"a rule sees the fields of {record}, not its key")


def _existing(records: Records, entity: str, key: str) -> Mapping[str, Any]:
    found = records.find(entity, key)
    if found is None:
        raise KeyError(f"there is no {entity} {key}")
    return found
