"""Arguments that are no JSON object, or not as the tool's schema has them.

The reading is that of the worlds: no NaN, formats are checked, and a string that UTF-8 cannot hold is no argument. Arguments
that a world turned away are found here too, although the dialogue went on.
"""

import json
from functools import lru_cache
from typing import Any, Final, NoReturn

from jsonschema_rs import ValidationError, Validator, validator_for

from rewards.filters.config import FilterConfig
from rewards.filters.finding import Finding, calls
from trajectories.messages import ToolSpec
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["invalid_arguments"]


def invalid_arguments(trajectory: Trajectory, task: Task | None, config: FilterConfig) -> Finding | None:
    """Calls of tools that were not declared are left to `hallucinated_tool`.

    Raises:
        ValueError: a tool that is called has a schema that is none; names the tool.
    """
    declared = {tool.name: tool for tool in trajectory.tools}
    validators: dict[str, Validator] = {}
    for where, call in calls(trajectory):
        if (tool := declared.get(call.name)) is None:
            continue
        if call.name not in validators:
            validators[call.name] = _validator(tool)
        if (problem := _problem(call.arguments, validators[call.name])) is not None:
            return Finding(where, problem, call.arguments)
    return None


def _validator(tool: ToolSpec) -> Validator:
    try:
        return _compiled(json.dumps(dict(tool.inputSchema)))
    except ValidationError as error:
        raise ValueError(f"tool {tool.name}: inputSchema is no JSON Schema: {error.message}") from error


@lru_cache(maxsize=4096)
def _compiled(schema: str) -> Validator:
    """By text: rows that were read from a shard have equal schemas, never the same ones."""
    return validator_for(json.loads(schema), validate_formats=True, offline=True, mask="the value")


def _problem(text: str, validator: Validator) -> str | None:
    try:
        value = _decode(text)
        if type(value) is not dict:
            return f"arguments are {type(value).__name__}, not an object"
        if "\\" in text or not text.isascii():  # else no string in it can be half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
        return None if validator.is_valid(value) else _first_problem(validator, value)
    except UnicodeEncodeError:
        return "arguments hold half of a surrogate pair"
    except (ValueError, RecursionError):
        return "arguments are not JSON"


def _first_problem(validator: Validator, value: dict[str, Any]) -> str:
    error = next(iter(validator.iter_errors(value)))
    where = ".".join(str(part) for part in error.instance_path)
    return f"{where}: {error.message}" if where else error.message


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_decode: Final = json.JSONDecoder(parse_constant=_refuse_constant).decode
