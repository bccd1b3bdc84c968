"""What is wrong, and where: the unit in which checks speak."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa

__all__ = ["CHECKS", "FINDING_SCHEMA", "Finding"]

CHECKS: Final = (
    "files", "schema", "messages", "tokens", "outcome", "certificates", "splits", "contamination", "duplicates", "provenance",
    "card",
)  # fmt: skip
"""Names of the checks, in the order in which they are reported."""

FINDING_SCHEMA: Final = pa.schema(
    {"check": pa.string(), "shard": pa.string(), "row": pa.int64(), "id": pa.string(), "what": pa.string()}
)

_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    check: str
    shard: str
    """File, relative to the folder of the data set; empty where the finding is about no file."""
    row: int | None
    """Number of the row in its shard, from 0; None where the finding is about the whole file."""
    id: str
    """Of the trajectory or task; empty where it is not known."""
    what: str

    def to_row(self) -> dict[str, Any]:
        """With the columns of `FINDING_SCHEMA`. What a hostile row made very long is cut; text that is no Unicode is escaped."""
        row = asdict(self)
        return {key: _plain(value) if isinstance(value, str) else value for key, value in row.items()}

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        named = f" ({_plain(self.id)})" if self.id else ""
        place = f"{self.shard}{row}{named}: " if self.shard else ""
        return f"{self.check}: {place}{_plain(self.what)}"


def _plain(text: str) -> str:
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return text.encode("utf-8", "backslashreplace").decode()
