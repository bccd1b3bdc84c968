"""A data set as other trainers read it: rows chosen, divided by task, mapped to a format, and written as shards.

Workers convert source row groups and write shards; the bytes are the same with any number of them and after kill and
resume. ``export.json`` says what was made from what: digests of source and shards, settings, version of the code.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import re
import shlex
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from pipelines.cluster import ray_session
from pipelines.errors import UserError
from pipelines.exporting.plan import Exported, export
from pipelines.exporting.source import Source
from pipelines.exporting.tokens import Tokens, copy_tokenizer
from pipelines.exporting.unit import ExportError, Job
from pipelines.progress import Progress
from pipelines.run_directory import RunDirectory
from pipelines.schema import Command, register
from pipelines.structured import plain
from trajectories.card import CardAbout, write_card
from trajectories.checking.task_index import TaskIndex
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA
from trajectories.formats import FORMATS, FormatSettings, Keep, Selection, Where
from trajectories.seeds import derive_seed
from trajectories.shard_files import Manifest, ShardError, replace_file

__all__ = ["Export", "export_dataset", "export_native"]

Name = Literal["native", "trl_sft", "trl_prompt", "trl_preference", "verl", "skyrl", "openai", "nemo_gym"]


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """`seed` decides which task goes into which of the `splits`."""

    dataset: str = "outputs/synthesize/latest"
    """Directory of the data set, as `orrery synthesize` writes it."""
    format: Name = "native"
    """Whose columns: native, trl_sft, trl_prompt, trl_preference, verl, skyrl, openai or nemo_gym."""
    json: Literal["typed", "text"] | None = None
    """typed: columns of Arrow's JSON type, which `datasets` shows as objects; text: plain strings, for readers that know no
    such type. null: what the format has, typed where it has both."""
    source: tuple[str, ...] = ()
    """Splits of the data set that are read; empty: all."""
    splits: Any = None
    """Output splits and their shares, e.g. {train: 0.95, validation: 0.05}: a task and all its dialogues go into one of
    them, by a hash of its id. null: the splits of the data set."""
    keep: Keep | None = None
    """Which dialogues: passes, failures or all; null: passes for trl_sft and openai, all for the others."""
    where: Where = field(default_factory=Where)
    """Which rows, beyond that."""
    details: FormatSettings = field(default_factory=FormatSettings)
    """How the formats say what can be said in several ways."""
    refused: Literal["stop", "drop"] = "stop"
    """A row that the format cannot say: stop, naming it; or leave it out and count it."""
    tokens: Tokens = field(default_factory=Tokens)
    """Whose tokenizer renders dialogues into tokens; native only."""
    rows_per_shard: int = 1000
    title: str = "Dialogues of agents with tools"
    """Of the data set's card."""

    def __post_init__(self) -> None:
        super().__post_init__()
        form = FORMATS[self.format]
        if self.rows_per_shard < 1:
            raise ValueError(f"rows_per_shard: must be at least 1, not {self.rows_per_shard}")
        if self.json is not None and getattr(form, self.json) is None:
            other = "text" if form.text is not None else "typed" if form.typed is not None else None
            has = f"only json={other}" if other else "lines of JSON, and no such choice"
            raise ValueError(f"json: {self.format} has {has}")
        if self.tokens.path is not None and self.format != "native":
            raise ValueError(f"tokens.path: {self.format} has no columns for token ids; export native")
        if self.format == "trl_preference" and self.keep not in (None, "all"):
            raise ValueError("keep: trl_preference pairs passes with failures, so it reads them all")
        self._check_splits()

    def _check_splits(self) -> None:
        if self.splits is None:
            return
        if not isinstance(self.splits, Mapping) or not self.splits:
            raise ValueError(f"splits: must be like {{train: 0.95, validation: 0.05}}, not {self.splits}")
        for name, share in self.splits.items():
            if not re.fullmatch(r"\w+", str(name)):
                raise ValueError(f"splits: {name!r} is not letters, digits and underscores")
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 < share <= 1.0:
                raise ValueError(f"splits: the share of {name} must be in (0, 1], not {share}")
        if not math.isclose(sum(self.splits.values()), 1.0, abs_tol=1e-9):
            raise ValueError(f"splits: the shares add up to {sum(self.splits.values()):g}, not 1")

    @property
    def chosen_json(self) -> Literal["typed", "text"] | None:
        """`json`, or what the format has."""
        form = FORMATS[self.format]
        return self.json or ("typed" if form.typed is not None else "text" if form.text is not None else None)


