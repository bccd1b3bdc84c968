"""Grow worlds: from the lexicon's categories and domains to thousands of tools that run, with where each came from.

Every domain is grown by itself, a function of its name and the seed; workers share the domains out and the driver writes
them in order, so the registry is the same with any number of workers. What a chat model proposes, if one is asked, is asked
for and judged by the driver alone, in the same order.
"""

import json
import resource
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from pipelines.cluster import ray_session
from pipelines.errors import UserError
from pipelines.evolve_proposals import check_proposals, open_proposals
from pipelines.evolve_report import write_report
from pipelines.models import usage_of
from pipelines.progress import Progress
from pipelines.run_directory import RunDirectory, write_atomically
from pipelines.schema import Command, register
from rewards.verifiers import verify
from services.chat import ChatError, StoreError
from simulators.evolution.domains import Category, Domain
from simulators.evolution.draft import Extension
from simulators.evolution.errands import Verify
from simulators.evolution.proposals import ProposalFileError, ProposalSettings, Unacceptable
from simulators.evolution.reading import categories
from simulators.evolution.registry import STEP_SCHEMA, TOOL_SCHEMA, DomainRows, domain_rows
from simulators.worlds import WorldSpecError
from trajectories.canonical import digest
from trajectories.codec import TASK_SCHEMA, to_row
from trajectories.shards import ShardError, ShardWriter

__all__ = ["Evolve"]


@dataclass(frozen=True, kw_only=True)
class Evolve(Command):
    categories: tuple[str, ...] = ()
    """Only these categories of the lexicon; empty for all."""
    domains: int | None = None
    """Only so many domains, the first of each category in turn; null for all."""
    proposals: ProposalSettings = field(default_factory=ProposalSettings)
    """What a chat model adds."""
    rows_per_shard: int = 5000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.domains is not None and self.domains < 1:
            raise ValueError(f"domains: must be at least 1 or null, not {self.domains}")
        if self.rows_per_shard < 1:
            raise ValueError(f"rows_per_shard: must be at least 1, not {self.rows_per_shard}")


def run(config: Evolve, run: RunDirectory) -> dict[str, Any]:
    """`orrery evolve`."""
    source = open_proposals(config.proposals, config.seed, run)
    progress = Progress(("evolve", "report") if source is None else ("propose", "evolve", "report"))
    domains = _chosen(config)
    extensions: list[tuple[Extension, ...]] = [()] * len(domains)
    if source is not None:
        with progress.phase("propose"):
            domains += source.domains(_kept(config), config.seed, verify)
            shares = [_share(config.proposals.extend, number, len(domains)) for number in range(len(domains))]
            extensions = [
                source.extend(domain, config.seed, verify, share) for domain, share in zip(domains, shares, strict=True)
            ]
    tools: list[dict[str, Any]] = []
    changes: Counter[str] = Counter()
    peaks: Counter[str] = Counter()
    with (
        ray_session(config.workers),
        progress.phase("evolve", total=len(domains), unit="domains") as phase,
        _writer(config, run, run.path, TOOL_SCHEMA, "tools") as tool_rows,
        _writer(config, run, run.path, STEP_SCHEMA, "steps") as step_rows,
        _writer(config, run, run.path / "tasks", TASK_SCHEMA, "train") as task_rows,
    ):
        rows = _grown(config, domains, extensions)
        for number, (domain, (grown, worker, peak)) in enumerate(zip(domains, rows, strict=True)):
            peaks[worker] = max(peak, peaks[worker])
            if source is not None:
                grown = source.reword(domain, grown, config.seed, _share(config.proposals.reword, number, len(domains)))
            path = run.file(f"worlds/{domain.category}/{domain.name}.json")
            write_atomically(path, json.dumps(grown.world, ensure_ascii=False, indent=1) + "\n")
            for row in grown.tools:
                tool_rows.append(row)
            for row in grown.steps:
                step_rows.append(row)
                changes[row["change"]] += 1
            for task in grown.tasks:
                # By path, so that whoever reads the task can load its world.
                task_rows.append(to_row(replace(task, world=str(path)).with_id()))
            tools += grown.tools
            phase.advance(tools=float(len(tools)))
    with progress.phase("report"):
        summary = _summary(domains, tools) | {"steps": dict(sorted(changes.items()))}
        write_report(run.path, domains, tools, summary)
    if source is not None:
        summary["proposals"] = source.summary()
        summary["usage"] = usage_of(run.path)
    summary["peak_rss_bytes"] = _peak_rss_bytes() + peaks.total()
    summary["phases"] = progress.seconds
    summary["seconds"] = progress.elapsed
    print(
        f"\n{summary['tools']:,} tools in {summary['domains']} domains of {summary['categories']} categories:"
        f" {summary['executed_share']:.2%} are executed by a certified task, {summary['near_duplicate_share']:.1%} have a"
        f" near-duplicate in another domain\nregistry {summary['registry_digest'][:16]}; read {run.shown_path}/report.md"
    )
    if source is not None:
        said = ", ".join(f"{key} {value}" for key, value in source.summary().items() if isinstance(value, int))
        print(f"proposals in {run.shown_path}/proposals.jsonl: {said}")
    return summary


