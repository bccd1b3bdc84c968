"""A loaded operation as a function: arguments in, result and pending writes out.

Everything that depends on the spec alone (schema validators, conditions, effects) is prepared once per world and shared
by all its states.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from simulators.worlds.arguments import argument_checker
from simulators.worlds.effects import compile_effect
from simulators.worlds.expressions import compile_condition, compile_named
from simulators.worlds.searching import compile_bindings, compile_search
from simulators.worlds.spec import OperationSpec, WorldSpec
from simulators.worlds.transaction import Records, Refused, Transaction

__all__ = ["Executor", "executor_of", "unknown_tool"]

Operation = Callable[[Records, Any], tuple[dict[str, Any], Transaction]]


class Executor:
    """Runs the operations of one world."""

    __slots__ = ("_operations",)

    def __init__(self, world: WorldSpec) -> None:
        self._operations = {name: _compile(operation, world) for name, operation in world.operations.items()}

    def run(self, records: Records, tool: str, arguments: Any) -> tuple[dict[str, Any], Transaction]:
        """The result of a call and the writes to commit.

        Raises:
            Refused: when the call cannot be done: unknown tool, bad arguments, missing record, failed precondition.
        """
        operation = self._operations.get(tool) if isinstance(tool, str) else None
        if operation is None:
            raise Refused(unknown_tool(str(tool), self._operations))
        return operation(records, arguments)


def unknown_tool(tool: str, known: Iterable[str]) -> str:
    """What the caller of a tool that does not exist is told."""
    name = tool[:40]
    close = get_close_matches(name, list(known), n=1)
    return f"no tool {name}; did you mean {close[0]}?" if close else f"no tool {name}"


@lru_cache(maxsize=256)
def executor_of(world: WorldSpec) -> Executor:
    """The executor of a world; one per content of the spec."""
    return Executor(world)


def _compile(operation: OperationSpec, world: WorldSpec) -> Operation:
    check, entities = argument_checker(operation), world.entities
    if operation.kind in ("search", "list", "compute"):
        search = compile_search(operation)

        def run_search(records: Records, arguments: Any) -> tuple[dict[str, Any], Transaction]:
            transaction = Transaction(records, entities, check(arguments))
            return search(records, transaction), transaction

        return run_search

    bindings = compile_bindings(operation.records)
    requirements = tuple((compile_condition(need.condition), need.error) for need in operation.require)
    effects = tuple(compile_effect(effect) for effect in operation.effects)
    returns = compile_named(operation.returns)

    def perform(transaction: Transaction) -> dict[str, Any]:
        for name, entity, key in bindings:
            transaction.bind(name, entity, key(transaction))
        for condition, error in requirements:
            if not condition(transaction):
                raise Refused(error)
        for effect in effects:
            effect(transaction)
        return {name: value(transaction) for name, value in returns}

    def run(records: Records, arguments: Any) -> tuple[dict[str, Any], Transaction]:
        transaction = Transaction(records, entities, check(arguments))
        return perform(transaction), transaction

    if operation.kind != "batch":
        return run
    subject, several = operation.entity, operation.subject_argument or ""

    def run_batch(records: Records, arguments: Any) -> tuple[dict[str, Any], Transaction]:
        """One record after the other, each seeing what was done before; what is refused for one is refused for all."""
        transaction = Transaction(records, entities, check(arguments))
        done = []
        for key in transaction.arguments[several]:
            transaction.bind(subject, subject, key)
            try:
                done.append(perform(transaction))
            except Refused as refusal:
                raise Refused(f"{subject} {key}: {refusal}") from refusal
        return {"done": done}, transaction

    return run_batch
