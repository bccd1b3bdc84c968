"""Random tool calls: most of them fit the world as it is, some do not, some are not even JSON."""

import json
from typing import Any

from hypothesis import strategies as st

from simulators.worlds import OperationSpec, WorldSpec, WorldState, load, names
from trajectories.canonical import canonical_json

HOSTILE = (
    "", "{", "[]", "null", "7", '"x"', "{}", '{"order_id":NaN}', '{"a":1e999}', "[" * 5000, '{"a":' * 5000,
    '{"x":"\\ud800"}', '{"order_id":' + "9" * 5000 + "}", '{"order_id":"１２３"}', '{"order_id":["123"]}',
)  # fmt: skip

worlds = st.sampled_from(names()).map(load)
seeds = st.integers(0, 20)
plans = st.lists(st.integers(0, 2**32 - 1), max_size=25)
"""Each number becomes one call when the state it meets is known."""


def content(state: WorldState) -> str:
    """The whole canonical content, read record by record."""
    return canonical_json({entity: state.records(entity) for entity in state.world.entities})


def make_call(state: WorldState, number: int) -> tuple[str, dict[str, Any] | str]:
    """The call that `number` stands for in this state."""
    number, choice = divmod(number, 16)
    operations = list(state.world.operations.values())
    number, index = divmod(number, len(operations))
    operation = operations[index]
    if choice == 0:
        return operation.name, HOSTILE[number % len(HOSTILE)]
    if choice == 1:
        return operation.name[:-1], {}
    arguments: dict[str, Any] = {}
    for argument in operation.arguments.values():
        options = _options(state, operation, argument.name)
        number, index = divmod(number, len(options))
        arguments[argument.name] = options[index]
    if choice == 2:
        arguments.popitem()
    if choice == 3:
        arguments["more"] = 1
    return operation.name, json.dumps(arguments) if choice % 2 else arguments


def _options(state: WorldState, operation: OperationSpec, name: str) -> list[Any]:
    argument = operation.arguments[name]
    if argument.kind == "key":
        return [*state.records(argument.entity), "000"]
    if argument.kind == "keys":
        keys = list(state.records(argument.entity))
        return [*([key] for key in keys), keys[:2], keys[:9], [*keys[:1], "000"], keys[:1] * 2, []]
    if "enum" in argument.schema:
        return list(argument.schema["enum"])
    if argument.schema["type"] == "integer":
        low, high = argument.schema["minimum"], argument.schema["maximum"]
        return [*range(low - 1, high + 1)] if high - low < 20 else [low - 1, low, low + 1, 25, 25.0, high, float(high), True]
    if argument.kind == "free":
        return ["Hello", "", "x" * 50]
    return [fields[argument.field] for fields in state.records(argument.entity).values()] + [""]


def play(world: WorldSpec, seed: int, plan: list[int]) -> WorldState:
    """The state after a plan, from a fresh instance."""
    state = world.instantiate(seed)
    for number in plan:
        state.call(*make_call(state, number))
    return state
