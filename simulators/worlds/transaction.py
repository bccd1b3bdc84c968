"""One call's view of the world: what it bound, what it has written so far, and the world's rules on writing.

Writes stay here until the state commits them, so a refused call leaves nothing behind. The rules that hold for every
committed state: each field has its type and range, unique fields are unique, references lead to records that exist, and
an entity has no more records than its capacity.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from simulators.worlds.spec import EntitySpec

__all__ = ["Fields", "Key", "Records", "Refused", "Transaction"]

Fields = Mapping[str, Any]
"""The fields of one record. Never changed in place: a write replaces the whole mapping."""
Key = tuple[str, str]
"""Entity and key of one record."""


class Refused(Exception):
    """The call cannot be done; the text is for the caller of the tool."""


class Records(Protocol):
    """What a transaction reads from."""

    def find(self, entity: str, key: str) -> Fields | None:
        """The record's fields, or None where there is no such record."""
        ...

    def keys(self, entity: str) -> Iterator[str]:
        """The keys of the entity's records, in order."""
        ...

    def find_by(self, entity: str, field: str, value: Any) -> Sequence[str]:
        """The keys of the entity's records whose field has this value, in order."""
        ...

    def free_keys(self, entity: str) -> Iterator[str]:
        """Keys that new records may take, in order, free or not."""
        ...


class Transaction:
    """A frame for expressions (see `simulators.worlds.expressions`) that can also write."""

    __slots__ = ("_entities", "_records", "_seen", "arguments", "bound", "writes")

    def __init__(self, records: Records, entities: Mapping[str, EntitySpec], arguments: Mapping[str, Any]) -> None:
        self._records, self._entities = records, entities
        self.arguments = arguments
        self.bound: dict[str, Key] = {}
        self.writes: dict[Key, Fields | None] = {}
        """What to commit; None deletes."""
        self._seen: dict[str, Fields] = {}
        """Fields of bound records, as long as nothing is written."""

    def find(self, entity: str, key: str) -> Fields | None:
        if self.writes and (entity, key) in self.writes:
            return self.writes[entity, key]
        return self._records.find(entity, key)

    def find_by(self, entity: str, field: str, value: Any) -> list[str]:
        """The keys of the entity's records whose field has this value, as this call sees them; in no order."""
        written = {key: fields for (name, key), fields in self.writes.items() if name == entity}
        now = [key for key, fields in written.items() if fields is not None and fields[field] == value]
        return now + [key for key in self._records.find_by(entity, field, value) if key not in written]

    def bind(self, name: str, entity: str, key: str) -> None:
        """Give the record a name.

        Raises:
            Refused: when there is no such record.
        """
        fields = self.find(entity, key)
        if fields is None:
            raise Refused(f"no {entity} {key}")
        self.bound[name] = (entity, key)
        self._seen[name] = fields

    def fields(self, record: str) -> Fields:
        seen = self._seen.get(record)
        if seen is not None:
            return seen
        entity, key = self.bound[record]
        fields = self.find(entity, key)
        if fields is None:
            raise Refused(f"no {entity} {key}")
        return fields

    def key(self, record: str) -> str:
        return self.bound[record][1]

    def update(self, record: str, changed: Fields) -> None:
        """Set fields of a bound record; raises `Refused` for a value that a field may not hold."""
        entity, key = self.bound[record]
        self._check(entity, key, changed)
        self._write(entity, key, {**self.fields(record), **changed})

    def create(self, record: str, entity: str, fields: Fields) -> None:
        """Add a record under the first free key and bind it; raises `Refused` when the entity is full."""
        key = next((key for key in self._records.free_keys(entity) if self.find(entity, key) is None), None)
        if key is None:
            raise Refused(f"no room for another {entity}")
        self._check(entity, key, fields)
        self._write(entity, key, {name: fields[name] for name in self._entities[entity].fields})
        self.bound[record] = (entity, key)

    def delete(self, record: str) -> None:
        """Remove a bound record; raises `Refused` while another record refers to it."""
        target, key = self.bound[record]
        for entity in self._entities.values():
            for field in entity.fields.values():
                if field.type == "reference" and field.entity == target:
                    self._refuse_dangling(entity.name, field.name, target, key)
        self._write(target, key, None)

    def _write(self, entity: str, key: str, fields: Fields | None) -> None:
        self.writes[entity, key] = fields
        self._seen.clear()

    def _check(self, entity: str, key: str, changed: Fields) -> None:
        specs = self._entities[entity].fields
        for name, value in changed.items():
            spec = specs[name]
            problem = spec.problem(value)
            if problem is not None:
                raise Refused(problem)
            if value is None:
                continue
            if spec.type == "reference" and self.find(spec.entity, value) is None:
                raise Refused(f"no {spec.entity} {value}")
            if spec.unique and any(other != key for other in self.find_by(entity, name, value)):
                raise Refused(f"another {entity} has this {name}")

    def _refuse_dangling(self, entity: str, field: str, target: str, key: str) -> None:
        for other in self.find_by(entity, field, key):
            if (entity, other) != (target, key):
                raise Refused(f"{target} {key} is in use by {entity} {other}")
