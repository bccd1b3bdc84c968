"""The fresh instance of a world: a function of spec and seed, made once and shared by every episode that starts there.

Nothing changes an `Instance` after it is made; states lay what they changed over it.
"""

import hashlib
import json
import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from simulators.worlds.fields import EntitySpec
from simulators.worlds.spec import WorldSpec
from simulators.worlds.transaction import Fields, Key
from trajectories.canonical import canonical_text, canonical_value
from trajectories.seeds import derive_rng
from trajectories.tasks import RecordPatch

__all__ = ["DIGEST_MODULUS", "Instance", "fresh_instance", "patched_records", "record_hash"]

DIGEST_MODULUS = 1 << 256


def record_hash(entity: str, key: str, fields: Fields, volatile: frozenset[str] = frozenset()) -> int:
    """The record's share of a state's digest, in [0, 2**256): SHA-256 of the canonical JSON of ``[entity, key, fields]``,
    volatile fields left out."""
    # Written here, name by name in an order that is known: digests are most of what an episode's verdict costs.
    members = [
        label + ((_quoted if len(value) < 64 else _long)(value) if (value := fields[name]).__class__ is str else _text(value))
        for name, label in _labels(tuple(fields), volatile)
    ]
    content = f"[{_quoted(entity)},{_quoted(key)},{{{','.join(members)}}}]"
    return int.from_bytes(hashlib.sha256(content.encode()).digest(), "big")


def _text(value: Any) -> str:
    """Canonical JSON of what a field holds; it was checked on its way in."""
    return repr(value) if value.__class__ is int else canonical_text(value)


_quoted = json.encoder.encode_basestring
"""A text in quotes, Unicode kept, as `json` writes it."""
_long = lru_cache(maxsize=4096)(_quoted)
"""The same for prose, most of which comes from the world's own lists and stands in many records of every instance."""