def _writer(config: Evolve, run: RunDirectory, directory: Path, schema: pa.Schema, split: str) -> ShardWriter:
    """Over what a run that was stopped left: the same rows are made again in minutes."""
    keep = 0 if run.resumed else None
    return ShardWriter(
        directory, schema=schema, rows_per_shard=config.rows_per_shard, split=split, resume=run.resumed, keep_rows=keep
    )


def _chosen(config: Evolve) -> list[Domain]:
    """In the order of categories and files; when only some are wanted, the categories take turns."""
    columns = [list(category.domains.values()) for category in _kept(config)]
    if config.domains is None:
        return [domain for column in columns for domain in column]
    longest = max(len(column) for column in columns)
    turns = [column[turn] for turn in range(longest) for column in columns if turn < len(column)]
    order = {domain.name: number for number, domain in enumerate(domain for column in columns for domain in column)}
    return sorted(turns[: config.domains], key=lambda domain: order[domain.name])


def _kept(config: Evolve) -> list[Category]:
    return [category for category in categories() if not config.categories or category.name in config.categories]


def _share(whole: int, number: int, count: int) -> int:
    """What falls to one of so many when a whole is spread over them evenly."""
    return whole * (number + 1) // count - whole * number // count


def _grown(
    config: Evolve, domains: Sequence[Domain], extensions: Sequence[tuple[Extension, ...]]
) -> Iterator[tuple[DomainRows, str, int]]:
    """In order, with who grew it; as many are grown at once as there are workers."""
    remote = ray.remote(num_cpus=1)(_grow)
    waiting: deque[ray.ObjectRef] = deque()
    for domain, added in zip(domains, extensions, strict=True):
        waiting.append(remote.remote(domain, config.seed, verify, added))
        if len(waiting) > config.workers:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())


def _grow(domain: Domain, seed: int, verify: Verify, extensions: tuple[Extension, ...]) -> tuple[DomainRows, str, int]:
    """A domain's rows, the worker that grew them, and that worker's peak memory so far."""
    rows = domain_rows(domain, seed, verify, extensions)
    return rows, ray.get_runtime_context().get_worker_id(), _peak_rss_bytes()


def _peak_rss_bytes() -> int:
    """The most memory that this process held at any time. Added up over processes it is more than they ever held together:
    their peaks need not fall together, and what they share counts for each."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _summary(domains: Sequence[Domain], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    homes: dict[str, set[str]] = {}
    for row in tools:
        homes.setdefault(row["local_fingerprint"], set()).add(row["domain"])
    near = sum(len(homes[row["local_fingerprint"]]) > 1 for row in tools)
    uncalled = [f"{row['domain']}.{row['tool']}" for row in tools if not row["called"]]
    without = [f"{row['domain']}.{row['tool']}" for row in tools if not row["certified"]]
    return {
        "categories": len({domain.category for domain in domains}),
        "domains": len(domains),
        "tools": len(tools),
        "distinct_fingerprints": len({row["fingerprint"] for row in tools}),
        "executed_share": 1 - len(without) / len(tools),
        "without_task": without[:100],
        "called_share": 1 - len(uncalled) / len(tools),
        "uncalled": uncalled[:100],
        "near_duplicate_share": near / len(tools),
        "operators": dict(Counter(row["operator"] for row in tools).most_common()),
        "kinds": dict(Counter(row["kind"] for row in tools).most_common()),
        "registry_digest": digest([[row["domain"], row["tool"], digest(dict(row))] for row in tools]),
    }


def check(config: Evolve) -> None:
    """The lexicon is well formed and holds the categories that were named; proposals can be read, and a model be asked."""
    known = [category.name for category in categories()]
    if unknown := [name for name in config.categories if name not in known]:
        raise UserError(f"categories: there is no {unknown[0]!r}; there are {', '.join(known)}")
    check_proposals(config.proposals)


register(
    "evolve", Evolve, run, check=check,
    user_errors=(WorldSpecError, ShardError, ChatError, StoreError, ProposalFileError, Unacceptable),
)  # fmt: skip
