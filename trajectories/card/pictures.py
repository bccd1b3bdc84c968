"""Pictures of a card: few, the same bytes for the same figures (no time stamps, no random layout)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trajectories.card.counts import Counts

__all__ = ["draw_pictures"]

_INK, _GRID, _BAR, _SECOND = "#30343b", "#e4e6ea", "#2f6db3", "#d1662f"
_ROWS: Final = 15
_LINES: Final = 20  # of the table of shaded cells
_UNITS: Final = {"category": "category of worlds", "world": "world"}
_WIDEST: Final = 40  # characters of a label


def draw_pictures(counts: Counts, folder: Path) -> dict[str, str]:
    """Draw what the rows have into `folder`; returns file name to what the picture shows, for those who cannot see it."""
    wanted: dict[str, tuple[str, Callable[[Counts], Figure] | None]] = {
        "worlds.png": (_told_worlds(counts), _worlds if counts.cells else None),
        "dialogues.png": (_told_dialogues(counts), _dialogues if counts.rows else None),
        "users.png": (_told_users(counts), _users if len(counts.axes["persona"]) > 1 else None),
    }
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, (told, make) in wanted.items():
        (folder / name).unlink(missing_ok=True)
        if make is not None:
            make(counts).savefig(folder / name, metadata={"Software": None})
            drawn[name] = told
    return drawn


def _worlds(counts: Counts) -> Figure:
    """A table of shaded cells: worlds (categories of them, where they are many) down, families across, rows in each."""
    families = [family for family, _ in _ordered(counts.axes["family"])[:12]]
    axis, names, cells = _lines(counts)
    unit = _UNITS[axis]
    figure = _figure(3.2 + 0.74 * len(families), 1.8 + 0.32 * len(names))
    panel = figure.add_subplot()
    grid = [[cells[name, family] for family in families] for name in names]
    # The line of all others would make the rest look empty, so it has no shade.
    shades = [
        line if number < _LINES or len(grid) == len(counts.axes[axis]) else [0] * len(line) for number, line in enumerate(grid)
    ]
    brightest = max(1, *(max(line) for line in shades))
    panel.imshow(shades, cmap="Blues", aspect="auto", vmin=0, vmax=brightest * 1.25)
    for row, line in enumerate(grid):
        for column, value in enumerate(line):
            colour = "white" if shades[row][column] > 0.7 * brightest else _INK
            panel.text(column, row, f"{value:,}" if value else "", ha="center", va="center", fontsize=8, color=colour)
    panel.set_xticks(
        range(len(families)), [_short(name, 18) for name in families], rotation=35, ha="right", rotation_mode="anchor"
    )
    panel.set_yticks(range(len(names)), [_short(name) for name in names])
    panel.tick_params(length=0, colors=_INK, labelsize=9)
    panel.spines[:].set_visible(False)
    panel.set_title(f"Dialogues by {unit} and family of sub-goals", loc="left", fontsize=11, color=_INK, fontweight="bold")
    return figure


def _dialogues(counts: Counts) -> Figure:
    panels = [
        ("Tool calls", "calls in a dialogue", "calls", _BAR),
        ("Messages of the agent", "messages in a dialogue", "agent_turns", _BAR),
        ("Tools that the agent has", "tools in a dialogue", "tools", _BAR),
        ("Characters", "characters in a dialogue", "characters", _BAR),
    ]
    if counts.lengths["tokens"]:
        panels += [
            ("Tokens", "tokens in a dialogue", "tokens", _SECOND),
            ("Tokens that the agent wrote", "tokens in a dialogue", "loss_tokens", _SECOND),
        ]
    figure = _figure(11.0, 3.3 * (len(panels) // 2))
    for number, (title, label, name, colour) in enumerate(panels, start=1):
        _histogram(figure.add_subplot(len(panels) // 2, 2, number), counts.lengths[name], title, label, colour)
    return figure


def _users(counts: Counts) -> Figure:
    axes = [("language", "Languages of users"), ("persona", "Personas of users")]
    panels = [(title, _shown(counts.axes[axis]), counts.axes[axis].total()) for axis, title in axes if counts.axes[axis]]
    heights = [1.0 + 0.28 * len(shown) for _, shown, _ in panels]
    figure = _figure(8.0, sum(heights))
    for places, (title, shown, total) in zip(figure.add_gridspec(len(panels), 1, height_ratios=heights), panels, strict=True):
        _bars(figure.add_subplot(places), shown, total, title)
    return figure


def _histogram(axes: Axes, histogram: Mapping[int, int], title: str, label: str, colour: str) -> None:
    low, high = min(histogram), max(histogram)
    width = max(1, -(-(high - low + 1) // 40))
    bins: Counter[int] = Counter()
    for number, times in histogram.items():
        bins[(number - low) // width] += times
    total = sum(bins.values())
    places = [low + index * width + (width - 1) / 2 for index in bins]
    axes.bar(places, [times / total for times in bins.values()], width=width * 0.9, color=colour)
    axes.set_xlabel(label, color=_INK)
    axes.set_ylabel("share of dialogues", color=_INK)
    axes.yaxis.set_major_formatter(_percent)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    if high == low:
        axes.set_xlim(low - 2, high + 2)
    _plain(axes, title, "y")


def _bars(axes: Axes, shown: Sequence[tuple[str, int]], total: int, title: str) -> None:
    axes.barh(range(len(shown)), [number / total for _, number in shown], height=0.7, color=_BAR)
    axes.set_yticks(range(len(shown)), [_short(name) for name, _ in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(_percent)
    axes.set_xlabel("share of dialogues", color=_INK)
    _plain(axes, title, "x")


def _shown(values: Mapping[str, int], most: int = _ROWS) -> list[tuple[str, int]]:
    """The most frequent values, the others as one (a single other by its name)."""
    ordered = _ordered(values)
    if len(ordered) <= most + 1:
        return ordered
    return [*ordered[:most], (f"{len(ordered) - most:,} more", sum(number for _, number in ordered[most:]))]


def _lines(counts: Counts) -> tuple[str, list[str], Counter[tuple[str, str]]]:
    """The axis that the picture's lines stand for, their names, and the cells."""
    by_category = len(counts.axes["world"]) > _LINES + 1 and len(counts.axes["category"]) > 1
    axis = "category" if by_category else "world"
    names = [name for name, _ in _shown(counts.axes[axis], _LINES)]
    cells: Counter[tuple[str, str]] = Counter()
    for (world, family), number in counts.cells.items():
        name = counts.categories[world] if by_category else world
        cells[name if name in names else names[-1], family] += number
    return axis, names, cells


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(min(width, 14.0), height), dpi=130, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes, title: str, grid: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=_INK, fontweight="bold")
    axes.grid(axis=grid, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b3b8c0")
    axes.tick_params(colors=_INK, labelsize=9)


def _percent(value: float, _: int) -> str:
    return f"{100 * value:g} %"


def _ordered(values: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(values.items(), key=lambda item: (-item[1], item[0]))


def _short(name: str, widest: int = _WIDEST) -> str:
    """A label that any font can show; no mathematics, which ``$`` would begin."""
    text = name.encode("ascii", "backslashreplace").decode().replace("$", r"\$")
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= widest else text[: widest - 3] + "..."


def _told_worlds(counts: Counts) -> str:
    axis, names, _ = _lines(counts)
    return f"Dialogues by {_UNITS[axis]} ({len(names)} of them) and family of sub-goals"


def _told_dialogues(counts: Counts) -> str:
    told = "Distributions over dialogues of tool calls, messages of the agent, tools and characters"
    return told + (", and of tokens" if counts.lengths["tokens"] else "")


def _told_users(counts: Counts) -> str:
    return f"Shares of {len(counts.axes['language'])} languages and {len(counts.axes['persona'])} personas of users"
