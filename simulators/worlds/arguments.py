"""From what a caller wrote to checked arguments: a JSON object that satisfies the operation's schema, or a refusal.

What passes here is safe to store: numbers are canonical (2.0 is 2) and every string can be written as UTF-8.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from jsonschema_rs import Validator, validator_for

from simulators.worlds.spec import OperationSpec
from simulators.worlds.transaction import Refused
from trajectories.canonical import canonical_value

__all__ = ["argument_checker"]

LONGEST_MESSAGE: Final = 120
"""Characters of a refusal: a policy reads it, and what it wrote may be endless."""


def argument_checker(operation: OperationSpec) -> Callable[[Any], dict[str, Any]]:
    """A function that gives the checked arguments, or raises `Refused` and says what is wrong.

    The function takes the JSON text or the object itself, and never changes what it was given.
    """
    validator = validator_for(dict(operation.inputSchema), validate_formats=True)
    accepts = validator.is_valid

    def check(arguments: Mapping[str, Any] | str) -> dict[str, Any]:
        try:
            value = _decode(arguments) if isinstance(arguments, str) else arguments
            if type(value) is not dict:
                value = _as_object(value)
            if not accepts(value):
                raise Refused(_first_problem(validator, value))
            return {name: _storable(item) for name, item in value.items()}
        except (ValueError, TypeError, RecursionError) as error:
            raise Refused(_shortened(f"arguments are not JSON: {_explain(error)}")) from error

    return check


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Refused("arguments must be a JSON object")
    return dict(value)


def _storable(item: Any) -> Any:
    if type(item) is not str:
        return canonical_value(item)
    if not item.isascii():
        item.encode()  # raises for half of a surrogate pair, which JSON can escape and UTF-8 cannot hold
    return item


def _first_problem(validator: Validator, value: dict[str, Any]) -> str:
    error = next(iter(validator.iter_errors(value)))
    where = ".".join(str(part) for part in error.instance_path)
    return _shortened(f"{where}: {error.message}" if where else error.message)


def _explain(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at {error.pos}"
    if isinstance(error, UnicodeEncodeError):
        return "a string holds half of a surrogate pair"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."
