"""What is in a data set: its statistics, and rows to read, on the console and as one page that opens in any browser.

Our own data sets and exports of them are shown alike. Nothing in the data set's folder is changed, unless a card is asked for.
"""

import importlib.metadata
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from rich.console import Console

from pipelines.errors import UserError
from pipelines.inspecting.console import show_rows, show_tables
from pipelines.inspecting.page import page
from pipelines.inspecting.rows import Where, choose
from pipelines.inspecting.view import view
from pipelines.progress import Progress
from pipelines.run_directory import RunDirectory, write_atomically
from pipelines.schema import Counted, register
from trajectories.card import CardAbout, statistics, write_card
from trajectories.card.folder import configurations, pick_splits
from trajectories.card.tables import statistics_tables
from trajectories.shards import ShardError

__all__ = ["Inspect"]


@dataclass(frozen=True, kw_only=True)
class Inspect(Counted):
    """`count` is the number of dialogues on the page."""

    dataset: str = "outputs/synthesize/latest"
    """The folder of a data set: ours, or an export."""
    count: int = 50
    """Dialogues on the page at most."""
    shown: int = 2
    """Of them on the console at most; 0 for none."""
    pick: Literal["seed", "first"] = "seed"
    """seed: an even draw from the rows that meet the conditions; first: the first of them."""
    where: Where = field(default_factory=Where)
    """Which rows."""
    card: str | None = None
    """Title of a card (README.md, figures) to write into the data set's folder; null: none is written."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shown < 0:
            raise ValueError(f"shown: must be at least 0, not {self.shown}")


def run(config: Inspect, run: RunDirectory) -> dict[str, Any]:
    """`orrery inspect`."""
    progress, folder = Progress(("count", "choose")), Path(config.dataset)
    configs = configurations(folder)
    name, files = next(iter(configs.items()))
    with progress.phase("count", unit="rows"):
        found = statistics(folder)
    with progress.phase("choose", unit="rows"):
        tasks = configs.get("tasks") if name != "tasks" else None
        chosen = choose(files, config.where, config.count, pick=config.pick, seed=config.seed, tasks=tasks)
    views, tables = [view(sample) for sample in chosen.samples], statistics_tables(found)
    told = f"{len(views):,} of {chosen.matching:,} dialogues that meet the conditions, of {found.total.rows:,} in all"
    path = run.file("samples.html")
    write_atomically(path, page(f"Data set {folder.resolve().name}", told, tables, views))
    console = Console(width=min(shutil.get_terminal_size((110, 24)).columns, 130), highlight=False, soft_wrap=False)
    console.print()
    show_tables(console, tables)
    show_rows(console, views[: config.shown])
    written = {"card": str(write_card(folder, about(folder, config.card), found=found))} if config.card is not None else {}
    print(f"{told}: {run.shown_path}/samples.html")
    return {
        "dataset": config.dataset,
        "statistics": found.to_json(),
        "matching": chosen.matching,
        "samples": [sample.name for sample in chosen.samples],
        **written,
        "seconds": progress.elapsed,
    }


def about(folder: Path, title: str) -> CardAbout:
    """What the run that made the data set left beside it, for a card."""
    settings, summary = _yaml(folder / "config.yaml"), _json(folder / "summary.json")
    settings.pop("command", None)
    dropped, licences = summary.get("dropped"), summary.get("licences")
    tried = next((summary[name] for name in ("read", "dialogues") if isinstance(summary.get(name), int)), None)
    return CardAbout(
        title=title,
        command=_command(folder / "run.log"),
        settings=settings,
        code_version=f"orrery {importlib.metadata.version('orrery')}",
        tried=tried,
        dropped={k: v for k, v in dropped.items() if isinstance(v, int)} if isinstance(dropped, dict) else {},
        format=str(settings.get("format") or "orrery").replace("native", "orrery"),
        licence=" AND ".join(map(str, licences)) if isinstance(licences, list) else "",
    )


def _command(log: Path) -> str:
    """As it was typed, from the first line that tells it, without what changes no row."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    typed = next((found[1] for line in lines if (found := re.search(r" starting (orrery .+)$", line))), "")
    return " ".join(re.sub(r"(?<= )'?(?:out|resume|workers)=\S+", "", typed).split())


def _yaml(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if isinstance(found, dict) else {}


def check(config: Inspect) -> None:
    """The data set is there, and so are the splits."""
    key = "dataset"
    try:
        files = next(iter(configurations(config.dataset).values()))
        key = "where.splits"
        pick_splits(files, config.where.splits or None)
    except ValueError as error:
        raise UserError(f"{key}: {error}") from error


register("inspect", Inspect, run, check=check, user_errors=(ShardError,))
