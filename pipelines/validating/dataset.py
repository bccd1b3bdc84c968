"""`orrery validate dataset=DIR`: everything that a consumer of a data set folder relies on, checked again.

Workers look at parts of shards and their answers are taken in order, so that the report is the same with any number of workers.
What is held of each row is only what it is compared with others by.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from pipelines.cluster import in_order
from pipelines.errors import UserError
from pipelines.progress import Phase, Progress
from pipelines.schema import Counted
from pipelines.structured import build
from pipelines.validating.dataset_parts import all_parts, shard_items, shard_problems
from pipelines.validating.dataset_report import Report
from pipelines.validating.dataset_rows import RowContext, check_rows, keys_of_rows
from pipelines.validating.dataset_sets import RowSet, duplicate_findings, near_findings, overlaps, parent_findings, repeated_rows
from pipelines.validating.dataset_tasks import TaskContext, check_tasks, keys_of_tasks
from pipelines.validating.dataset_tokens import TokenSettings, tokenizer_of
from rewards.composition import RewardConfig
from trajectories.checking import CHECKS, Finding
from trajectories.checking.card import card_problems, licences
from trajectories.checking.folder import Part, of_folder, split_names
from trajectories.checking.task_index import TaskIndex
from trajectories.codec import TASK_SCHEMA, TRAJECTORY_SCHEMA
from trajectories.decontamination import DecontaminationConfig, Decontaminator, SplitConfig, read_benchmark
from trajectories.deduplication import DedupConfig, Deduplicator
from trajectories.seeds import derive_rng
from trajectories.tasks import Split

__all__ = ["DatasetChecks", "check_dataset", "validate_dataset"]


@dataclass(frozen=True, kw_only=True)
class DatasetChecks(Counted):
    """What is checked of a data set."""

    dataset: str | None = None
    """A folder with data/*.parquet, whose rows are checked instead of tasks of a stream; null for those."""
    checks: tuple[str, ...] = CHECKS
    """Which checks of a data set."""
    certificates: int | Literal["all"] = "all"
    """How many tasks' gold is executed again, drawn by the seed: a number, or all."""
    recertify: bool = False
    """Whether every cheat plays those tasks again too, and must earn what the certificate says."""
    tokens: TokenSettings = field(default_factory=TokenSettings)
    """The tokenizer of rows that hold tokens."""
    rewards: RewardConfig = field(default_factory=RewardConfig)
    """How the rows were judged, where the folder has no config.yaml that says so."""
    duplicates: DedupConfig = field(default_factory=DedupConfig)
    """What counts as a duplicate of an earlier row of its split."""
    benchmarks: tuple[str, ...] = ()
    """Files of benchmarks of which no row may hold an item."""
    contamination: DecontaminationConfig = field(default_factory=DecontaminationConfig)
    """What counts as holding an item of a benchmark."""
    against: tuple[str, ...] = ()
    """Folders of other data sets, which must share no task, world instance or dialogue with this one."""
    overlaps: SplitConfig = field(default_factory=SplitConfig)
    """What counts as nearly the same dialogue in another split or data set."""
    sources: tuple[str, ...] = ()
    """Folders of data sets whose rows may be parents of this one's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [check for check in self.checks if check not in CHECKS]:
            raise ValueError(f"checks: {', '.join(unknown)} is not among {', '.join(CHECKS)}")
        if self.certificates != "all" and (not isinstance(self.certificates, int) or self.certificates < 0):
            raise ValueError(f"certificates: is a number of tasks, or all, not {self.certificates}")


def check_dataset(config: DatasetChecks) -> None:
    """The folders are data sets, and benchmarks are files.

    Raises:
        UserError: one is not; names the key.
    """
    if missing := [file for file in config.benchmarks if not Path(file).is_file()]:
        raise UserError(f"benchmarks: {missing[0]} is no file")
    for key, folders in (("dataset", [config.dataset]), ("against", config.against), ("sources", config.sources)):
        for folder in folders:
            if folder is not None and not split_names(Path(folder)):
                raise UserError(f"{key}: {folder} holds no data set, that is, no data/<split>-00000-of-000NN.parquet")


def validate_dataset(config: DatasetChecks, directory: Path, progress: Progress) -> dict[str, Any]:
    """Run the checks, and write ``data/findings-*.parquet`` into `directory`; returns the figures. Needs a running Ray."""
    assert config.dataset is not None
    folder = Path(config.dataset)
    with Report(directory, config.checks) as report:
        with progress.phase("files", unit="shards") as phase:
            unreadable = _files(config, folder, report, phase)
        with progress.phase("tasks", unit="tasks") as phase:
            tasks = _tasks(config, folder, unreadable, report, phase)
        with progress.phase("rows", unit="rows") as phase:
            rows = _rows(config, folder, unreadable, report, phase)
        with progress.phase("sets"):
            _sets(config, rows, tasks, report)
            _card(folder, report)
    counts = {"rows": {name: len(each) for name, each in rows.items()}, "tasks": sum(map(len, tasks.values()))}
    return {"dataset": config.dataset, **counts, **report.summary()}


def _files(config: DatasetChecks, folder: Path, report: Report, phase: Phase) -> frozenset[str]:
    """Looks at files and columns; the shards whose rows cannot be looked at."""
    unreadable = set()
    for place, schema in ((folder, TRAJECTORY_SCHEMA), (folder / "tasks", TASK_SCHEMA)):
        report.add(of_folder(place, folder))
        items, plain = shard_items(place, folder), 0
        for item, looked in zip(items, in_order(shard_problems, schema, items, config.workers), strict=True):
            report.add(looked.findings)
            report.count("files", 1)
            phase.advance()
            if not looked.readable:
                unreadable.add(item.shard)
            plain += looked.text_form
        if plain:
            report.note("schema", f"{plain} shards under {place} hold JSON as plain strings")
        if items and all(item.expected is None for item in items):
            report.note("files", f"{place} has no manifest, so sizes and digests were compared with nothing")
    return frozenset(unreadable)


def _tasks(
    config: DatasetChecks, folder: Path, unreadable: frozenset[str], report: Report, phase: Phase
) -> dict[str, RowSet]:
    """Looks at the tasks; by split, what they are compared by."""
    place = folder / "tasks"
    checked = TaskContext(frozenset(config.checks), _labels(place), recertify=config.recertify)
    found = {split: RowSet(f"{place}, split {split}") for split in split_names(place)}
    items = list(_with_chosen(config, all_parts(place, folder, unreadable)))
    for (part, _), looked in zip(items, in_order(check_tasks, checked, items, config.workers), strict=True):
        report.take(looked)
        found[part.split].add(part, looked)
        phase.advance(part.rows)
    if not items:
        report.skip("certificates", f"there are no tasks under {place}")
    return found


def _labels(place: Path) -> tuple[str, ...]:
    """The splits, where they are those that tasks are drawn for; in a folder that was divided anew labels do not count."""
    names = split_names(place)
    return names if set(names) <= set(get_args(Split)) else ()


def _with_chosen(config: DatasetChecks, whole: Iterator[Part]) -> Iterator[tuple[Part, frozenset[int] | None]]:
    """Each part with the numbers of the tasks that were drawn by the seed; None for all."""
    items = list(whole)
    total = sum(part.rows for part in items)
    if config.certificates == "all" or config.certificates >= total:
        yield from ((part, None) for part in items)
        return
    drawn = sorted(derive_rng(config.seed, "validated tasks").sample(range(total), config.certificates))
    start = 0
    for part in items:
        inside = drawn[bisect_left(drawn, start) : bisect_left(drawn, start + part.rows)]
        yield part, frozenset(position - start + part.first_row for position in inside)
        start += part.rows


def _rows(
    config: DatasetChecks, folder: Path, unreadable: frozenset[str], report: Report, phase: Phase
) -> dict[str, RowSet]:
    """Looks at the rows; by split, what they are compared by."""
    index = TaskIndex.of(folder / "tasks")
    context = RowContext(
        checks=frozenset(config.checks),
        splits=_labels(folder),
        tasks=index if len(index) else None,
        rewards=_rewards(config, folder),
        licences=licences(folder),
        tokens=tokenizer_of(config.tokens, folder) if report.asks_for("tokens") else None,
        duplicates=config.duplicates,
        decontaminator=_decontaminator(config, report),
    )
    if context.tasks is None:
        report.note("schema", f"{folder} has no tasks, so task ids were not looked up")
    found = {split: RowSet(f"split {split}") for split in split_names(folder)}
    kept = {split: Deduplicator(config.duplicates) for split in found}
    items = list(all_parts(folder, folder, unreadable))
    for part, looked in zip(items, in_order(check_rows, context, items, config.workers), strict=True):
        report.take(looked)
        found[part.split].add(part, looked)
        report.add(duplicate_findings(found[part.split], looked, kept[part.split]))
        report.count("duplicates", len(looked.features))
        phase.advance(part.rows)
    return found


def _decontaminator(config: DatasetChecks, report: Report) -> Decontaminator | None:
    if not config.benchmarks:
        report.skip("contamination", "no benchmark is given; set benchmarks=[...]")
        return None
    return Decontaminator([read_benchmark(path) for path in config.benchmarks], config.contamination)


def _rewards(config: DatasetChecks, folder: Path) -> RewardConfig:
    """The settings that the folder's own run was judged by, else those that are given."""
    file = folder / "config.yaml"
    said = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    values = said.get("rewards") if isinstance(said, dict) else None
    if not isinstance(values, dict):
        return config.rewards
    known = {key: value for key, value in values.items() if key != "domain"}  # the task says it, since there are several
    return build(RewardConfig, known, "rewards")


def _sets(config: DatasetChecks, rows: dict[str, RowSet], tasks: dict[str, RowSet], report: Report) -> None:
    """What no row shows alone."""
    for sets, name, what in (
        (rows, "id", "its id is that of row {row} of {shard}"),
        (rows, "rollout", "it is the same rollout of its task as row {row} of {shard} ({id})"),
        (tasks, "id", "its id is that of row {row} of {shard}"),
    ):
        report.add(repeated_rows(list(sets.values()), name, what))
    none = RowSet("no tasks")
    pairs = [
        (rows[one], rows[other], tasks.get(one, none), tasks.get(other, none)) for other, one in combinations(sorted(rows), 2)
    ]
    for folder in config.against:
        other_rows, other_tasks = _keys_of(folder, config.workers)
        pairs += [(rows[name], other_rows, tasks.get(name, none), other_tasks) for name in sorted(rows)]
    for one, other, my_tasks, its_tasks in pairs:
        report.add(overlaps(one, other, "task", "{set} has its task too, in row {row} of {shard} ({id})"))
        report.add(overlaps(one, other, "dialogue", "{set} has its dialogue too, in row {row} of {shard} ({id})"))
        report.add(overlaps(my_tasks, its_tasks, "instance", "{set} has its world instance too, in task {id}"))
        if report.asks_for("splits"):
            report.add(near_findings(one, other, config.overlaps))
    if not pairs:
        report.skip("splits", "there is one split, and no other data set to compare with; set against=[...]")
    found, left_out = parent_findings(list(rows.values()), [_keys_of(folder, config.workers)[0] for folder in config.sources])
    report.add(found)
    report.leave_out(left_out)


def _keys_of(folder: str, workers: int) -> tuple[RowSet, RowSet]:
    """All rows and all tasks of another data set, only by what they are compared by."""
    found = []
    for place, work in ((Path(folder), keys_of_rows), (Path(folder, "tasks"), keys_of_tasks)):
        items = list(all_parts(place, Path(folder)))
        whole = RowSet(str(place))
        for part, looked in zip(items, in_order(work, None, items, workers), strict=True):
            if looked.findings:
                raise UserError(f"{folder} cannot be compared with: {looked.findings[0]}")
            whole.add(part, looked)
        found.append(whole)
    return found[0], found[1]


def _card(folder: Path, report: Report) -> None:
    report.add(Finding("card", file, None, "", what) for file, what in card_problems(folder))
    report.count("card", sum((folder / name).is_file() for name in ("README.md", "summary.json")))
