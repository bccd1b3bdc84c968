"""What a data set's card tells that its rows do not: who made it, how, and what was left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CardAbout"]


@dataclass(frozen=True, kw_only=True)
class CardAbout:
    """Everything but `title` may be absent; a section without content is left out."""

    title: str
    command: str = ""
    """As typed."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Nested plain values; shown by dotted key."""
    code_version: str = ""
    description: str = ""
    """A paragraph in the maker's own words, shown first."""
    tried: int | None = None
    """Tasks or rows that were looked at."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Reason to rows."""
    faults: Mapping[str, int] = field(default_factory=dict)
    """Source to episodes."""
    deduplication: Mapping[str, Any] = field(default_factory=dict)
    """Figure in plain words to its value."""
    contamination: Mapping[str, Any] = field(default_factory=dict)
    judged: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Role to figure to value: calls, tokens, cost."""
    notes: tuple[str, ...] = ()
    """Further known limits, a sentence each."""
    format: str = "orrery"
    """Name of the format that rows are in; ``orrery`` for our own."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Meaning of the columns that our own schema does not have."""
    licence: str = ""
    """SPDX identifier; only where rows name none."""

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise ValueError("title: a data set has one")
