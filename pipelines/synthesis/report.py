"""What a synthesis tells its user: the last lines on the screen, and what the data set's card says of its making."""

import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipelines.structured import plain
from trajectories.card import CardAbout

if TYPE_CHECKING:
    from pipelines.synthesize import Synthesize

__all__ = ["describe", "printed"]

_JOURNAL_COLUMNS: Final = {
    "number": "Of the task, in the order in which tasks were made.",
    "reason": "Why the dialogue is no row of the data set; null where it is one.",
    "detail": "More of the reason: the dialogue that it is like, the benchmark's item, what broke.",
    "label": "`pass`, `near_miss` (it failed, with more verdicts passed than failed) or `failure`; null after a fault.",
    "attribution": "Who made it fail: agent, user, tool or infrastructure.",
}


_FOLDERS: Final = re.compile(r"(?<![\w:/.~-])/(?:[^/\s,\[\]'\"=][^/,\[\]'\"=]*/)+")
"""Of an absolute path, up to the name at its end; an address on the web has none."""


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
    alike = f"dropped from similarity {dedup.threshold}" if dedup.threshold else "kept"
    benchmarks = ", ".join(Path(path).name for path in config.benchmarks)
    typed = [part for part in command[1:] if not part.startswith(("out=", "resume="))]
    return CardAbout(
        title="Tool-use dialogues from simulated worlds",
        command=shlex.join(["orrery", *_without_folders(typed)]),
        settings=_without_folders(plain(config)),
        code_version=f"orrery {version('orrery')}",
        tried=summary["dialogues"],
        dropped=summary["dropped"],
        faults=summary["faults"],
        deduplication={
            "the same dialogue twice": "dropped" if dedup.exact else "kept",
            "the same course in nearly the same words": alike,
            "rows of one structure": f"at most {dedup.structure_limit}" if dedup.structure_limit else "any number",
            "bytes of state for each row": summary["dedup"]["bytes_per_row"],
        },
        contamination={"benchmarks": benchmarks or "none given"},
        judged=_judged(config),
        usage=summary["usage"],
        columns=_JOURNAL_COLUMNS,
        licence=config.licence,
    )


def _without_folders(value: Any) -> Any:
    """Where files lie on whoever's machine is nobody's matter; their names are."""
    if isinstance(value, Mapping):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return _FOLDERS.sub("", value) if isinstance(value, str) else value


def _judged(config: "Synthesize") -> dict[str, str]:
    judge = config.judge
    name = "scripted checks" if judge.scripted else judge.model.endpoint.model or ("a recorded model" if judge.model.file else "")
    said = {"kept": {"passes": "passes", "near_misses": "passes and near misses", "all": "passes and failures"}[config.keep]}
    criteria = [*judge.rubric.criteria, *["faithfulness"] * judge.faithful]
    return said | ({"judge": name, "criteria": ", ".join(criteria)} if name else {"judge": "programs alone"})