@lru_cache(maxsize=1024)
def _labels(names: tuple[str, ...], volatile: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Names that count, in canonical order, with the beginning of their member in a JSON object."""
    return tuple((name, f"{_quoted(name)}:") for name in sorted(names) if name not in volatile)


class Instance:
    """Records by entity and key, the keys that new records get, the hashes that digests start from, and who holds what."""

    __slots__ = ("_hashes", "_holders", "_total", "records", "spare_keys", "volatile")

    def __init__(
        self,
        records: Mapping[str, Mapping[str, Fields]],
        spare_keys: Mapping[str, tuple[str, ...]],
        volatile: Mapping[str, frozenset[str]],
    ) -> None:
        """Args:
        records: by entity and key, in the order of keys.
        volatile: names of fields that do not count, by entity.
        """
        self.records, self.spare_keys, self.volatile = records, spare_keys, volatile
        self._hashes: dict[tuple[str, str], int] = {}
        self._holders: dict[tuple[str, str], dict[Any, tuple[str, ...]]] = {}
        self._total: int | None = None

    def hash_of(self, entity: str, key: str) -> int:
        """Hash of a record of this instance; 0 where it has no such record."""
        known = self._hashes.get((entity, key))
        if known is None:
            fields = self.records[entity].get(key)
            known = 0 if fields is None else record_hash(entity, key, fields, self.volatile[entity])
            self._hashes[entity, key] = known
        return known

    def total(self) -> int:
        """Sum of the hashes of all records, modulo 2**256."""
        if self._total is None:
            hashes = (self.hash_of(entity, key) for entity, records in self.records.items() for key in records)
            self._total = sum(hashes) % DIGEST_MODULUS
        return self._total

    def holders(self, entity: str, field: str, value: Any) -> tuple[str, ...]:
        """Keys, in order, of the records whose field has this value. The first question about a field reads them all."""
        index = self._holders.get((entity, field))
        if index is None:
            grown: dict[Any, list[str]] = {}
            for key, fields in self.records[entity].items():
                grown.setdefault(fields[field], []).append(key)
            index = self._holders[entity, field] = {held: tuple(keys) for held, keys in grown.items()}
        return index.get(value, ())


@lru_cache(maxsize=512)
def fresh_instance(world: WorldSpec, seed: int) -> Instance:
    """The instance of `world` that belongs to `seed`; the same object for every caller while it is in the cache."""
    keys, spares = {}, {}
    for entity in world.entities.values():
        rng = derive_rng(seed, "world-keys", world.name, entity.name)
        span = range(10 ** (entity.digits - 1), 10**entity.digits)
        drawn = [str(number) for number in rng.sample(span, entity.capacity)]
        keys[entity.name], spares[entity.name] = drawn[: entity.count], tuple(drawn[entity.count :])
    records = {
        entity.name: _draw_records(entity, keys, derive_rng(seed, "world-fields", world.name, entity.name))
        for entity in world.entities.values()
    }
    return Instance(records, spares, {entity.name: entity.volatile() for entity in world.entities.values()})


def patched_records(world: WorldSpec, seed: int, patches: tuple[RecordPatch, ...]) -> Mapping[Key, Fields]:
    """What the patched records of the instance hold: all of their fields.

    Raises:
        ValueError: for a patch that does not fit the world; see `WorldSpec.instantiate`.
    """
    if not patches:
        return {}
    # Looked up by class too, for 1, 1.0 and True are equal and do not mean the same.
    wanted = tuple(
        (patch.entity, patch.key, tuple([(name, value.__class__, value) for name, value in patch.fields.items()]))
        for patch in patches
    )
    try:
        return _patched(world, seed, wanted)
    except TypeError:  # what cannot be looked up, a list say, is refused by name
        return _patched.__wrapped__(world, seed, wanted)


_Patch = tuple[str, str, tuple[tuple[str, type, Any], ...]]
"""Entity, key, and of each field that is set its name and its value with its class."""


@lru_cache(maxsize=4096)
def _patched(world: WorldSpec, seed: int, patches: tuple[_Patch, ...]) -> Mapping[Key, Fields]:
    base = fresh_instance(world, seed)
    found: dict[Key, Fields] = {}
    for entity, key, fields in patches:
        place = entity, key
        records = base.records.get(entity)
        problem = None
        if records is None:
            problem = f"no such entity; the world has {', '.join(world.entities)}"
        elif key not in records:
            problem = f"no such record; this instance has {', '.join(sorted(records)[:20])}"
        else:
            changed = {name: _stored(value) for name, _, value in fields}
            problems = (_patch_problem(world, base, found, place, name, value) for name, value in changed.items())
            problem = next(filter(None, problems), None)
            found[place] = {**found.get(place, records[key]), **changed}
        if problem:
            raise ValueError(f"world {world.name}, seed {seed}: patch of {entity} {key}: {problem}")
    return found


def _stored(value: Any) -> Any:
    """As a record holds it; raises ValueError for what JSON and UTF-8 cannot hold."""
    if isinstance(value, str):
        value.encode()
        return value
    return canonical_value(value)


def _patch_problem(
    world: WorldSpec, base: Instance, found: Mapping[Key, Fields], place: Key, name: str, value: Any
) -> str | None:
    entity = world.entities[place[0]]
    spec = entity.fields.get(name)
    if spec is None:
        return f"no field {name}; {entity.name} has {', '.join(entity.fields)}"
    if (problem := spec.problem(value)) is not None:
        return problem
    if spec.type == "reference" and value is not None and value not in base.records[spec.entity]:
        return f"{name} names no {spec.entity}: {value!r}"
    if spec.unique and value is not None:
        holders = {key for key in base.holders(entity.name, name, value) if (entity.name, key) not in found}
        holders |= {key for (kind, key), fields in found.items() if kind == entity.name and fields[name] == value}
        if holders - {place[1]}:
            return f"another {entity.name} has this {name}; patch that one first"
    return None


def _draw_records(entity: EntitySpec, keys: Mapping[str, list[str]], rng: random.Random) -> dict[str, Fields]:
    columns = {field.name: field.drawn(entity.count, keys, rng) for field in entity.fields.values()}
    rows = ({name: column[index] for name, column in columns.items()} for index in range(entity.count))
    return dict(sorted(zip(keys[entity.name], rows, strict=True)))