def run(config: Export, run: RunDirectory) -> dict[str, Any]:
    """`orrery export`."""
    progress = Progress(("export", "card"))
    with ray_session(config.workers) if config.workers > 1 else nullcontext():
        summary = export_dataset(config, run.path, progress)
    with progress.phase("card"):
        write_card(run.path, _about(config, summary))
    summary["seconds"] = progress.elapsed
    summary["phases"] = progress.seconds
    summary["rows_per_second"] = summary["read"] / progress.seconds["export"]
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in summary["dropped"].items())
    print(
        f"\n{summary['rows']:,} {config.format} rows of {summary['read']:,} dialogues in {summary['shards']} shards"
        f" ({summary['bytes'] / 1e6:.1f} MB) under {run.shown_path}/data"
    )
    if left_out:
        print(f"left out: {left_out}")
    return summary


def export_dataset(config: Export, directory: Path, progress: Progress) -> dict[str, Any]:
    """Write the shards, the manifests and ``export.json``, or what is missing of them; returns the figures.

    Needs a running Ray where `workers` is above 1.
    """
    source = Source(Path(config.dataset), TRAJECTORY_SCHEMA)
    read = _read_splits(config, source)
    digests = source.digest(read)
    splits = list(config.splits or read)
    tasks = _index(config) if FORMATS[config.format].needs_task else None
    if FORMATS[config.format].per == "task":
        _check_side_by_side(config, source, read)
    if config.tokens.path is not None:
        copy_tokenizer(config.tokens, directory / "tokenizer")
    job = _job(config, source, read)
    with progress.phase("export", total=sum(unit.rows for unit in job.unit_names), unit="dialogues") as phase:
        made = export(
            job,
            directory,
            rows_per_shard=config.rows_per_shard,
            splits=splits,
            workers=config.workers,
            digest=_digest(digests),
            tasks=tasks,
            phase=phase,
        )
    beside = _export_tasks(config, directory, read, progress) if _has_tasks(config) else None
    _write_about(config, directory, digests, made.manifests, beside)
    return _summary(made, digests, beside)


def export_native(source: Path, target: Path, rows_per_shard: int) -> None:
    """A native export of everything, without a word; what is measured."""
    with open(os.devnull, "w") as nowhere:
        config = Export(dataset=str(source), rows_per_shard=rows_per_shard)
        export_dataset(config, target, Progress(stream=nowhere))


def _export_tasks(config: Export, directory: Path, read: list[str], progress: Progress) -> Exported | None:
    """The tasks beside their dialogues: native data sets can be judged anew."""
    source = _tasks(config)
    present = [split for split in read if split in source.splits()]
    digests = source.digest(present)
    job = _job(config, source, present)
    with progress.phase("tasks", total=sum(unit.rows for unit in job.unit_names), unit="tasks") as phase:
        return export(
            job,
            directory / "tasks",
            rows_per_shard=config.rows_per_shard,
            splits=list(config.splits or present),
            workers=config.workers,
            digest=_digest(digests),
            tasks=None,
            phase=phase,
        )


def _job(config: Export, source: Source, read: list[str]) -> Job:
    keep = config.keep or FORMATS[config.format].keep
    return Job(
        source=source,
        unit_names=tuple(source.units(read)),
        format=config.format,
        json=config.chosen_json,
        splits=config.splits or {},
        seed=derive_seed(config.seed, "export"),
        selection=Selection(keep, config.where),
        details=config.details,
        refused=config.refused,
        tokens=config.tokens,
    )


def _read_splits(config: Export, source: Source) -> list[str]:
    present = source.splits()
    if missing := [split for split in config.source if split not in present]:
        raise UserError(f"source: {config.dataset} has no split {missing[0]}; it has {', '.join(present) or 'none'}")
    read = list(config.source) or present
    if not read:
        raise UserError(f"dataset: {config.dataset} has no data/*.parquet; make a data set with: orrery synthesize")
    if config.splits and len(read) > 1:
        raise UserError(f"splits: {config.dataset} has the splits {', '.join(read)}; choose the one to divide with source=[...]")
    return read


