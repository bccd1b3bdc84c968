"""What a world is, as plain frozen data: entities with typed fields, operations on them, and rules for the agent.

A spec holds no code. It pickles, it compares by content, and specs with one fingerprint behave alike for every seed.
Preconditions are enforced by the tools; policies are not: respecting them is the agent's part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from simulators.worlds.aggregates import Sort, Total
from simulators.worlds.effects import Effect
from simulators.worlds.expressions import Condition, Expression
from simulators.worlds.fields import EntitySpec, FieldSpec
from simulators.worlds.invariants import InvariantSpec
from simulators.worlds.policies import Binding, PolicySpec
from trajectories.canonical import digest
from trajectories.messages import ToolSpec
from trajectories.tasks import RecordPatch

if TYPE_CHECKING:
    from simulators.worlds.state import WorldState

__all__ = [
    "ArgumentSpec", "Binding", "EntitySpec", "FieldSpec", "Kind", "OperationSpec", "PolicySpec", "Requirement",
    "WorldSpec",
]  # fmt: skip

Kind = Literal[
    "read", "search", "list", "compute", "create", "reserve", "update", "transition", "transfer", "notify", "delete",
    "batch", "decline",
]  # fmt: skip
"""What an operation does to its entity. `decline` changes nothing: the call is an explicit refusal with a reason."""
CHANGING: Final[tuple[Kind, ...]] = (
    "create", "reserve", "update", "transition", "transfer", "notify", "delete", "batch",
)  # fmt: skip
"""Kinds that change state."""


@dataclass(frozen=True, slots=True)
class ArgumentSpec:
    """One argument of an operation."""

    name: str
    kind: Literal["key", "keys", "value", "reason", "free"]
    """`key`: the key of a record of `entity`. `keys`: a list of them, each once (batches only). `value`: a value of
    `entity`.`field`. `reason`: a policy's reason (declining only). `free`: whatever its schema says."""
    schema: Mapping[str, Any]
    entity: str = ""
    field: str = ""
    type: str = ""
    """Of a `value`: the static type of the field."""
    optional: bool = False
    """Only in searches, lists and computations: a condition that uses an absent argument is satisfied."""

    @property
    def value_type(self) -> str:
        if self.kind == "key":
            return f"key:{self.entity}"
        return self.type or str(self.schema.get("type", "string"))


@dataclass(frozen=True, slots=True)
class Requirement:
    """A precondition that the tool enforces, and what the caller is told when it does not hold."""

    condition: Condition
    error: str


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """One tool, as data.

    Order of a call: arguments are checked, `records` are looked up, `require` is checked, `effects` apply one after
    another (each sees those before it), and `returns` is read from the result. A problem anywhere undoes everything.
    """

    name: str
    kind: Kind
    entity: str
    description: str
    arguments: Mapping[str, ArgumentSpec]
    inputSchema: Mapping[str, Any]
    outputSchema: Mapping[str, Any]
    """Of results that are no error."""
    annotations: Mapping[str, Any]
    subject_argument: str | None = None
    """The argument with the key (in a batch, the keys) of the record that the operation is about; None for those that
    look at many records, and for creations."""
    records: tuple[Binding, ...] = ()
    """The subject first, under its entity's name; candidates and the records of a batch, which are bound one after the
    other, are not among them."""
    match: tuple[Condition, ...] = ()
    """Of a search, a list or a computation: all must hold for a hit."""
    limit: int = 0
    """Of a search: hits at most, in the order of their keys."""
    page_size: int = 0
    """Of a list: records on a page."""
    sort: Sort | None = None
    """Of a list: its order; None for that of keys."""
    totals: Mapping[str, Total] = field(default_factory=dict)
    """Of a computation."""
    require: tuple[Requirement, ...] = ()
    effects: tuple[Effect, ...] = ()
    returns: Mapping[str, Expression] = field(default_factory=dict)
    """Of the result; of each record, where there are many."""

    @property
    def changes_state(self) -> bool:
        return self.kind in CHANGING

    def tool_spec(self) -> ToolSpec:
        return ToolSpec(
            name=self.name,
            description=self.description,
            inputSchema=self.inputSchema,
            outputSchema=self.outputSchema,
            annotations=self.annotations,
        )


@dataclass(frozen=True)
class WorldSpec:
    """A whole world. Made by `simulators.worlds.load` or `simulators.worlds.parse`, which check it."""

    name: str
    title: str
    instructions: str
    """The agent's system prompt, policy included."""
    entities: Mapping[str, EntitySpec]
    operations: Mapping[str, OperationSpec]
    policies: tuple[PolicySpec, ...]
    invariants: tuple[InvariantSpec, ...]
    source: Mapping[str, Any] = field(repr=False)
    """The document the spec was read from, as JSON values; everything above follows from it."""

    @cached_property
    def _fingerprint(self) -> str:
        return digest(dict(self.source))

    def fingerprint(self) -> str:
        """Digest of the whole spec."""
        return self._fingerprint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorldSpec) and self._fingerprint == other._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """The tools as MCP describes them, in the order of the document."""
        return tuple(operation.tool_spec() for operation in self.operations.values())

    def instantiate(self, seed: int, patches: tuple[RecordPatch, ...] = ()) -> "WorldState":
        """The state of a fresh instance: a function of spec, seed and patches only.

        Args:
            seed: of the instance.
            patches: fields of existing records that are set before the episode starts; `diff` does not show them.

        Raises:
            ValueError: for a patch with an unknown entity, key or field, or a value that the field may not hold.
        """
        from simulators.worlds.state import WorldState

        return WorldState.fresh(self, seed, patches)

    @property
    def decline_operation(self) -> OperationSpec:
        """The world's one explicit refusal."""
        return next(operation for operation in self.operations.values() if operation.kind == "decline")

    def operations_of(self, entity: str, *kinds: Kind) -> tuple[OperationSpec, ...]:
        """The operations on `entity` of these kinds, in the order of the document."""
        return tuple(item for item in self.operations.values() if item.entity == entity and item.kind in kinds)

    def policies_on(self, operation: str) -> tuple[PolicySpec, ...]:
        """The rules that govern an operation."""
        return tuple(policy for policy in self.policies if operation in policy.operations)
