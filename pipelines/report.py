"""``report.md``: what a run found, for a person: a picture of the learning, tables with intervals, whole dialogues.

Plain data in, Markdown and PNG out; nothing here measures or decides. Every figure in a report stands in
``summary.json`` too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trajectories.messages import Message

__all__ = ["Curve", "Panel", "Report", "Ruler", "dialogue", "draw", "estimates_table", "table"]

_INK, _GRID = "#30343b", "#e4e6ea"
_COLOURS = ("#2f6db3", "#d1662f", "#3d8f5f", "#8a5aa8", "#b8952e", "#6b7280")


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over steps; noisy ones are drawn faint beneath their running mean."""

    label: str
    points: Sequence[tuple[float, float]]
    """(step, value) pairs in order."""
    smooth: int = 1
    """Steps in the running mean; 1 draws the values alone."""
    band: Sequence[tuple[float, float]] = ()
    """Interval of each value, drawn as a band; none where empty."""


@dataclass(frozen=True, slots=True)
class Ruler:
    """A level to compare with, drawn across the panel, with its interval as a band."""

    label: str
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes."""

    title: str
    y_label: str
    """With its unit: ``KL to the old policy (nats per token)``."""
    curves: Sequence[Curve]
    rulers: Sequence[Ruler] = ()
    x_label: str = "RL step (iterations)"
    y_range: tuple[float, float] | None = None


def draw(panels: Sequence[Panel], path: Path, *, columns: int = 2) -> Path:
    """Draw the panels beside each other and write the picture as PNG; the first may well be the learning curve."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.2 * columns, 3.9 * rows), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for number, panel in enumerate(panels, start=1):
        _draw_panel(figure.add_subplot(rows, columns, number), panel)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


@dataclass
class Report:
    """A Markdown page that grows section by section."""

    title: str
    parts: list[str] = field(default_factory=list)

    def text(self, markdown: str) -> None:
        self.parts.append(markdown.strip())

    def section(self, heading: str, markdown: str = "") -> None:
        self.parts.append(f"## {heading}" + (f"\n\n{markdown.strip()}" if markdown.strip() else ""))

    def picture(self, path: str, description: str) -> None:
        """`path` is relative to where the report will stand."""
        self.parts.append(f"![{description}]({path})")

    def write(self, path: Path) -> Path:
        path.write_text("\n\n".join([f"# {self.title}", *self.parts]) + "\n", encoding="utf-8")
        return path


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; numbers to the right, floats with three digits after the point."""
    numeric = [bool(rows) and all(_is_number(row[column]) for row in rows) for column in range(len(headers))]
    lines = [list(headers), ["---:" if right else "---" for right in numeric]]
    lines += [[_cell(value) for value in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def estimates_table(estimates: Mapping[str, Mapping[str, Any]], first_header: str = "policy") -> str:
    """Pass rates or differences with their 95 % intervals, as summaries hold them: ``{"pass" | "mean", "ci95"}``."""
    rows = []
    for name, estimate in estimates.items():
        value = estimate["pass"] if "pass" in estimate else estimate["mean"]
        low, high = estimate["ci95"]
        shown = (value, f"{low:.3f} to {high:.3f}") if value is not None else ("no verdict", "")
        rows.append([name.replace("_", " "), *shown])
    means = bool(estimates) and all("mean" in estimate for estimate in estimates.values())
    return table([first_header, "mean" if means else "pass rate", "95 % interval"], rows)


def dialogue(messages: Sequence[Message], *, heading: str, caption: str = "") -> str:
    """A whole dialogue as a person reads it: who speaks, what is called with what, what came back."""
    parts = [f"### {heading}"]
    if caption:
        parts.append(caption)
    for message in messages:
        parts.extend(_turn(message))
    return "\n\n".join(parts)


def _turn(message: Message) -> list[str]:
    if message.role == "tool":
        return [f"**Tool** `{message.name or message.tool_call_id}` answers", _fenced(_readable(message.content))]
    speaker = {"system": "System prompt", "user": "User", "assistant": "Agent"}[message.role]
    parts = []
    if message.reasoning_content:
        parts += [f"**{speaker}** thinks", _quoted(message.reasoning_content)]
    if message.content:
        parts += [f"**{speaker}**", _quoted(message.content)]
    for call in message.tool_calls:
        parts += [f"**{speaker}** calls `{call.name}`", _fenced(_readable(call.arguments))]
    return parts or [f"**{speaker}** says nothing"]


def _readable(text: str) -> str:
    """JSON on one line with spaces where it is short, indented where it is long; anything else as it is."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 100 else json.dumps(value, ensure_ascii=False, indent=2)


def _fenced(text: str) -> str:
    """A code block that whatever a policy wrote cannot close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"


def _quoted(text: str) -> str:
    """A quotation; angle brackets are escaped so that chat markup stays visible."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return "\n".join(f"> {line}".rstrip() for line in escaped.splitlines() or [""])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if _is_number(value) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for number, ruler in enumerate(panel.rulers):
        colour = _COLOURS[-1 - number % 3]
        axes.axhline(ruler.value, color=colour, linewidth=1.2, linestyle=(0, (5, 3)), label=ruler.label)
        if ruler.interval is not None:
            axes.axhspan(*ruler.interval, color=colour, alpha=0.12, linewidth=0)
    for number, curve in enumerate(panel.curves):
        colour = _COLOURS[number % len(_COLOURS)]
        steps = [step for step, _ in curve.points]
        values = [value for _, value in curve.points]
        if curve.smooth > 1 and len(values) > 2:
            axes.plot(steps, values, color=colour, alpha=0.28, linewidth=1)
            values = _running_mean(values, curve.smooth)
        if curve.band:
            lows, highs = zip(*curve.band, strict=True)
            axes.fill_between(steps, lows, highs, color=colour, alpha=0.15, linewidth=0)
        axes.plot(steps, values, color=colour, linewidth=1.9, label=curve.label, marker="o" if len(steps) < 3 else None)
    axes.set_title(panel.title, loc="left", fontsize=11, color=_INK, fontweight="bold")
    axes.set_xlabel(panel.x_label, color=_INK)
    axes.set_ylabel(panel.y_label, color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if panel.y_range is not None:
        axes.set_ylim(*panel.y_range)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b3b8c0")
    axes.tick_params(colors=_INK, labelsize=9)
    if len(panel.curves) + len(panel.rulers) > 1:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK)


def _running_mean(values: Sequence[float], window: int) -> list[float]:
    """Mean over a centred window, which shrinks at the ends, so that a trend is not delayed."""
    half = window // 2
    means = []
    for index in range(len(values)):
        near = values[max(0, index - half) : index + half + 1]
        means.append(sum(near) / len(near))
    return means
