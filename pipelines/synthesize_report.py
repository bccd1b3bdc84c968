"""What a synthesis tells its user: the last lines on the screen, and what the data set's card says of its making."""

import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pipelines.structured import plain
from trajectories.card import CardAbout

if TYPE_CHECKING:
    from pipelines.synthesize import Synthesize

__all__ = ["describe", "printed"]


def printed(summary: Mapping[str, Any], place: str) -> str:
    """The figures in a few lines."""
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in summary["dropped"].items()) or "none"
    lines = [
        f"{summary['rows']:,} rows of {summary['dialogues']:,} dialogues on {summary['tasks']:,} tasks in {summary['shards']}"
        f" shards ({summary['passes'] / summary['dialogues']:.1%} passed), {summary['rows_per_second']:,.0f} rows/s",
        f"dropped: {dropped}; peak memory {summary['peak_rss_bytes'] / 2**30:.2f} GiB",
    ]
    for role, used in summary["usage"].items():
        lines.append(f"{role}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in used.items()))
    if faults := sum(summary["faults"].values()):
        lines.append(f"{faults} dialogues ended by a fault and are no rows; make them again with out={place} resume=auto")
    lines.append(f"read {place}/README.md")
    return "\n".join(lines)


def describe(config: "Synthesize", summary: Mapping[str, Any], command: Sequence[str]) -> CardAbout:
    """For the card."""
    dedup = config.dedup
    return CardAbout(
        title="Tool-use dialogues from simulated worlds",
        command=shlex.join(["orrery", *(part for part in command[1:] if not part.startswith(("out=", "resume=")))]),
        settings=plain(config),
        code_version=f"orrery {version('orrery')}",
        tried=summary["dialogues"],
        dropped=summary["dropped"],
        faults=summary["faults"],
        deduplication={"settings": str(plain(dedup)), **summary["dedup"]},
        contamination={"benchmarks": ", ".join(config.benchmarks) or "none given"},
        usage=summary["usage"],
        licence=config.licence,
    )
