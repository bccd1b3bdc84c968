"""A JSON Schema as a function that says what is wrong with a value, in words that a model or a policy can read.

Nothing is fetched: a schema that refers to a file or an address is refused. Values are bounded in depth, so that whatever
passes can be written, also inside of something else.
"""

from collections.abc import Mapping
from typing import Any, Final

from jsonschema_rs import ValidationError, validator_for

from simulators.worlds.arguments import LONGEST_MESSAGE

__all__ = ["SchemaCheck"]

_DEEPEST: Final = 64
"""Levels of objects and arrays within each other."""


class SchemaCheck:
    """A compiled schema.

    Raises:
        ValueError: it is no JSON Schema; the text begins with the place in it, where there is one.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            # Masked: a message that quotes a long value would be cut before it comes to what is wrong with it.
            self._validator = validator_for(dict(schema), validate_formats=True, offline=True, mask="the value")
        except ValidationError as error:
            raise ValueError(_placed(error)) from error
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, the first thing only; None when it satisfies the schema."""
        if _is_deep(value):
            return f"nested deeper than {_DEEPEST} levels"
        if self._validator.is_valid(value):
            return None
        text = _placed(next(iter(self._validator.iter_errors(value))))
        return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."


def _placed(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.instance_path)
    return f"{where}: {error.message}" if where else error.message


def _is_deep(value: Any) -> bool:
    layer = [value]
    for _ in range(_DEEPEST):
        layer = [child for item in layer for child in _children(item)]
    return any(isinstance(item, dict | list) for item in layer)


def _children(item: Any) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item if isinstance(item, list) else []
