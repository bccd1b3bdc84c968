"""The part of a tool that a recorded answer depends on, as one digest: its name and the schemas on both sides.

Wording may change under a recording; what may be asked and what comes back may not.
"""

from collections.abc import Iterable

from trajectories.canonical import digest
from trajectories.messages import ToolSpec

__all__ = ["SchemaDriftError", "check_schemas", "schema_fingerprint"]


class SchemaDriftError(ValueError):
    """The tools of now are not those that were recorded; names each tool."""


def schema_fingerprint(tool: ToolSpec) -> str:
    """Digest of name, input schema and output schema, 64 hexadecimal digits."""
    output = None if tool.outputSchema is None else dict(tool.outputSchema)
    return digest({"name": tool.name, "inputSchema": dict(tool.inputSchema), "outputSchema": output})


def check_schemas(recorded: Iterable[ToolSpec], now: Iterable[ToolSpec], where: str) -> None:
    """Both hold the same tools with the same schemas, in any order.

    Raises:
        SchemaDriftError: with the tools that changed, are gone or are new; `where` says what was compared.
    """
    before = {tool.name: schema_fingerprint(tool) for tool in recorded}
    after = {tool.name: schema_fingerprint(tool) for tool in now}
    parts = {
        "changed": [f"{name} ({before[name][:8]} -> {after[name][:8]})" for name in before if _changed(before, after, name)],
        "gone": [name for name in before if name not in after],
        "new": [name for name in after if name not in before],
    }
    found = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)
    if found:
        raise SchemaDriftError(f"{where}: the tools are no longer those that were recorded: {found}; record again")


def _changed(before: dict[str, str], after: dict[str, str], name: str) -> bool:
    return name in after and after[name] != before[name]
