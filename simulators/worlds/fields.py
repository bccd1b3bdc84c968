"""What a record holds: typed fields, each with its range, its JSON Schema and the values that a fresh instance draws.

Money is counted in whole minor units and a quantity in whole units, so that arithmetic is exact; a date is ISO 8601 text,
which sorts as it should.
"""

import datetime
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = [
    "COUNTED", "EntitySpec", "FieldSpec", "FieldType", "base_type", "is_date", "is_numeric", "object_schema",
    "type_schema",
]  # fmt: skip

FieldType = Literal["enum", "text", "integer", "money", "quantity", "boolean", "date", "reference"]
COUNTED: Final[tuple[FieldType, ...]] = ("integer", "money", "quantity")
"""Types whose values are whole numbers."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One typed field of an entity."""

    name: str
    type: FieldType
    values: tuple[str, ...] = ()
    """Of an enum."""
    minimum: int = 0
    maximum: int = 0
    """Of an integer, money or a quantity, both inclusive."""
    earliest: str = ""
    latest: str = ""
    """Of a date, both inclusive."""
    unit: str = ""
    """Of a quantity (``kg``), or the currency of money (``EUR``), which is counted in hundredths of it."""
    max_length: int = 40
    """Of a text, in characters; a text is never empty."""
    entity: str = ""
    """Of a reference: the entity whose key is held."""
    unique: bool = False
    """No two records of the entity hold the same value."""
    nullable: bool = False
    """Whether the field may hold null."""
    volatile: bool = False
    """Nobody's business (a counter of views, a time of change): it counts neither in digests nor in differences."""
    draw: tuple[Any, ...] = ()
    """The values a fresh instance draws from, evenly; empty for the whole range, or any key."""

    @property
    def value_type(self) -> str:
        """The static type of the field's values: ``string``, ``integer``, ``money:<currency>``, ``quantity:<unit>``,
        ``boolean``, ``date`` or ``key:<entity>``, with a ``?`` behind it where null is among them."""
        if self.type == "reference":
            found = f"key:{self.entity}"
        elif self.type in ("money", "quantity"):
            found = f"{self.type}:{self.unit}"
        else:
            found = "string" if self.type in ("enum", "text") else self.type
        return f"{found}?" if self.nullable else found

    def problem(self, value: Any) -> str | None:
        """Why `value` may not be stored in this field, or None when it may. References are checked for form only."""
        if value is None:
            return None if self.nullable else f"{self.name} must not be null"
        if self.type in COUNTED:
            if isinstance(value, bool) or not isinstance(value, int):
                return f"{self.name} must be an integer"
            if not self.minimum <= value <= self.maximum:
                return f"{self.name} must be from {self.minimum} to {self.maximum}"
        elif self.type == "boolean":
            if not isinstance(value, bool):
                return f"{self.name} must be true or false"
        elif not isinstance(value, str):
            return f"{self.name} must be a string"
        elif self.type == "enum" and value not in self.values:
            return f"{self.name} must be one of {', '.join(self.values)}"
        elif self.type == "text" and not 0 < len(value) <= self.max_length:
            return f"{self.name} must have 1 to {self.max_length} characters"
        elif self.type == "date" and not (is_date(value) and self.earliest <= value <= self.latest):
            return f"{self.name} must be a date from {self.earliest} to {self.latest}"
        return None

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the field's values, null aside. That of a reference is its entity's `EntitySpec.key_schema`."""
        if self.type == "enum":
            return {"type": "string", "enum": list(self.values)}
        if self.type in COUNTED:
            bounds = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
            said = {"money": f"in hundredths of {self.unit}", "quantity": f"in {self.unit}"}
            return bounds | ({"description": said[self.type]} if self.type in said else {})
        if self.type == "boolean":
            return {"type": "boolean"}
        if self.type == "date":
            return {"type": "string", "format": "date"}
        return {"type": "string", "minLength": 1, "maxLength": self.max_length}

    def drawn(self, count: int, keys: Mapping[str, Sequence[str]], rng: random.Random) -> list[Any]:
        """The values of so many fresh records.

        Args:
            keys: of the fresh instance, by entity.
        """
        pool = self._pool(keys)
        values = rng.sample(pool, count) if self.unique else [rng.choice(pool) for _ in range(count)]
        if self.type == "date" and not self.draw:
            values = [datetime.date.fromordinal(day).isoformat() for day in values]
        if self.nullable and None not in self.draw:
            values = [None if rng.random() < 0.5 else value for value in values]
        return values

    def available(self, keys: Mapping[str, int]) -> int:
        """How many different values fresh records can draw, given the number of records by entity."""
        if self.type == "reference":
            return keys[self.entity]
        if self.draw:
            return len(set(self.draw)) if len(set(self.draw)) == len(self.draw) else 0
        return len(self._pool({}))

    def _pool(self, keys: Mapping[str, Sequence[str]]) -> Sequence[Any]:
        if self.type == "reference":
            return keys[self.entity]
        if self.draw:
            return self.draw
        if self.type == "date":
            return range(_day(self.earliest), _day(self.latest) + 1)
        return range(self.minimum, self.maximum + 1)


@dataclass(frozen=True, slots=True)
class EntitySpec:
    """A kind of record. Keys are `digits` decimal digits without a leading zero, unique within the entity."""

    name: str
    fields: Mapping[str, FieldSpec]
    count: int
    """Records in a fresh instance."""
    capacity: int
    """Records at most; creating beyond it is a tool error."""
    digits: int = 3

    def key_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^[0-9]{{{self.digits}}}$"}

    def volatile(self) -> frozenset[str]:
        """Names of the volatile fields."""
        return frozenset(name for name, field in self.fields.items() if field.volatile)


def base_type(value_type: str) -> str:
    """The type without null."""
    return value_type.removesuffix("?")


def is_numeric(value_type: str) -> bool:
    """Whether values of this type are whole numbers, null excluded."""
    return value_type.partition(":")[0] in COUNTED and not value_type.endswith("?")


def is_date(text: str) -> bool:
    """Whether a text is a calendar date in the one spelling that sorts: ``2026-02-28``."""
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def type_schema(value_type: str) -> dict[str, Any]:
    """JSON Schema of the values of a static type."""
    plain = base_type(value_type)
    if plain == "null":
        return {"type": "null"}
    name = "integer" if is_numeric(plain) else "boolean" if plain == "boolean" else "string"
    found: dict[str, Any] = {"type": [name, "null"] if value_type.endswith("?") else name}
    return found | ({"format": "date"} if plain == "date" else {})


def object_schema(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """JSON Schema of an object with exactly these properties."""
    found = {name: dict(schema) for name, schema in properties.items()}
    return {"type": "object", "properties": found, "required": list(found), "additionalProperties": False}


def _day(text: str) -> int:
    return datetime.date.fromisoformat(text).toordinal()