def _tasks(config: Export) -> Source:
    return Source(Path(config.dataset, "tasks"), TASK_SCHEMA)


def _index(config: Export) -> TaskIndex:
    _tasks(config).digest(_tasks(config).splits())
    return TaskIndex.of(Path(config.dataset, "tasks"))


def _check_side_by_side(config: Export, source: Source, read: list[str]) -> None:
    for split in read:
        if (row := source.scattered(split)) is not None:
            raise ExportError(
                f"split {split}, row {row}: its task has dialogues further up, too, and other tasks between them; {config.format}"
                " makes its rows from the dialogues of a task side by side, so sort the data set by task_id"
            )


def _has_tasks(config: Export) -> bool:
    return config.format == "native" and bool(_tasks(config).splits())


def _digest(digests: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _write_about(
    config: Export, directory: Path, digests: dict[str, str], made: dict[str, Manifest], beside: Exported | None
) -> None:
    settings = plain(config)
    for key in ("dataset", "out", "workers", "resume"):  # where, and how fast: no byte depends on them
        settings.pop(key)
    tokenizer = directory / "tokenizer" / "tokenizer.json"
    settings["tokens"]["path"] = hashlib.sha256(tokenizer.read_bytes()).hexdigest() if tokenizer.is_file() else None
    about = {
        "format": config.format,
        "source": digests,
        "settings": settings,
        "code": {"orrery": importlib.metadata.version("orrery"), "pyarrow": pa.__version__, "sha256": _code_digest()},
        "splits": {split: json.loads(manifest.to_text()) for split, manifest in made.items()},
        "tasks": {split: json.loads(manifest.to_text()) for split, manifest in (beside.manifests if beside else {}).items()},
    }
    replace_file(directory / "export.json", json.dumps(about, indent=1) + "\n")


def _about(config: Export, summary: Mapping[str, Any]) -> CardAbout:
    return CardAbout(
        title=config.title,
        command=shlex.join(sys.argv),
        settings=plain(config),
        code_version=importlib.metadata.version("orrery"),
        tried=summary["read"],
        dropped=summary["dropped"],
        format="orrery" if config.format == "native" else config.format,
        licence=" AND ".join(summary["licences"]),
    )


def _code_digest() -> str:
    """Of everything that decides a byte of an export."""
    here = Path(__file__).parent
    parts = (here / "exporting", here.parent / "trajectories", here.parent / "rl" / "policy" / "dialects")
    files = [Path(__file__), *(file for part in parts for file in part.rglob("*.py"))]
    content = hashlib.sha256()
    for file in sorted(files):
        content.update(f"{file.relative_to(here.parent)}\n".encode() + file.read_bytes())
    return content.hexdigest()


def _summary(made: Exported, digests: dict[str, str], beside: Exported | None) -> dict[str, Any]:
    shards = [shard for manifest in made.manifests.values() for shard in manifest.shards]
    return {
        "rows": sum(manifest.rows for manifest in made.manifests.values()),
        "read": made.read,
        "dropped": dict(sorted(made.dropped.items())),
        "refused": made.refused,
        "licences": made.licences,
        "splits": {split: manifest.rows for split, manifest in made.manifests.items()},
        "shards": len(shards),
        "bytes": sum(shard.bytes for shard in shards),
        "tasks": sum(manifest.rows for manifest in beside.manifests.values()) if beside else 0,
        "source_digest": digests,
        "digest": {split: manifest.fingerprint() for split, manifest in made.manifests.items()},
    }


def check(config: Export) -> None:
    """The data set is there and whole, with tasks where the format needs them, and so is the tokenizer."""
    if not Path(config.dataset).is_dir():
        raise UserError(f"dataset: {config.dataset} is not a directory; make one with: orrery synthesize")
    source = Source(Path(config.dataset), TRAJECTORY_SCHEMA)
    source.digest(_read_splits(config, source))
    if FORMATS[config.format].needs_task and not _tasks(config).splits():
        raise UserError(f"dataset: {config.dataset} has no tasks/, and {config.format} rows hold the task that is rewarded")
    config.tokens.open()


register("export", Export, run, check=check, user_errors=(ShardError, ExportError))
