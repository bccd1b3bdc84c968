"""What must be true of a world at every moment, whatever is called: checked in tests, not in episodes.

That references lead somewhere and fields keep their ranges is enforced on every write; invariants say what goes beyond one
record: money that is only moved, a stock that equals what is left of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.worlds.expressions import Condition, RecordFrame, compile_condition

__all__ = ["InvariantSpec", "broken"]

Records = Callable[[str], Mapping[str, Mapping[str, Any]]]
"""From an entity to its records by key."""


@dataclass(frozen=True, slots=True)
class InvariantSpec:
    """Either `holds` of every record of `entity`, or the sum of `constant` over them stays what it was."""

    name: str
    entity: str
    holds: Condition | None = None
    constant: str = ""
    """A numeric field of the entity."""


def broken(invariants: tuple[InvariantSpec, ...], start: Records, now: Records) -> tuple[str, ...]:
    """One sentence for each invariant that does not hold, naming a record where there is one."""
    found = []
    for invariant in invariants:
        records = now(invariant.entity)
        if invariant.holds is not None:
            holds = compile_condition(invariant.holds)
            wrong = (key for key, fields in records.items() if not holds(RecordFrame(invariant.entity, fields)))
            if (key := next(wrong, None)) is not None:
                found.append(f"{invariant.name}: does not hold of {invariant.entity} {key}")
            continue
        before, after = (
            sum(fields[invariant.constant] for fields in side.values()) for side in (start(invariant.entity), records)
        )
        if before != after:
            found.append(f"{invariant.name}: the sum of {invariant.entity}.{invariant.constant} went from {before} to {after}")
    return tuple(found)
