"""The state of one episode: a shared instance, and over it what the episode changed.

Invariants: a call that errors changes nothing; a fork and its origin never see each other's writes; two states of one
world have equal digests exactly when their canonical contents are equal. The digest is a sum of record hashes modulo
2**256 (as in incremental multiset hashing, Clarke et al., ASIACRYPT 2003): order does not matter, and a write costs two
terms.
"""

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulators.worlds.execution import Executor, executor_of
from simulators.worlds.instance import DIGEST_MODULUS, Instance, fresh_instance, patched_records, record_hash
from simulators.worlds.invariants import broken
from simulators.worlds.spec import WorldSpec
from simulators.worlds.transaction import Fields, Key, Refused
from trajectories.outcomes import StateChange
from trajectories.tasks import RecordPatch

__all__ = ["ToolResult", "WorldState"]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answers; names are MCP's own."""

    content: str
    """Compact JSON: the result, or ``{"error": "..."}``."""
    structuredContent: dict[str, Any] | None
    """The result as a value of the caller's own; None for an error."""
    isError: bool


class WorldState:
    """Copy-on-write state. Made by `WorldSpec.instantiate` and `fork`."""

    __slots__ = ("_base", "_digest_sum", "_executor", "_hashes", "_overlay", "_patched", "_stale", "world")

    def __init__(self, world: WorldSpec, base: Instance, patched: Mapping[Key, Fields], executor: Executor) -> None:
        self.world = world
        self._base, self._patched, self._executor = base, patched, executor
        self._overlay: dict[Key, Fields | None] = dict(patched)
        """Records that differ from the instance's: patched, or written since; None where one was deleted."""
        self._hashes: dict[Key, int] = {}
        """What each overlaid record contributes to `_digest_sum`."""
        self._digest_sum: int | None = None
        self._stale: set[Key] = set(patched)
        """Written since the digest was last asked for."""

    @staticmethod
    def fresh(world: WorldSpec, seed: int, patches: tuple[RecordPatch, ...] = ()) -> "WorldState":
        return WorldState(world, fresh_instance(world, seed), patched_records(world, seed, patches), executor_of(world))

    def call(self, tool: str, arguments: Mapping[str, Any] | str) -> ToolResult:
        """Run one tool call. Never raises for what the caller wrote; an error changes nothing.

        Args:
            tool: an operation's name.
            arguments: an object, or JSON text of one.
        """
        try:
            result, transaction = self._executor.run(self, tool, arguments)
        except Refused as refusal:
            return ToolResult(_encode({"error": str(refusal)}), None, True)
        if transaction.writes:
            self._overlay.update(transaction.writes)
            self._stale.update(transaction.writes)
        return ToolResult(_encode(result), result, False)

    def fork(self) -> "WorldState":
        """An independent state with the same content and the same start; costs what the episode has changed."""
        other = WorldState(self.world, self._base, self._patched, self._executor)
        other._overlay, other._hashes = dict(self._overlay), dict(self._hashes)
        other._digest_sum, other._stale = self._digest_sum, set(self._stale)
        return other

    def digest(self) -> str:
        """Digest of the canonical content, 64 hexadecimal digits; costs what was written since it was last asked."""
        total = self._base.total() if self._digest_sum is None else self._digest_sum
        for place in self._stale:
            entity, key = place
            fields = self._overlay[place]
            new = 0 if fields is None else record_hash(entity, key, fields, self._base.volatile[entity])
            old = self._hashes.get(place)
            total += new - (self._base.hash_of(entity, key) if old is None else old)
            self._hashes[place] = new
        self._digest_sum = total % DIGEST_MODULUS
        self._stale.clear()
        return f"{self._digest_sum:064x}"

    def diff(self) -> tuple[StateChange, ...]:
        """What differs from the start (patches belong to the start), by entity and key; undone changes do not show."""
        changes = [self._change(place) for place in sorted(self._overlay)]
        return tuple([change for change in changes if change is not None])

    def broken_invariants(self) -> tuple[str, ...]:
        """What is no longer true that always should be, a sentence each; reads everything, so meant for tests."""
        start = WorldState(self.world, self._base, self._patched, self._executor)
        return broken(self.world.invariants, start.records, self.records)

    def records(self, entity: str) -> dict[str, dict[str, Any]]:
        """The full content of an entity: fields by key, in the order of keys; a copy.

        Raises:
            KeyError: for an entity that the world does not have.
        """
        return {key: dict(self.find(entity, key) or {}) for key in self.keys(entity)}

    def find(self, entity: str, key: str) -> Fields | None:
        """One record's fields, not to be changed; None where there is no such record."""
        if self._overlay and (entity, key) in self._overlay:
            return self._overlay[entity, key]
        return self._base.records[entity].get(key)

    def keys(self, entity: str) -> Iterator[str]:
        """Keys of the entity's records, in order."""
        base = self._base.records[entity]
        written = {key: fields for (name, key), fields in self._overlay.items() if name == entity}
        if not written:
            return iter(base)
        gone = {key for key, fields in written.items() if fields is None}
        new = sorted(key for key, fields in written.items() if fields is not None and key not in base)
        kept = (key for key in base if key not in gone) if gone else iter(base)
        return heapq.merge(kept, new) if new else kept

    def find_by(self, entity: str, field: str, value: Any) -> Sequence[str]:
        """Keys, in order, of the entity's records whose field has this value; costs the hits and what the episode
        changed, not what the world holds."""
        found = self._base.holders(entity, field, value)
        written = {key: fields for (name, key), fields in self._overlay.items() if name == entity}
        if not written:
            return found
        now = (key for key, fields in written.items() if fields is not None and fields[field] == value)
        return sorted((*(key for key in found if key not in written), *now))

    def free_keys(self, entity: str) -> Iterator[str]:
        """The keys that new records get, in order, taken or not."""
        return iter(self._base.spare_keys[entity])

    def _change(self, place: Key) -> StateChange | None:
        entity, key = place
        before, after = self._patched.get(place), self._overlay[place]
        if before is None:
            before = self._base.records[entity].get(key)
        if before is after:
            return None
        volatile = self._base.volatile[entity]
        if before is not None and after is not None:
            fields = {
                name: (before[name], value) for name, value in after.items() if value != before[name] and name not in volatile
            }
        else:  # null stands for "no such field" too, so that a field which held null does not differ
            held = {name: value for name, value in (before or after or {}).items() if value is not None}
            fields = {
                name: (value, None) if after is None else (None, value) for name, value in held.items() if name not in volatile
            }
        if not fields:
            return None
        kind: Final = "created" if before is None else "deleted" if after is None else "updated"
        return StateChange(entity, key, kind, fields)


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
