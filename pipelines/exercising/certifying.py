"""Certification of candidates by every domain, side by side: what the oracle and each cheat score, and how fast."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from pipelines.cluster import in_order
from pipelines.exercising.sampling import parts
from pipelines.progress import Progress
from pipelines.report import table
from pipelines.statistics import clopper_pearson
from rewards.verifiers import verify
from simulators.tasks.domains.measuring import Measured, measure
from simulators.tasks.domains.registry import domain_of
from simulators.tasks.domains.stream import DomainMix
from trajectories.canonical import canonical_json
from trajectories.shards import ShardWriter, read
from trajectories.tasks import Split

if TYPE_CHECKING:
    from pipelines.gym import Gym

__all__ = ["certified_tables", "certify_domains"]

_CHUNK: Final = 25
_MOST_REFUSED: Final = 0.01
"""Share of candidates that certification may refuse before a domain counts as broken."""

_SCHEMA: Final = pa.schema(
    {
        "domain": pa.string(),
        "number": pa.int64(),
        "family": pa.string(),
        "level": pa.int32(),
        "language": pa.string(),
        "task_id": pa.string(),
        "characters": pa.int64(),
        "oracle": pa.float64(),
        "cheats": pa.string(),
        "certified": pa.bool_(),
        "reasons": pa.list_(pa.string()),
        "make_seconds": pa.float64(),
        "verify_seconds": pa.float64(),
    }
)


def certify_domains(config: "Gym", directory: Path, progress: Progress, *, resume: bool) -> dict[str, Any]:
    """Tries `config.count` candidates of each domain; writes ``data/candidates-*.parquet``. Needs a running Ray."""
    total = config.count * len(config.chosen)
    with (
        progress.phase("certify", total=total, unit="candidates") as phase,
        ShardWriter(directory, schema=_SCHEMA, split="candidates", resume=resume) as writer,
    ):
        phase.start_from(writer.rows_written)
        for item in _measured(config, writer.rows_written):
            writer.append(asdict(item) | {"cheats": canonical_json(item.cheats), "reasons": list(item.reasons)})
            phase.advance()
    found: dict[str, list[Measured]] = defaultdict(list)
    for row in read(directory, "candidates"):
        item = Measured(**{**row, "cheats": json.loads(row["cheats"]), "reasons": tuple(row["reasons"])})
        found[item.domain].append(item)
    domains = {name: _figures(items) for name, items in found.items()}
    offences = [f"{name}: {what}" for name, figures in domains.items() if (what := _offence(figures))]
    return {"candidates_per_domain": config.count, "domains": domains, "offences": offences}


def _measured(config: "Gym", done: int) -> Iterator[Measured]:
    """In the order of domains and numbers, whoever measures."""
    context = (config.mix, config.seed, config.split)
    for measured in in_order(_measure, context, parts(config, done, _CHUNK), config.workers):
        yield from measured


def _measure(context: tuple[DomainMix, int, Split], part: tuple[str, range]) -> list[Measured]:
    (mix, seed, split), (name, numbers) = context, part
    return list(measure(domain_of(name), numbers, mix=mix, run_seed=seed, split=split, verify=verify))


def _figures(items: Sequence[Measured]) -> dict[str, Any]:
    refused = [item for item in items if not item.certified]
    kinds = Counter(reason.partition(":")[0] for item in refused for reason in item.reasons)
    cheats: dict[str, list[float]] = defaultdict(list)
    for item in items:
        for name, score in item.cheats.items():
            cheats[name].append(score)
    make, verdicts = sum(item.make_seconds for item in items), sum(item.verify_seconds for item in items)
    return {
        "candidates": len(items),
        "distinct_tasks": len({item.task_id for item in items}),
        "refused": len(refused),
        "refused_by": dict(kinds.most_common()),
        "first_refusals": [f"{item.family}/{item.number}: {item.reasons[0]:.200}" for item in refused[:5]],
        "oracle": _share([item.oracle for item in items]),
        "cheats": {name: _share(scores) for name, scores in sorted(cheats.items())},
        "characters": {"mean": sum(item.characters for item in items) / len(items), "most": max(i.characters for i in items)},
        "tasks_per_second": len(items) / make if make else 0.0,
        "verifications_per_second": len(items) / verdicts if verdicts else 0.0,
    }


def _share(scores: Sequence[float]) -> dict[str, Any]:
    passed = sum(score > 0 for score in scores)
    share, interval = passed / len(scores), clopper_pearson(passed, len(scores))
    return {"tried": len(scores), "scored": passed, "share": share, "ci95": list(interval)}


def _offence(figures: Mapping[str, Any]) -> str | None:
    """What is wrong with a domain: too many candidates that are no tasks."""
    if figures["refused"] > _MOST_REFUSED * figures["candidates"]:
        return (
            f"{figures['refused']:,} of {figures['candidates']:,} candidates are refused ({figures['refused_by']}); first: "
            f"{figures['first_refusals'][0]}"
        )
    return None


def certified_tables(found: Mapping[str, Any]) -> str:
    """The figures for a person."""
    domains: Mapping[str, Any] = found["domains"]
    rows = [
        [
            name,
            f"{figures['candidates']:,}",
            f"{figures['oracle']['share']:.2%}",
            f"{sum(cheat['scored'] for cheat in figures['cheats'].values()):,} of "
            f"{sum(cheat['tried'] for cheat in figures['cheats'].values()):,}",
            f"{figures['refused']:,}",
            f"{figures['characters']['mean']:,.0f}",
            f"{figures['tasks_per_second']:,.0f}",
            f"{figures['verifications_per_second']:,.0f}",
        ]
        for name, figures in domains.items()
    ]
    head = ["domain", "candidates", "oracle", "cheats paid", "refused", "characters", "tasks/s", "verdicts/s"]
    lines = [table(head, rows)]
    for name, figures in domains.items():
        tried = ", ".join(f"{cheat} {share['scored']}/{share['tried']:,}" for cheat, share in figures["cheats"].items())
        lines.append(f"{name}: {tried}")
    return "\n\n".join([*lines, "A candidate that pays a cheat, or that the oracle fails, is no task; the next takes its number"])
