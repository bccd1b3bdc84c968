"""What the gym has, as a table and as rows."""

from collections.abc import Sequence
from typing import Any

from pipelines.report import table
from rewards.verifiers import verifier_for
from simulators.tasks.compose import FAMILIES
from simulators.tasks.domains.common_cheats import COMMON_CHEATS
from simulators.tasks.domains.registry import domain_of

__all__ = ["domain_rows", "listing"]


def domain_rows(names: Sequence[str]) -> list[dict[str, Any]]:
    """One mapping per domain: everything that its generator and its verifier say of themselves."""
    return [_row(name) for name in names]


def _row(name: str) -> dict[str, Any]:
    version = verifier_for(name).version
    if name == "tool_use":
        about = "a user's wishes in a tool world: policies, records, refusals"
        families = {family: "see docs/tasks.md" for family in FAMILIES}
        return {"name": name, "about": about, "families": families, "levels": 3, "languages": ["en", "zh"], "version": version}
    domain = domain_of(name)
    return {
        "name": name,
        "about": domain.about,
        "families": dict(domain.families),
        "levels": domain.levels,
        "languages": list(domain.languages),
        "cheats": [*COMMON_CHEATS, *domain.cheats],
        "version": version,
    }


def listing(rows: Sequence[dict[str, Any]]) -> str:
    """For a person: a table of domains, and, of a single domain, its families and cheats."""
    lines = [
        [row["name"], len(row["families"]), row["levels"], " ".join(row["languages"]), row["version"], row["about"]]
        for row in rows
    ]
    text = table(["domain", "families", "levels", "languages", "verifier", "about"], lines)
    if len(rows) == 1:
        families = "\n".join(f"  {name}: {about}" for name, about in rows[0]["families"].items())
        text += f"\n\nfamilies\n{families}\n\ncheats: {', '.join(rows[0].get('cheats', ()))}"
    return text
