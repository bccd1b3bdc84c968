"""The registry for a person: how many tools there are, of what kind and from where, and some of them to look at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.report import Report, table
from simulators.evolution.domains import Domain

__all__ = ["write_report"]

_SAMPLES = 24


def write_report(
    directory: Path, domains: Sequence[Domain], tools: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]
) -> None:
    """Write ``report.md`` and ``registry.png``."""
    _draw(tools, directory / "registry.png")
    report = Report("Grown tools")
    report.text(
        f"{summary['tools']:,} tools in {summary['domains']} domains of {summary['categories']} categories. Inside a domain"
        f" no two are the same up to names. {summary['executed_share']:.2%} are executed by a certified task of their own (under"
        f" tasks/); {summary['near_duplicate_share']:.1%} have one in another domain that does the same to something"
        " else."
    )
    report.picture("registry.png", "Tools by category and by operator")
    operators = Counter(row["operator"] for row in tools)
    report.section("Operators", table(["operator", "tools"], [[name, count] for name, count in operators.most_common()]))
    kinds = Counter(row["kind"] for row in tools)
    report.section("Kinds", table(["kind", "tools"], [[name, count] for name, count in kinds.most_common()]))
    counts = Counter(row["domain"] for row in tools)
    tree: dict[str, list[Domain]] = {}
    for domain in domains:
        tree.setdefault(domain.category, []).append(domain)
    lines = []
    for category, members in tree.items():
        total = sum(counts[domain.name] for domain in members)
        lines.append(f"- **{category}** ({len(members)} domains, {total:,} tools)")
        lines += [f"  - {domain.title} (`{domain.name}`, {counts[domain.name]})" for domain in members]
    report.section("Tree", "\n".join(lines))
    step = max(1, len(tools) // _SAMPLES)
    rows = [[row["domain"], f"`{row['tool']}`", row["description"]] for row in tools[::step][:_SAMPLES]]
    report.section("Samples", table(["domain", "tool", "description"], rows))
    report.write(directory / "report.md")


def _draw(tools: Sequence[Mapping[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(12, 5.4), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for number, (key, title) in enumerate((("category", "Tools by category"), ("operator", "Tools by operator")), start=1):
        counts = Counter(row[key] for row in tools).most_common()[::-1]
        axes = figure.add_subplot(1, 2, number)
        bars = axes.barh([name.replace("_", " ") for name, _ in counts], [count for _, count in counts], color="#2f6db3")
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
        axes.set_title(title, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("tools")
    figure.savefig(path)
