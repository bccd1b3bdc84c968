"""A data set's ``README.md``: the Hub's card, written from the rows themselves and from what their maker says of them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from trajectories.card.about import CardAbout
from trajectories.card.columns import COLUMN_MEANINGS, EXPORT_COLUMN_MEANINGS, TASK_COLUMN_MEANINGS
from trajectories.card.folder import Files, configurations
from trajectories.card.front_matter import DEFAULT_CONFIG, front_matter
from trajectories.card.prose import how_made, introduction, known_limits, provenance, quality
from trajectories.card.reading import column_types, count_rows
from trajectories.card.tables import Marked, Table, escaped, markdown, statistics_tables
from trajectories.card.totals import Statistics, statistics
from trajectories.card.visible import visible
from trajectories.shard_files import replace_file

__all__ = ["write_card"]


def write_card(directory: str | Path, about: CardAbout, *, found: Statistics | None = None) -> Path:
    """Write ``README.md`` and ``figures/*.png`` into a data set's folder, over those of before; equal input, equal bytes.

    Args:
        directory: holds the data, see `trajectories.card.folder`.
        about: what rows do not tell.
        found: the statistics, where they are known already; None to count the rows.

    Returns:
        The path of ``README.md``.

    Raises:
        ValueError: no such folder, or no data in it.
        ShardError: a damaged file, by name.
    """
    from trajectories.card.pictures import draw_pictures  # whoever writes no card needs no Matplotlib

    root = Path(directory)
    configs = configurations(root)
    found = statistics(root) if found is None else found
    counts = found.total
    licences = list(counts.axes["licence"]) or [about.licence] * bool(about.licence)
    loaded = {name: _with_rows(files) for name, files in configs.items()}
    matter = front_matter(
        about.title,
        loaded,
        rows=counts.rows,
        languages=[language for language, _ in counts.axes["language"].most_common()],
        licences=licences,
        tags=() if about.format == "orrery" else (about.format,),
    )
    pictures = draw_pictures(counts, root / "figures")
    sections = {
        "How it was made": how_made(about, counts),
        "What is in it": _contents(found, pictures),
        "Columns": _columns(configs, about),
        "Quality": quality(about, counts),
        "Splits and loading": _loading(configs, loaded, found),
        "Provenance": provenance(counts),
        "Known limits": ["\n".join(f"- {sentence}" for sentence in known_limits(about, counts))],
        "Licence": [_licence(licences)],
    }
    parts = [matter, f"# {' '.join(about.title.split())}", *introduction(about, counts)]
    for heading, body in sections.items():
        if any(body):
            parts += [f"## {heading}", *body]
    replace_file(root / "README.md", visible("\n\n".join(part.strip() for part in parts if part.strip())) + "\n")
    return root / "README.md"


def _contents(found: Statistics, pictures: Mapping[str, str]) -> list[str]:
    if not found.total.rows:
        return []
    parts = []
    before = {"Balance": ["worlds.png", "users.png"], "Lengths": ["dialogues.png"]}
    for table in statistics_tables(found):
        parts += [f"![{pictures[name]}](figures/{name})" for name in before.get(table.title, ()) if name in pictures]
        if table.rows:
            parts += [f"### {table.title}", markdown(table)]
        if table.title == "Balance":
            parts.append("Entropy (over its maximum) is 1 and the Gini coefficient 0 where all values are equally frequent.")
    return parts


def _columns(configs: Mapping[str, Files], about: CardAbout) -> list[str]:
    parts = []
    for name, files in configs.items():
        path = next(iter(files.paths.values()))[0]
        known = TASK_COLUMN_MEANINGS if name == "tasks" else {**EXPORT_COLUMN_MEANINGS, **COLUMN_MEANINGS, **about.columns}
        rows = tuple((Marked(f"`{column}`"), kind, Marked(known.get(column, ""))) for column, kind in column_types(path).items())
        heading = [f"Configuration `{name or DEFAULT_CONFIG}`:"] if len(configs) > 1 else []
        parts += [*heading, markdown(Table("", ("column", "type", "meaning"), rows))]
    return parts


def _with_rows(files: Files) -> Files:
    """Without the splits that have no row, which `datasets` cannot load; all of them where none has."""
    held = {split: pattern for split, pattern in files.patterns.items() if any(map(count_rows, files.paths[split]))}
    return replace(files, patterns=held or files.patterns)


def _loading(configs: Mapping[str, Files], loaded: Mapping[str, Files], found: Statistics) -> list[str]:
    rows = tuple(
        (Marked(f"`{name or DEFAULT_CONFIG}`"), split, sum(map(count_rows, paths)), Marked(f"`{files.patterns[split]}`"))
        for name, files in configs.items()
        for split, paths in files.paths.items()
    )
    splits = {name: next(iter(files.patterns)) for name, files in loaded.items()}
    is_cut = any(loaded[name].patterns != files.patterns for name, files in configs.items())
    first, *others = configs
    lines = [
        "from datasets import load_dataset",
        "",
        f'rows = load_dataset("path/to/this/folder", split="{splits[first]}")',
        *(f'{name} = load_dataset("path/to/this/folder", "{name}", split="{splits[name]}")' for name in others[:3]),
    ]
    return [
        markdown(Table("", ("configuration", "split", "rows", "files"), rows)),
        "```python\n" + "\n".join(lines) + "\n```",
        "`datasets` cannot load a split without rows, so the configurations above leave such splits out." if is_cut else "",
        _shared_tasks(found),
    ]


def _shared_tasks(found: Statistics) -> str:
    """What rows say of tasks in several splits; nothing where there is one split, or rows name no task."""
    splits, together = list(found.splits.values()), found.total.tasks
    if len(splits) < 2 or not together:
        return ""
    shared = sum(split.tasks for split in splits) - together
    return f"**{shared:,} tasks are in more than one split.**" if shared else "No task is in two splits."


def _licence(licences: list[str]) -> str:
    return f"{escaped(' and '.join(sorted(licences)))}." if licences else "Nobody said. Ask whoever made it before you use it."
